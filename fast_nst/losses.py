"""Perceptual losses, dimensionless: one weight means the same for every style, size and loss network.

Content and style follow Gatys et al. 2016 and Johnson et al. 2016, section 3.1, but each error is
divided by the energy of its own target: the content error by the variance of the content features, a
layer's Gram error by the Gram energy of the style. A loss of 1 is "as wrong as the target is large".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn

from fast_nst.loss_config import LossWeights
from fast_nst.networks.features import LossNetwork

PEAK = 1.0  # what the largest activation is smoothed to, as an exponent of e; 3 and more bring it back
EPSILON = 1e-8  # keeps a constant target from dividing by zero


class _Product(torch.autograd.Function):
    """[N, P, C] to its products of channels [N, C, C] in float32.

    Autograd knows nothing of their symmetry: it takes two products backward where one does. That one is
    taken in bfloat16 where the features are: their gradient is rounded to it in any case.
    """

    @staticmethod
    def forward(ctx: Any, flat: Tensor) -> Tensor:
        ctx.save_for_backward(flat)
        full = flat.float()
        return full.mT @ full

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (flat,) = ctx.saved_tensors
        precision = torch.bfloat16 if flat.dtype == torch.bfloat16 else torch.float32  # half would underflow
        with torch.autocast(gradient.device.type, enabled=False):
            return (flat.to(precision) @ (gradient + gradient.mT).to(precision)).to(flat.dtype)


def gram_matrix(features: Tensor) -> Tensor:
    """Gram matrices [N, C, C] of features [N, C, H, W], divided by C*H*W, always in float32."""
    n, c, h, w = features.shape
    with torch.autocast(features.device.type, enabled=False):
        flat = features.permute(0, 2, 3, 1).reshape(n, h * w, c)  # a view of channels_last
        return torch.as_tensor(_Product.apply(flat)) / (c * h * w)


def content_loss(features: Tensor, target: Tensor) -> Tensor:
    """Mean squared feature error over the variance of each picture's target; both [N, C, H, W]."""
    features, target = features.float(), target.float()
    picture = (1, 2, 3)  # flattened, channels_last would be copied
    error = (features - target).square().mean(picture)  # [N]
    return (error / (target.var(picture, correction=0) + EPSILON)).mean()


def smooth_activations(features: Tensor, scale: Tensor | float = 1.0) -> Tensor:
    """Softmax over all activations of a picture's layer [N, C, H, W], in float32; their mean is 1.

    SWAG, stylization with activation smoothing (Wang, Li, Vasconcelos 2021, section 3): the few large
    activations of a residual network no longer make up all of its Gram matrix. ``scale`` is the softmax's
    temperature: the larger, the smoother.
    """
    flat = (features.float() / scale).flatten(1)  # [N, CHW]
    return (flat.softmax(1) * flat.shape[1]).reshape(features.shape)


def style_loss(gram: Tensor, target: Tensor) -> Tensor:
    """Squared Gram error over the target's Gram energy; gram [N, C, C], target [N or 1, C, C]."""
    error = (gram - target).square().flatten(1).sum(1)  # [N]
    return (error / (target.square().flatten(1).sum(1) + EPSILON**2)).mean()


def total_variation(images: Tensor) -> Tensor:
    """Mean squared difference of neighbors, across plus down; images [N, 3, H, W] in [0, 1]."""
    images = images.float()
    across = (images[..., :, 1:] - images[..., :, :-1]).square()
    down = (images[..., 1:, :] - images[..., :-1, :]).square()
    # A single row or column has no neighbors one way; the mean of nothing is not a number.
    return across.sum() / max(1, across.numel()) + down.sum() / max(1, down.numel())


class PerceptualLoss(nn.Module):
    """Content, style and total variation of stylized pictures under one loss network.

    The styles' Gram matrices are computed once, here. One call runs the loss network once on the
    stylized pictures (all taps) and once, without gradient, on the content (up to the content tap).
    """

    def __init__(
        self,
        network: LossNetwork,
        styles: Sequence[Tensor],
        style_taps: Sequence[str],
        content_tap: str,
        weights: LossWeights,
        smoothing: bool = False,
    ) -> None:
        """``styles``: style pictures [1, 3, H, W] in [0, 1], each at the size whose strokes are wanted.

        ``smoothing``: compare `smooth_activations`, at a temperature of 1 / `PEAK` of the style's largest
        activation at the tap, so that networks whose activations are large by nature are smoothed as much.
        """
        super().__init__()
        self.network = network
        self.style_taps = tuple(style_taps)
        self.content_tap = content_tap
        self.weights = weights
        self.smoothing = smoothing
        self.styles = len(styles)
        grams: dict[str, list[Tensor]] = {tap: [] for tap in self.style_taps}
        scales: dict[str, list[Tensor]] = {tap: [] for tap in self.taps}
        with torch.no_grad():
            for style in styles:
                features = network(style, self.taps)
                if smoothing:
                    for tap, raw in features.items():
                        scales[tap].append(raw.float().amax() / PEAK + EPSILON)
                        features[tap] = smooth_activations(raw, scales[tap][-1])
                for tap in self.style_taps:
                    grams[tap].append(self.gram(features[tap]))
        for tap, matrices in grams.items():
            self.register_buffer(f"gram_{tap}", torch.cat(matrices), persistent=False)  # [K, C, C]
        for tap, of_styles in scales.items():
            if smoothing:
                self.register_buffer(f"scale_{tap}", torch.stack(of_styles), persistent=False)  # [K]

    @property
    def taps(self) -> set[str]:
        """All layers that are compared."""
        return {*self.style_taps, self.content_tap}

    def features(self, images: Tensor, taps: Iterable[str], style: Tensor | None = None) -> dict[str, Tensor]:
        """What is compared of pictures [N, 3, H, W] at ``taps``: features, smoothed where asked for."""
        return self.smooth(self.network(images, taps), style)

    def smooth(self, features: dict[str, Tensor], style: Tensor | None = None) -> dict[str, Tensor]:
        """Features {tap: [N, C, H', W']}, smoothed at the temperatures of each picture's style."""
        if not self.smoothing:
            return features
        number = style if style is not None else 0
        scales = {tap: self.get_buffer(f"scale_{tap}")[number].view(-1, 1, 1, 1) for tap in features}
        return {tap: smooth_activations(raw, scales[tap]) for tap, raw in features.items()}

    def gram(self, features: Tensor) -> Tensor:
        """Gram matrices [N, C, C] of what `features` gave.

        Smoothed activations have a mean of 1, whose own Gram matrix is taken off: it is the same for every
        picture, and would make up nearly all of the target's energy.
        """
        return gram_matrix(features) - (1 / features.shape[1] if self.smoothing else 0)

    def target_gram(self, tap: str, style: Tensor | None = None) -> Tensor:
        """Gram matrices [N, C, C] at ``tap`` of the styles numbered [N]; None for the first one."""
        grams = self.get_buffer(f"gram_{tap}")
        return grams[:1] if style is None else grams[style]

    def content_target(self, content: Tensor, style: Tensor | None = None) -> Tensor:
        """Features of the content pictures [N, 3, H, W] at the content tap, without gradient."""
        with torch.no_grad():
            return self.features(content, [self.content_tap], style)[self.content_tap]

    def style_terms(self, features: dict[str, Tensor], style: Tensor | None = None) -> dict[str, Tensor]:
        """The style loss of `features` at each style tap, by style/TAP."""
        return {
            f"style/{tap}": style_loss(self.gram(features[tap]), self.target_gram(tap, style))
            for tap in self.style_taps
        }

    def compare(
        self, stylized: Tensor, content_target: Tensor, style: Tensor | None = None
    ) -> dict[str, Tensor]:
        """All terms of ``stylized`` [N, 3, H, W]: total, content, style, tv and style/TAP.

        ``style``: the number of the style that each picture is compared with, [N]; None for the first one.
        All but the total are unweighted.
        """
        features = self.features(stylized, self.taps, style)
        layers = self.style_terms(features, style)
        terms = {
            "content": content_loss(features[self.content_tap], content_target),
            "style": torch.stack(list(layers.values())).mean(),
            "tv": total_variation(stylized),
        }
        total = sum(weight * terms[name] for name, weight in asdict(self.weights).items())
        return {"total": torch.as_tensor(total), **terms, **layers}

    def forward(self, stylized: Tensor, content: Tensor, style: Tensor | None = None) -> dict[str, Tensor]:
        """`compare` against the content pictures themselves."""
        return self.compare(stylized, self.content_target(content, style), style)


def floats(terms: Mapping[str, Tensor]) -> dict[str, float]:
    """Loss terms as plain numbers."""
    return {name: float(value.detach()) for name, value in terms.items()}
