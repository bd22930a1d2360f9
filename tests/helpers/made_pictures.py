"""Small pictures, and files of them, that tests of pictures share."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """The bytes of a file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    """uint8 [H, W, C], the same for a seed."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


def smooth(height: int = 40, width: int = 60) -> np.ndarray:
    """uint8 [H, W, 3] that JPEG hardly changes."""
    y, x = np.mgrid[0:height, 0:width]
    channels = (255 * x / width, 255 * y / height, 255 - 255 * x / width)
    return np.stack(channels, axis=-1).astype(np.uint8)
