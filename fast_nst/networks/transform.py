"""The image transformation network of Johnson et al. 2016 with instance norm and resize convolutions."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from fast_nst.errors import UserError, one_line
from fast_nst.files import whole_file

HEADER = "fast_nst"
STRIDE = 4  # height and width of the input are multiples of it
MIN_SIDE = 8  # the smallest side whose residual blocks still have a pixel to reflect


@dataclass
class TransformConfig:
    """The image transformation network."""

    width: int = 32
    """Channels of the first layer: 32 (1,679,235 parameters, the standard), 16 or 8."""
    blocks: int = 5
    """Residual blocks."""

    def __post_init__(self) -> None:
        if self.width < 1:
            raise UserError("--network.width must be at least 1")
        if self.blocks < 0:
            raise UserError("--network.blocks must not be negative")


def _conv(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """Reflection padding: zeros would show as a frame around the picture."""
    return nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, padding_mode="reflect")


def _norm(channels: int) -> nn.InstanceNorm2d:
    """Affine instance norm without running statistics (Ulyanov et al. 2016)."""
    return nn.InstanceNorm2d(channels, affine=True)


class ConvBlock(nn.Sequential):
    """Convolution, instance norm, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__(_conv(in_channels, out_channels, kernel, stride), _norm(out_channels), nn.ReLU())


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around a skip; no ReLU behind the sum (Gross & Wilber 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvBlock(channels, channels, 3)
        self.second = nn.Sequential(_conv(channels, channels, 3), _norm(channels))

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] to the same shape."""
        return x + self.second(self.first(x))


class UpsampleBlock(nn.Module):
    """Nearest x2, then a convolution: no checkerboard (Odena et al. 2016)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.block = ConvBlock(in_channels, out_channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] to [N, C', 2H, 2W]."""
        return self.block(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class TransformNetwork(nn.Module):
    """Pictures [N, 3, H, W] in [0, 1] to stylized pictures of the same shape and range.

    H and W are multiples of 4 and at least 8; `fast_nst.export` pads any other size in the graph.
    """

    def __init__(self, config: TransformConfig) -> None:
        super().__init__()
        self.config = config
        w = config.width
        self.down = nn.Sequential(
            ConvBlock(3, w, 9),
            ConvBlock(w, 2 * w, 3, stride=2),
            ConvBlock(2 * w, 4 * w, 3, stride=2),
        )
        self.residual = nn.Sequential(*[ResidualBlock(4 * w) for _ in range(config.blocks)])
        self.up = nn.Sequential(UpsampleBlock(4 * w, 2 * w), UpsampleBlock(2 * w, w))
        self.head = _conv(w, 3, 9)

    def forward(self, x: Tensor) -> Tensor:
        """[N, 3, H, W] in [0, 1] to the same."""
        x = self.up(self.residual(self.down(x - 0.5)))
        return torch.sigmoid(self.head(x))


def save_transform(network: TransformNetwork, path: Path, about: dict[str, str]) -> None:
    """Write weights and architecture, with ``about`` in the header, atomically."""
    state = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    # One entry: safetensors writes several in random order, and equal runs must give equal files.
    header = {"network": asdict(network.config), "about": about}
    with whole_file(path) as unfinished:
        save_file(state, unfinished, {HEADER: json.dumps(header, sort_keys=True)})


def load_transform(path: Path) -> tuple[TransformNetwork, dict[str, str]]:
    """The network of a ``model.safetensors`` and what its header says about it.

    Raises:
        UserError: the file is missing or is not a transformation network's.
    """
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(HEADER)
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path} is not a readable safetensors file ({one_line(error)})") from error
    if text is None:
        raise UserError(f"{path} is not a fast_nst transformation network: its header is missing")
    try:
        header = json.loads(text)
        network = TransformNetwork(TransformConfig(**header["network"]))
        network.load_state_dict(state)
        about = dict(header["about"])
    except (RuntimeError, ValueError, TypeError, KeyError, UserError) as error:
        raise UserError(f"{path} is damaged: {one_line(error)}") from error
    return network, about
