"""What lies under transparent pixels: a color, or the continuation of what is around them."""

from __future__ import annotations

from PIL import Image, ImageColor

from fast_nst.errors import UserError


def ground_color(alpha: str) -> tuple[int, int, int] | None:
    """The color that "white", "#rrggbb" or another name of Pillow's stands for, None for "keep".

    Raises UserError for what is none of them.
    """
    if alpha == "keep":
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

    So neither the hidden pixels' own colors nor a ground fringes the edges.
    """
    if 0 not in opacity.getextrema() or opacity.size == (1, 1):
        return rgb
    seen = rgb.copy()
    seen.putalpha(opacity)
    small = seen.convert("RGBa").reduce(2).convert("RGBA")
    around = bleed(small.convert("RGB"), small.getchannel("A").point(_opaque)).resize(
        rgb.size, Image.Resampling.BILINEAR
    )
    return Image.composite(rgb, around, opacity.point(_opaque))


_opaque = [0] + [255] * 255  # table: whatever is seen a little, is seen
