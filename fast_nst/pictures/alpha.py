"""What lies under transparent pixels: white, a color, or the continuation of what is around them."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageColor

from fast_nst.errors import UserError

KEEP = "keep"


def ground_color(alpha: str) -> tuple[int, int, int] | None:
    """The color that "white", "#rrggbb" or another name of Pillow's stands for, None for "keep".

    Raises UserError for what is none of them.
    """
    if alpha == KEEP:
        return None
    try:
        red, green, blue = ImageColor.getrgb(alpha)[:3]
        return red, green, blue
    except ValueError:
        raise UserError(
            f"--alpha must be keep, white or a color such as '#ffcc00' or skyblue, not {alpha!r}"
        ) from None


def over(rgb: Image.Image, opacity: Image.Image, color: tuple[int, int, int]) -> Image.Image:
    """The picture laid over a color."""
    return Image.composite(rgb, Image.new("RGB", rgb.size, color), opacity)


def bleed(rgb: Image.Image, opacity: Image.Image) -> Image.Image:
    """The picture with the colors of what is seen running on under what is not seen at all.

    So neither the hidden pixels' own colors nor a ground fringes the edges when the picture is made
    smaller or stylized.
    """
    weight = np.asarray(opacity)
    if weight.all() or weight.size == 1:
        return rgb
    pixels = np.asarray(rgb)
    around = _enlarged(_fill(*_halved(pixels, weight)), opacity.size)
    around = np.rint(around).clip(0, 255).astype(np.uint8)
    return Image.fromarray(np.where(weight[..., None] > 0, pixels, around))


def _fill(color: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Color [H, W, 3] where there is weight [H, W], elsewhere that of a copy of half the size."""
    if weight.all() or weight.size == 1:
        return color
    around = _enlarged(_fill(*_halved(color, weight)), weight.shape[::-1])
    return np.where(weight[..., None] > 0, color, around)


def _halved(color: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means of two by two, floats; color by channels, for floats of all would take much room."""
    sums = [_reduced(color[..., channel] * weight.astype(np.float32)) for channel in range(3)]
    small = _reduced(weight.astype(np.float32))
    return np.stack(sums, axis=-1) / np.maximum(small, 1e-9)[..., None], small


def _reduced(values: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(values).reduce(2))


def _enlarged(color: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    width, height = size
    channels = (Image.fromarray(np.ascontiguousarray(color[..., channel])) for channel in range(3))
    resized = [channel.resize((width, height), Image.Resampling.BILINEAR) for channel in channels]
    return np.stack([np.asarray(channel) for channel in resized], axis=-1)


def is_opaque(opacity: Image.Image) -> bool:
    """Whether nothing is transparent."""
    return bool((np.asarray(opacity) == 255).all())


def rgba(pixels: np.ndarray, opacity: np.ndarray | None) -> Image.Image:
    """uint8 [H, W, 3] and [H, W] as one picture; RGB where there is no opacity."""
    image = Image.fromarray(pixels)
    if opacity is not None:
        image.putalpha(Image.fromarray(opacity))
    return image
