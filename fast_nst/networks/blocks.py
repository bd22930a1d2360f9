"""What transformation networks are made of. All pad by reflection: zeros would show as a frame."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MIXING_NOISE = 0.02  # standard deviation at the start, beside the identity


class LowPass(nn.Module):
    """Binomial blur [1, 3, 3, 1] of [N, C, H, W] before a stride of 2 (Zhang 2019, "Making convolutional
    networks shift-invariant again"). Its even length centers the samples between pixels, where bilinear
    upsampling takes them to be.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
        kernel = torch.outer(taps, taps).expand(channels, 1, 4, 4).clone()
        self.register_buffer("kernel", kernel, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] to the same shape; H and W are at least 3."""
        padded = F.pad(x, (1, 2, 1, 2), mode="reflect")
        return F.conv2d(padded, self.get_buffer("kernel").to(x.dtype), groups=x.shape[1])


class LowPassConv2d(nn.Conv2d):
    """A strided convolution of the blurred input: as blurring its output at full resolution, but cheaper.

    The weights are named as those of a plain convolution, so that one can start from the other.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int) -> None:
        super().__init__(in_channels, out_channels, kernel, stride, kernel // 2, padding_mode="reflect")
        self.low_pass = LowPass(in_channels)

    def forward(self, input: Tensor) -> Tensor:
        """[N, C, H, W] to [N, C', H/2, W/2]."""
        return super().forward(self.low_pass(input))


def conv(
    in_channels: int, out_channels: int, kernel: int, stride: int = 1, antialias: bool = False
) -> nn.Conv2d:
    """A convolution padded by reflection, behind a low-pass where it is strided and ``antialias`` is set."""
    if antialias and stride > 1:
        return LowPassConv2d(in_channels, out_channels, kernel, stride)
    return nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, padding_mode="reflect")


class ConditionalInstanceNorm(nn.Module):
    """Instance norm with a scale and a shift for each style (Dumoulin et al. 2017, section 2.2).

    With ``mixing``, each style also has a 1x1 convolution of its own in front: convolutions that many styles
    share are a bank of filters then, of which each style makes what it needs (as StyleBank, Chen et al. 2017,
    at a fraction of its weights). Several styles are mixed by the weighted mean of what is theirs. Without
    running statistics (Ulyanov et al. 2016).
    """

    EPSILON = 1e-5

    def __init__(self, channels: int, styles: int, mixing: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(styles, channels))  # [K, C]
        self.bias = nn.Parameter(torch.zeros(styles, channels))
        self.mixing: nn.Parameter | None = None
        if mixing:
            noise = MIXING_NOISE * torch.randn(styles, channels, channels)  # or all styles would start alike
            self.mixing = nn.Parameter((torch.eye(channels) + noise).flatten(1))  # [K, C * C]

    def forward(self, x: Tensor, style: Tensor | None) -> Tensor:
        """[N, C, H, W] to the same shape.

        ``style``: what each style counts for, [N or 1, K], rows of sum 1; None for the only one.
        """
        n, c, h, w = x.shape
        if style is None:
            if self.mixing is not None:
                x = F.conv2d(x, self.mixing.reshape(c, c, 1, 1))
            return F.instance_norm(x, weight=self.weight[0], bias=self.bias[0], eps=self.EPSILON)
        if self.mixing is not None:
            own = (style @ self.mixing).reshape(-1, c, c)
            x = torch.matmul(own, x.reshape(n, c, h * w)).reshape(n, c, h, w)
        scale, shift = (
            (style.unsqueeze(2) * own).sum(1).expand(n, c).reshape(n * c) for own in (self.weight, self.bias)
        )
        # Each picture's channels stand beside the others': one norm for all, each with a scale of its own.
        return F.instance_norm(x.reshape(1, n * c, h, w), weight=scale, bias=shift, eps=self.EPSILON).reshape(
            n, c, h, w
        )


class Chain(nn.Sequential):
    """Layers in a row; those with norms are told the style."""

    def forward(self, x: Tensor, style: Tensor | None) -> Tensor:  # type: ignore[override]
        """[N, C, H, W] and the style weights of `ConditionalInstanceNorm`."""
        for layer in self:
            x = layer(x) if isinstance(layer, nn.Conv2d | nn.ReLU) else layer(x, style)
        return x


class ConvBlock(Chain):
    """Convolution, instance norm, ReLU."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        styles: int,
        stride: int = 1,
        antialias: bool = False,
        mixing: bool = False,
    ) -> None:
        convolution = conv(in_channels, out_channels, kernel, stride, antialias)
        super().__init__(convolution, ConditionalInstanceNorm(out_channels, styles, mixing), nn.ReLU())


class Stem(Chain):
    """An 8x8 convolution with stride 4, instance norm, ReLU: [N, 3, H, W] to [N, C, H/4, W/4].

    The same as space-to-depth and a 2x2 convolution, without the copy; long enough to learn a low-pass.
    """

    def __init__(self, channels: int, styles: int) -> None:
        convolution = nn.Conv2d(3, channels, 8, 4, 2, padding_mode="reflect")
        super().__init__(convolution, ConditionalInstanceNorm(channels, styles), nn.ReLU())


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around a skip; no ReLU behind the sum (Gross & Wilber 2016).

    With ``mixing``, the first is a bank of filters that each style mixes for itself.
    """

    def __init__(self, channels: int, styles: int, mixing: bool) -> None:
        super().__init__()
        self.first = ConvBlock(channels, channels, 3, styles, mixing=mixing)
        self.second = Chain(conv(channels, channels, 3), ConditionalInstanceNorm(channels, styles))

    def forward(self, x: Tensor, style: Tensor | None) -> Tensor:
        """[N, C, H, W] to the same shape."""
        return x + self.second(self.first(x, style), style)


class UpsampleBlock(nn.Module):
    """Resize by 2, then a convolution: no checkerboard (Odena et al. 2016)."""

    def __init__(self, in_channels: int, out_channels: int, styles: int, antialias: bool = False) -> None:
        super().__init__()
        self.block = ConvBlock(in_channels, out_channels, 3, styles)
        self.mode = "bilinear" if antialias else "nearest"

    def forward(self, x: Tensor, style: Tensor | None) -> Tensor:
        """[N, C, H, W] to [N, C', 2H, 2W]."""
        return self.block(F.interpolate(x, scale_factor=2.0, mode=self.mode), style)


class HalfResolutionBranch(nn.Module):
    """A stage at half the resolution beside a skip that keeps the detail."""

    def __init__(self, channels: int, blocks: int, styles: int, mixing: bool) -> None:
        super().__init__()
        self.down = ConvBlock(channels, 2 * channels, 3, styles, stride=2, antialias=True)
        self.residual = Chain(*[ResidualBlock(2 * channels, styles, mixing) for _ in range(blocks)])
        self.up = UpsampleBlock(2 * channels, channels, styles, antialias=True)

    def forward(self, x: Tensor, style: Tensor | None) -> Tensor:
        """[N, C, H, W] to the same shape; H and W are even."""
        return x + self.up(self.residual(self.down(x, style), style), style)


class SubPixelHead(nn.Sequential):
    """A 3x3 convolution to 12 channels and a pixel shuffle (Shi et al. 2016): [N, C, H, W] to [N, 3, 2H, 2W].

    The four pixels of a cell start out equal (ICNR, Aitken et al. 2017).
    """

    def __init__(self, channels: int) -> None:
        convolution = conv(channels, 12, 3)
        with torch.no_grad():
            convolution.weight.copy_(convolution.weight[::4].repeat_interleave(4, 0))
            assert convolution.bias is not None
            convolution.bias.copy_(convolution.bias[::4].repeat_interleave(4, 0))
        super().__init__(convolution, nn.PixelShuffle(2))

    @torch.no_grad()
    def constrain(self) -> None:
        """Move the weights to the nearest whose cell of four pixels answers alike to what does not vary.

        Called after each step of an optimizer, so that plain areas have no checkerboard whatever is learned.
        """
        weight, bias = self.get_parameter("0.weight"), self.get_parameter("0.bias")
        if not weight.requires_grad:  # not trained
            return
        response = weight.mean((2, 3), keepdim=True).unflatten(0, (3, 4))  # [3, 4, C, 1, 1]
        weight.add_((response.mean(1, keepdim=True) - response).flatten(0, 1))
        bias.copy_(bias.unflatten(0, (3, 4)).mean(1).repeat_interleave(4))
