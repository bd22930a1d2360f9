"""Changed versions of pictures: what the losses have to rank."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def changed_versions(images: Tensor, other: Tensor, generator: torch.Generator) -> Tensor:
    """Each picture blurred, made noisy, recolored, faded into another, redrawn coarsely or woven over.

    These are the pictures whose distance from the original a content loss must rank.
    Both [N, 3, H, W] in [0, 1].
    """
    changed = []
    for picture, mate in zip(images, other, strict=True):
        kind = int(torch.randint(8, (), generator=generator))
        amount = float(torch.rand((), generator=generator))
        if kind == 0:
            picture = picture + (0.02 + 0.2 * amount) * torch.randn(picture.shape, generator=generator)
        elif kind == 1:
            factor = 2 + int(amount * 5)
            small = F.avg_pool2d(picture[None], factor)
            picture = F.interpolate(small, picture.shape[-2:], mode="bilinear")[0]
        elif kind == 2:
            mix = torch.eye(3) + 0.6 * amount * torch.randn(3, 3, generator=generator)
            picture = torch.einsum("dc,chw->dhw", mix, picture)
        elif kind == 3:
            picture = torch.lerp(picture, mate, 0.15 + 0.7 * amount)
        elif kind == 4:
            levels = 2 + int(amount * 6)
            picture = (picture * levels).round() / levels
        elif kind in (5, 6):
            pattern = grating(picture.shape, generator) if kind == 5 else grain(picture.shape, generator)
            picture = picture + (0.04 + 0.3 * amount) * pattern
        else:
            shift = 1 + int(amount * 12)
            picture = picture.roll((shift, -shift), (1, 2))
        changed.append(picture.clamp(0, 1))
    return torch.stack(changed)


def grating(shape: torch.Size, generator: torch.Generator) -> Tensor:
    """Two crossed waves of 2 to 16 px in random colors, [3, H, W], about -1 to 1: a weave."""
    _, height, width = shape
    y = torch.arange(height).view(1, -1, 1)
    x = torch.arange(width).view(1, 1, -1)
    waves = torch.zeros(shape)
    for _ in range(2):
        angle, phase, period = torch.rand(3, generator=generator).tolist()
        frequency = 2 * math.pi / (2 * 8**period)
        turned = x * math.cos(math.pi * angle) + y * math.sin(math.pi * angle)
        color = torch.randn(3, 1, 1, generator=generator)
        waves = waves + 0.5 * color * torch.sin(frequency * turned + 2 * math.pi * phase)
    return waves


def grain(shape: torch.Size, generator: torch.Generator) -> Tensor:
    """Noise in cells of 1 to 8 px, sharp or soft, in random colors, [3, H, W], about -1 to 1."""
    channels, height, width = shape
    cell = 1 + int(torch.randint(8, (), generator=generator))
    sharp = bool(torch.randint(2, (), generator=generator))
    coarse = torch.randn(1, channels, -(-height // cell), -(-width // cell), generator=generator)
    mix = torch.randn(3, 3, generator=generator) / 3**0.5
    mode = "nearest" if sharp else "bilinear"
    fine = F.interpolate(coarse, scale_factor=float(cell), mode=mode)[0, :, :height, :width]
    return torch.einsum("dc,chw->dhw", mix, fine)
