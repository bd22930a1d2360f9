"""How well one loss network stands in for another: do they rank picture pairs alike?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor
from torch.nn import functional as F

from fast_nst.losses import content_loss, gram_matrix, style_loss
from fast_nst.networks.features import CONTENT_TAP, STYLE_TAPS, LossNetwork


@dataclass(frozen=True)
class Fidelity:
    """Spearman rank correlations between two loss networks' losses over picture pairs."""

    style: float
    """Of the style losses, mean over the style taps."""
    content: float
    """Of the content losses."""
    style_per_tap: dict[str, float]
    """Of the style losses at each tap."""
    pairs: int
    """Number of pairs."""


def blurred(image: Tensor, factor: int) -> Tensor:
    """[1, 3, H, W] shrunk by ``factor`` and enlarged again."""
    small = F.interpolate(image, scale_factor=1 / factor, mode="area")
    return F.interpolate(small, image.shape[-2:], mode="bilinear")


def noisy(image: Tensor, amount: float, seed: int) -> Tensor:
    """[1, 3, H, W] in [0, 1] with Gaussian noise of standard deviation ``amount``."""
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(seed))
    return (image + amount * noise).clamp(0, 1)


def make_pairs(
    photographs: Sequence[Tensor],
    paintings: Sequence[Tensor],
    stylize: Callable[[Tensor], Tensor],
) -> list[tuple[Tensor, Tensor]]:
    """Four pairs per photograph: with a painting, its stylized, its blurred and its noisy version.

    All pictures are [1, 3, H, W] in [0, 1]. Blur and noise grow through the list, from slight to strong.
    """
    pairs = []
    for index, photograph in enumerate(photographs):
        pairs += [
            (photograph, paintings[index % len(paintings)]),
            (photograph, stylize(photograph)),
            (photograph, blurred(photograph, 2 + index % 6)),
            (photograph, noisy(photograph, 0.02 + 0.2 * (index % 10) / 9, index)),
        ]
    return pairs


@torch.no_grad()
def pair_losses(
    network: LossNetwork, pairs: Sequence[tuple[Tensor, Tensor]]
) -> tuple[np.ndarray, np.ndarray]:
    """Style losses [pairs, taps] and content losses [pairs] of second against first pictures."""
    styles, contents = [], []
    for first, second in pairs:
        a = network(first, {*STYLE_TAPS, CONTENT_TAP})
        b = network(second, {*STYLE_TAPS, CONTENT_TAP})
        styles.append([float(style_loss(gram_matrix(a[tap]), gram_matrix(b[tap]))) for tap in STYLE_TAPS])
        same_size = a[CONTENT_TAP].shape == b[CONTENT_TAP].shape
        contents.append(float(content_loss(b[CONTENT_TAP], a[CONTENT_TAP])) if same_size else float("nan"))
    return np.array(styles), np.array(contents)


def measure_fidelity(
    teacher: LossNetwork, student: LossNetwork, pairs: Sequence[tuple[Tensor, Tensor]]
) -> Fidelity:
    """Compare two loss networks over ``pairs`` from `make_pairs`."""
    style_t, content_t = pair_losses(teacher, pairs)
    style_s, content_s = pair_losses(student, pairs)
    return Fidelity(
        style=_correlation(style_t.mean(1), style_s.mean(1)),
        content=_correlation(content_t, content_s),
        style_per_tap={tap: _correlation(style_t[:, i], style_s[:, i]) for i, tap in enumerate(STYLE_TAPS)},
        pairs=len(pairs),
    )


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(spearmanr(a, b).statistic)
