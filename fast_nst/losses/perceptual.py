"""The perceptual loss of stylized pictures, from the terms of `fast_nst.losses.terms`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

import torch
from torch import Tensor, nn

from fast_nst.losses.config import LossWeights
from fast_nst.losses.terms import (
    EPSILON,
    content_loss,
    gram_matrix,
    smooth_activations,
    style_loss,
    total_variation,
)
from fast_nst.networks.features import LossNetwork

PEAK = 1.0  # what the largest activation is smoothed to, as an exponent of e; 3 and more bring it back


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
