"""From whatever a picture file holds to plain sRGB: modes, alpha, wide samples, color spaces."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from functools import cache

import numpy as np
from PIL import Image, ImageCms

from fast_nst.pictures.spaces import Space, space_to_srgb

logger = logging.getLogger("fast_nst")

_WHITE_IS_ZERO, _PHOTOMETRIC = 0, 262
_BAND = 2**20  # pixels at once
_WHITES = (1.0, 255.0)  # of floats


def to_srgb(
    image: Image.Image,
    source: bytes | Space | None,
    wide: np.ndarray | None = None,
    name: str = "the picture",
) -> tuple[Image.Image, Image.Image | None]:
    """Any mode Pillow knows -> mode RGB in sRGB, and the opacity (mode L) where there is any.

    `source` is an ICC profile, which is ignored if it is unusable, a space told by numbers, or None for
    sRGB. `wide` holds the samples where Pillow has dropped their lower halves: uint16 [H, W, 3 or 4].
    `name` is what warnings call it.
    """
    if wide is not None:
        colors = wide[..., :3]
        if isinstance(source, Space):
            rgb = Image.fromarray(space_to_srgb(colors, source))
        else:
            rgb = _through_any_profile(Image.fromarray(_upper_half(colors)), source)
        return rgb, (Image.fromarray(_upper_half(wide[..., 3])) if wide.shape[2] == 4 else None)
    if image.mode.startswith("I") or image.mode == "F":
        return _from_wide_gray(image, source, name)
    alpha = None
    if image.has_transparency_data:
        gray = image.mode in ("1", "L", "LA", "La")
        image = image.convert("LA" if gray else "RGBA")
        alpha = image.getchannel("A")
        image = image.convert("L" if gray else "RGB")
    elif image.mode not in ("L", "RGB", "CMYK", "LAB"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    if isinstance(source, Space):
        rgb = image.convert("RGB")
        if image.mode in ("L", "RGB"):
            rgb = Image.fromarray(space_to_srgb(np.asarray(rgb), source))
        return rgb, alpha
    return _through_any_profile(image, source), alpha


@cache
def srgb_profile() -> bytes:
    """An sRGB ICC profile to embed; the same bytes in every process."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # Bytes 24-36 hold the time of making: fixed, so that the same pixels give the same file.
    return profile[:24] + bytes((7, 208, 0, 1, 0, 1)) + bytes(6) + profile[36:]


def through_profile(image: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    """L, RGB, CMYK or LAB -> RGB in sRGB.

    Raises PyCMSError or another of ImageCms's where the profile does not fit.
    """
    if image.mode == "L" and profile.profile.xcolor_space.strip() == "RGB":
        image = image.convert("RGB")
    transform = ImageCms.buildTransform(
        profile,
        ImageCms.createProfile("sRGB"),
        image.mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    converted = ImageCms.applyTransform(image, transform)
    if converted is None:
        raise ValueError("nothing was converted")
    return converted


def _through_any_profile(image: Image.Image, icc: bytes | None) -> Image.Image:
    if icc or image.mode == "LAB":
        try:
            made = io.BytesIO(icc) if icc else ImageCms.createProfile("LAB")
            return through_profile(image, ImageCms.ImageCmsProfile(made))
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            pass  # a profile for another mode, or garbage
    return image.convert("RGB")


def _from_wide_gray(
    image: Image.Image, source: bytes | Space | None, name: str
) -> tuple[Image.Image, Image.Image | None]:
    """Gray of 16 or 32 bits, or floats; by bands, for floats of all would take many times its room."""
    low, high = _range(image, name)
    hidden = image.info.get("transparency")
    tags = getattr(image, "tag_v2", None) or {}
    white_is_zero = tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO  # Pillow sees to it for 8 bits
    space = source if isinstance(source, Space) else None
    rgb = Image.new("RGB" if space else "L", image.size)
    alpha = Image.new("L", image.size) if isinstance(hidden, int) else None
    for top, values in _bands(image):
        codes = _to_16_bit(values, low, high)
        if white_is_zero:
            codes = 65535 - codes
        shown = space_to_srgb(codes[..., None].repeat(3, axis=2), space) if space else _upper_half(codes)
        rgb.paste(Image.fromarray(shown), (0, top))
        if alpha is not None:
            alpha.paste(Image.fromarray(np.where(values == hidden, 0, 255).astype(np.uint8)), (0, top))
    return (rgb if space else _through_any_profile(rgb, source)), alpha  # type: ignore[arg-type]


def _bands(image: Image.Image) -> Iterator[tuple[int, np.ndarray]]:
    """Rows of a picture, with where they begin."""
    rows = max(1, _BAND // image.width)
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        yield top, np.asarray(band)


def _upper_half(codes: np.ndarray) -> np.ndarray:
    """uint16 -> uint8, rounded."""
    return np.rint(codes / np.float32(257)).astype(np.uint8)


def _range(image: Image.Image, name: str) -> tuple[float, float]:
    """Black and white: those of the kind of the samples; of integers the least and the most if that is wider.

    Of floats white is 1 or 255, as most of them have it, and the range of what goes beyond both; a few
    beyond are clipped. What is not plainly 0 to 1 is said, as of floats in RGB.
    """
    least, most, kind, counts = np.inf, -np.inf, "u", np.zeros(3, int)
    for _, values in _bands(image):
        kind = values.dtype.kind
        finite = values[np.isfinite(values)]
        if finite.size:
            least, most = min(least, float(finite.min())), max(most, float(finite.max()))
            counts += np.bincount(np.digitize(finite[finite > 0], _WHITES, right=True), minlength=3)
    if least > most:  # not a number in it
        least, most = 0.0, 0.0
    if kind != "f":  # Pillow gives 16-bit data as 16-bit or as 32-bit integers
        return (least, most) if least < 0 or most > 65535 else (0.0, 65535.0)
    low, high = ((0.0, 1.0), (0.0, 255.0), (least, most))[int(counts.argmax())]
    if high != 1 or least < 0 or most > 1:
        words = "%s: float gray, read as %g (black) to %g (white), what is beyond clipped"
        logger.warning(words, name, low, high)
    return low, high


def _to_16_bit(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Wide gray [H, W] -> uint16 [H, W]."""
    if values.dtype == np.uint16:
        return values
    with np.errstate(invalid="ignore"):  # signaling NaNs of a damaged file
        numbers = np.nan_to_num(values.astype(np.float64), nan=low, posinf=high, neginf=low).clip(low, high)
    return np.rint((numbers - low) * (65535.0 / (high - low or 1.0))).astype(np.uint16)
