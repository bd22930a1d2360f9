"""From a picture's pixels to the square crops and tensors that training takes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from fast_nst.pictures import decode_picture


def random_crop(pixels: np.ndarray, size: int, min_scale: float, rng: np.random.Generator) -> Tensor:
    """A random square of uint8 [H, W, 3], resized to uint8 [3, size, size] and flipped half the time.

    Its side is ``min_scale`` to 1 of the shorter side, but not under ``size`` where the picture has
    that many pixels; smaller pictures are enlarged.
    """
    height, width = pixels.shape[:2]
    short = min(height, width)
    least = min(short, max(round(min_scale * short), size))
    side = int(rng.integers(least, short + 1))
    top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
    square = Image.fromarray(pixels[top : top + side, left : left + side])
    if side != size:
        square = square.resize((size, size), Image.Resampling.LANCZOS)
    if rng.random() < 0.5:
        square = square.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return to_tensor(np.asarray(square))


def center_crop(pixels: np.ndarray, size: int) -> Tensor:
    """The middle square of uint8 [H, W, 3], resized to uint8 [3, size, size]."""
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = Image.fromarray(pixels[top : top + side, left : left + side])
    return to_tensor(np.asarray(square.resize((size, size), Image.Resampling.LANCZOS)))


def to_tensor(pixels: np.ndarray) -> Tensor:
    """uint8 [H, W, 3] to uint8 [3, H, W]."""
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy())


def to_float(images: Tensor) -> Tensor:
    """uint8 [..., 3, H, W] to float in [0, 1]."""
    return images.float() / 255


def load_image(path: str | Path, short_side: int | None = None) -> Tensor:
    """A picture file as float [1, 3, H, W] in [0, 1], its shorter side resized to ``short_side`` px.

    Raises:
        UnreadablePicture: not a readable picture.
    """
    picture = Image.fromarray(decode_picture(Path(path)).pixels)
    if short_side is not None:
        scale = short_side / min(picture.size)
        width, height = (max(1, round(side * scale)) for side in picture.size)
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    return to_float(to_tensor(np.asarray(picture)))[None]


def longer_side(image: Tensor, side: int) -> tuple[int, int]:
    """Height and width that [..., H, W] has with its longer side at ``side`` px, the aspect kept."""
    return _scaled(image, side / max(image.shape[-2:]))


def shorter_side(image: Tensor, side: int) -> tuple[int, int]:
    """Height and width that [..., H, W] has with its shorter side at ``side`` px, the aspect kept."""
    return _scaled(image, side / min(image.shape[-2:]))


def _scaled(image: Tensor, scale: float) -> tuple[int, int]:
    height, width = image.shape[-2:]
    return max(1, round(height * scale)), max(1, round(width * scale))


def resize(image: Tensor, shape: Sequence[int]) -> Tensor:
    """[N, 3, H, W] in [0, 1] to height and width ``shape``, antialiased bicubic."""
    if tuple(shape) == tuple(image.shape[-2:]):
        return image
    return F.interpolate(image, tuple(shape), mode="bicubic", antialias=True).clamp(0, 1)
