"""Perceptual losses, dimensionless: one weight means the same for every style, size and loss network.

Content and style follow Gatys et al. 2016 and Johnson et al. 2016, section 3.1, but each error is
divided by the energy of its own target: the content error by the variance of the content features, a
layer's Gram error by the Gram energy of the style. A loss of 1 is "as wrong as the target is large".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fast_nst.loss_config import LossWeights
from fast_nst.networks.features import LossNetwork

PERIOD = 4  # px, the stride of Johnson's network and of the fast ones' finer half
LATTICE_CELLS = 5  # an area of 20 px: strokes average out, a weave does not
PEAK = 1.0  # what the largest activation is smoothed to, as an exponent of e; 3 and more bring it back
EPSILON = 1e-8  # keeps a constant target from dividing by zero


def gram_matrix(features: Tensor) -> Tensor:
    """Gram matrices [N, C, C] of features [N, C, H, W], divided by C*H*W, always in float32.

    The features are divided by sqrt(C*H*W) before the product, so nothing overflows half precision.
    """
    n, c, h, w = features.shape
    with torch.autocast(features.device.type, enabled=False):
        flat = features.float().reshape(n, c, h * w) / (c * h * w) ** 0.5  # [N, C, HW]
        return flat @ flat.transpose(1, 2)


def content_loss(features: Tensor, target: Tensor) -> Tensor:
    """Mean squared feature error over the variance of each picture's target; both [N, C, H, W]."""
    features, target = features.float(), target.float()
    error = (features - target).square().flatten(1).mean(1)  # [N]
    return (error / (target.flatten(1).var(1, correction=0) + EPSILON)).mean()


def smooth_activations(features: Tensor, scale: Tensor | float = 1.0) -> Tensor:
    """Softmax over all activations of a picture's layer [N, C, H, W], in float32; their mean is 1.

    SWAG, stylization with activation smoothing (Wang, Li, Vasconcelos 2021, section 3): the few large
    activations of a residual network no longer make up all of its Gram matrix. ``scale`` is the softmax's
    temperature: the larger, the smoother.
    """
    flat = (features.float() / scale).flatten(1)  # [N, CHW]
    return (flat.softmax(1) * flat.shape[1]).reshape(features.shape)


def style_loss(gram: Tensor, target: Tensor) -> Tensor:
    """Squared Gram error over the target's Gram energy; gram [N, C, C], target [C, C] or [1, C, C]."""
    error = (gram - target).square().flatten(1).sum(1)  # [N]
    return error.mean() / (target.square().sum() + EPSILON**2)


def total_variation(images: Tensor) -> Tensor:
    """Mean squared difference of neighbors, across plus down; images [N, 3, H, W] in [0, 1]."""
    images = images.float()
    across = (images[..., :, 1:] - images[..., :, :-1]).square()
    down = (images[..., 1:, :] - images[..., :-1, :]).square()
    # A single row or column has no neighbors one way; the mean of nothing is not a number.
    return across.sum() / max(1, across.numel()) + down.sum() / max(1, down.numel())


def lattice(images: Tensor) -> Tensor:
    """Energy of what repeats every 4 px: the checkerboard of Odena et al. 2016; [N, 3, H, W] in [0, 1].

    A network with stride 4 can fill a flat area with a weave of that period and nothing else, and a Gram
    matrix cannot tell a weave from strokes. Here each of the 4x4 phases of the pixel grid is averaged over
    `LATTICE_CELLS` cells to either side; in a picture without lattice the 16 averages agree.
    """
    n, c, height, width = images.shape
    h, w = height // PERIOD, width // PERIOD  # in cells
    if min(h, w) == 0:
        return images.new_zeros(())  # too small for a lattice
    whole = images[..., : h * PERIOD, : w * PERIOD].float()
    phases = F.pixel_unshuffle(whole, PERIOD).reshape(n * c, PERIOD**2, h, w)
    local = F.avg_pool2d(phases, min(LATTICE_CELLS, h, w), 1)
    return (local - local.mean(1, keepdim=True)).square().mean()


class PerceptualLoss(nn.Module):
    """Content, style, total variation and lattice of stylized pictures under one loss network.

    The style's Gram matrices are computed once, here. One call runs the loss network once on the
    stylized pictures (all taps) and once, without gradient, on the content (up to the content tap).
    """

    def __init__(
        self,
        network: LossNetwork,
        style: Tensor,
        style_taps: Sequence[str],
        content_tap: str,
        weights: LossWeights,
        smoothing: bool = False,
        downscale: int = 1,
    ) -> None:
        """``style``: the style picture [1, 3, H, W] in [0, 1], at the size whose strokes are wanted.

        ``downscale``: other pictures are reduced by this factor before the loss network sees them.

        ``smoothing``: compare `smooth_activations`, at a temperature of 1 / `PEAK` of the style's largest
        activation at the tap, so that networks whose activations are large by nature are smoothed as much.
        """
        super().__init__()
        self.network = network
        self.style_taps = tuple(style_taps)
        self.content_tap = content_tap
        self.weights = weights
        self.smoothing = smoothing
        self.downscale = 1  # not the style
        with torch.no_grad():
            if smoothing:
                for tap, raw in network(style, self.taps).items():
                    scale = raw.float().amax() / PEAK + EPSILON
                    self.register_buffer(f"scale_{tap}", scale, persistent=False)
            features = self.features(style, self.style_taps)
        for tap in self.style_taps:
            self.register_buffer(f"gram_{tap}", self.gram(features[tap]), persistent=False)
        self.downscale = downscale

    @property
    def taps(self) -> set[str]:
        """All layers that are compared."""
        return {*self.style_taps, self.content_tap}

    def features(self, images: Tensor, taps: Iterable[str]) -> dict[str, Tensor]:
        """What is compared of pictures [N, 3, H, W] at ``taps``: features, smoothed where asked for."""
        if self.downscale > 1:
            images = F.avg_pool2d(images, min(self.downscale, *images.shape[-2:]))
        features = self.network(images, taps)
        if self.smoothing:
            return {
                tap: smooth_activations(raw, self.get_buffer(f"scale_{tap}")) for tap, raw in features.items()
            }
        return features

    def gram(self, features: Tensor) -> Tensor:
        """Gram matrices [N, C, C] of what `features` gave.

        Smoothed activations have a mean of 1, whose own Gram matrix is taken off: it is the same for every
        picture, and would make up nearly all of the target's energy.
        """
        return gram_matrix(features) - (1 / features.shape[1] if self.smoothing else 0)

    def target_gram(self, tap: str) -> Tensor:
        """The style's Gram matrix [1, C, C] at ``tap``."""
        return self.get_buffer(f"gram_{tap}")

    def content_target(self, content: Tensor) -> Tensor:
        """Features of the content pictures [N, 3, H, W] at the content tap, without gradient."""
        with torch.no_grad():
            return self.features(content, [self.content_tap])[self.content_tap]

    def compare(self, stylized: Tensor, content_target: Tensor) -> dict[str, Tensor]:
        """All terms of ``stylized`` [N, 3, H, W]: total, content, style, tv, lattice and style/TAP.

        All but the total are unweighted.
        """
        features = self.features(stylized, self.taps)
        layers = {
            f"style/{tap}": style_loss(self.gram(features[tap]), self.target_gram(tap))
            for tap in self.style_taps
        }
        terms = {
            "content": content_loss(features[self.content_tap], content_target),
            "style": torch.stack(list(layers.values())).mean(),
            "tv": total_variation(stylized),
            "lattice": lattice(stylized),
        }
        total = sum(weight * terms[name] for name, weight in asdict(self.weights).items())
        return {"total": torch.as_tensor(total), **terms, **layers}

    def forward(self, stylized: Tensor, content: Tensor) -> dict[str, Tensor]:
        """`compare` against the content pictures themselves."""
        return self.compare(stylized, self.content_target(content))


def floats(terms: Mapping[str, Tensor]) -> dict[str, float]:
    """Loss terms as plain numbers."""
    return {name: float(value.detach()) for name, value in terms.items()}
