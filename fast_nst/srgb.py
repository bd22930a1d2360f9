"""From whatever a picture file holds to plain sRGB: modes, alpha, wide grey, ICC profiles."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
from PIL import Image, ImageCms


def to_srgb(image: Image.Image) -> Image.Image:
    """Any mode Pillow knows -> mode RGB in sRGB, alpha over white.

    An embedded ICC profile is honoured, one that is unusable ignored.
    """
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I") or image.mode == "F":
        image = Image.fromarray(_to_8_bit(np.asarray(image)))
    alpha = None
    if image.has_transparency_data:
        grey = image.mode in ("1", "L", "LA", "La")
        image = image.convert("LA" if grey else "RGBA")
        alpha = image.getchannel("A")
        image = image.convert("L" if grey else "RGB")
    elif image.mode not in ("L", "RGB", "CMYK", "LAB"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    rgb = _through_profile(image, profile)
    if alpha is None:
        return rgb
    return Image.composite(rgb, Image.new("RGB", rgb.size, "white"), alpha)


@cache
def srgb_profile() -> bytes:
    """An sRGB ICC profile to embed; the same bytes in every process."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # Bytes 24-36 hold the time of making: fixed, so that the same pixels give the same file.
    return profile[:24] + bytes((7, 208, 0, 1, 0, 1)) + bytes(6) + profile[36:]


def _to_8_bit(values: np.ndarray) -> np.ndarray:
    """Wide grey [H, W] -> uint8 [H, W] by the range of its kind, or its own if that is wider."""
    with np.errstate(invalid="ignore"):  # signaling NaNs of a damaged file
        numbers = values.astype(np.float64)
    finite = numbers[np.isfinite(numbers)]
    least, most = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    low, high = 0.0, 65535.0  # Pillow gives 16-bit data as 16-bit or as 32-bit integers
    if values.dtype.kind == "f":
        high = 1.0 if most <= 1.0 else 255.0
    if least < low or most > high:
        low, high = least, most
    numbers = np.nan_to_num(numbers, nan=low, posinf=high, neginf=low)
    return np.rint((numbers - low) * (255.0 / (high - low or 1.0))).astype(np.uint8)


def _through_profile(image: Image.Image, icc: bytes | None) -> Image.Image:
    """L, RGB, CMYK or LAB -> RGB in sRGB."""
    if icc or image.mode == "LAB":
        try:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(icc) if icc else ImageCms.createProfile("LAB"))
            if (profile.profile.profile_description or "").startswith("sRGB"):
                return image.convert("RGB")
            transform = ImageCms.buildTransform(
                profile,
                ImageCms.createProfile("sRGB"),
                image.mode,
                "RGB",
                ImageCms.Intent.RELATIVE_COLORIMETRIC,
                ImageCms.Flags.BLACKPOINTCOMPENSATION,
            )
            converted = ImageCms.applyTransform(image, transform)
            if converted is not None:
                return converted
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            pass  # a profile for another mode, or garbage
    return image.convert("RGB")
