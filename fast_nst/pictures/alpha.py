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
    if np.asarray(opacity).all() or opacity.size == (1, 1):
        return rgb
    seen = rgb.copy()
    seen.putalpha(opacity)
    small = seen.convert("RGBa").reduce(2).convert("RGBA")
    around = bleed(small.convert("RGB"), small.getchannel("A").point(_opaque)).resize(
        rgb.size, Image.Resampling.BILINEAR
    )
    return Image.composite(rgb, around, opacity.point(_opaque))


_opaque = [0] + [255] * 255  # table: whatever is seen a little, is seen


def is_opaque(opacity: Image.Image) -> bool:
    """Whether nothing is transparent."""
    return bool((np.asarray(opacity) == 255).all())


def rgba(pixels: np.ndarray, opacity: np.ndarray | None) -> Image.Image:
    """uint8 [H, W, 3] and [H, W] as one picture; RGB where there is no opacity."""
    image = Image.fromarray(pixels)
    if opacity is not None:
        image.putalpha(Image.fromarray(opacity))
    return image
