"""Small changes of a picture that its stylization must follow: stable video without video data."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

MOST_SHIFT = 3  # px, all that a stride of 4 tells apart and half of what one of 8 does
MOST_ZOOM = 0.02
MOST_NOISE = 4 / 255
MOST_BRIGHTNESS = 0.04
MARGIN = 16  # px at the border that are not compared: what a shift brings in there is made up


Change = Callable[[Tensor], Tensor]  # of pictures [N, 3, H, W] in [0, 1]


def perturbation(seed: tuple[int, ...]) -> tuple[Change, Change]:
    """A small motion and a small change of light; the same for a seed.

    The motion is a shift by whole pixels, half of the time with a zoom; the light is a factor and noise. A
    painting moves with the motion, but stays the same under the light (in the spirit of Wang et al. 2020,
    "Consistent video style transfer via compound regularization").
    """
    rng = np.random.default_rng(seed)
    down, right = (int(shift) for shift in rng.integers(-MOST_SHIFT, MOST_SHIFT + 1, 2))
    zoom = 1 + rng.uniform(-MOST_ZOOM, MOST_ZOOM) * (rng.random() < 0.5)
    factor = 1 + rng.uniform(-MOST_BRIGHTNESS, MOST_BRIGHTNESS)
    sigma = rng.uniform(0, MOST_NOISE)
    noise_seed = int(rng.integers(2**31))

    def move(images: Tensor) -> Tensor:
        if zoom == 1:
            return torch.roll(images, (down, right), (2, 3))
        height, width = images.shape[-2:]
        affine = images.new_tensor([[zoom, 0, 2 * right / width], [0, zoom, 2 * down / height]])
        grid = F.affine_grid(affine.expand(len(images), 2, 3), list(images.shape), align_corners=False)
        return F.grid_sample(images, grid.to(images.dtype), padding_mode="reflection", align_corners=False)

    def light(images: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(noise_seed)
        noise = torch.randn(images.shape, generator=generator).to(images)
        return (images * factor + sigma * noise).clamp(0, 1)

    return move, light


def stability_loss(network: Change, images: Tensor, stylized: Tensor, seed: tuple[int, ...]) -> Tensor:
    """Squared difference of stylized perturbed and perturbed stylized pictures, over the latter's variance.

    ``images`` and ``stylized`` are [N, 3, H, W] in [0, 1], the second what ``network`` made of the first.
    0 is a painting that moves with the scene, 1 as wrong as a flat picture.
    """
    move, light = perturbation(seed)
    margin = min(MARGIN, (min(images.shape[-2:]) - 1) // 2)
    inside = (..., slice(margin, images.shape[-2] - margin), slice(margin, images.shape[-1] - margin))
    expected = move(stylized.float())[inside]
    got = network(light(move(images)))[inside].float()
    error = (got - expected).square().flatten(1).mean(1)  # [N]
    return (error / (expected.detach().flatten(1).var(1, correction=0) + 1e-3)).mean()
