"""From whatever a picture file holds to plain sRGB: modes, alpha, wide samples, color spaces."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
from PIL import Image, ImageCms

from fast_nst.pictures.spaces import Space, space_to_srgb

_WHITE_IS_ZERO, _PHOTOMETRIC = 0, 262


def to_srgb(
    image: Image.Image, source: bytes | Space | None, wide: np.ndarray | None = None
) -> tuple[Image.Image, Image.Image | None]:
    """Any mode Pillow knows -> mode RGB in sRGB, and the opacity (mode L) where there is any.

    `source` is an ICC profile, which is ignored if it is unusable, a space told by numbers, or None for
    sRGB. `wide` holds the samples where Pillow has dropped their lower halves: uint16 [H, W, 3 or 4].
    """
    if wide is not None:
        space = source if isinstance(source, Space) else Space()
        rgb = Image.fromarray(space_to_srgb(wide[..., :3], space))
        return rgb, (Image.fromarray(_upper_half(wide[..., 3])) if wide.shape[2] == 4 else None)
    if image.mode.startswith("I") or image.mode == "F":
        return _from_wide_grey(image, source)
    alpha = None
    if image.has_transparency_data:
        grey = image.mode in ("1", "L", "LA", "La")
        image = image.convert("LA" if grey else "RGBA")
        alpha = image.getchannel("A")
        image = image.convert("L" if grey else "RGB")
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


def _from_wide_grey(
    image: Image.Image, source: bytes | Space | None
) -> tuple[Image.Image, Image.Image | None]:
    """Grey of 16 or 32 bits, or floats."""
    values = np.asarray(image)
    alpha = None
    if isinstance(hidden := image.info.get("transparency"), int):
        alpha = Image.fromarray(np.where(values == hidden, 0, 255).astype(np.uint8))
    codes = _to_16_bit(values)
    tags = getattr(image, "tag_v2", None) or {}
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:  # Pillow sees to it for 8 bits
        codes = 65535 - codes
    if isinstance(source, Space):
        return Image.fromarray(space_to_srgb(np.repeat(codes[..., None], 3, axis=2), source)), alpha
    return _through_any_profile(Image.fromarray(_upper_half(codes)), source), alpha


def _upper_half(codes: np.ndarray) -> np.ndarray:
    """uint16 -> uint8, rounded."""
    return np.rint(codes / np.float32(257)).astype(np.uint8)


def _to_16_bit(values: np.ndarray) -> np.ndarray:
    """Wide grey [H, W] -> uint16 [H, W] by the range of its kind, or its own if that is wider."""
    if values.dtype == np.uint16:
        return values
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
    return np.rint((numbers - low) * (65535.0 / (high - low or 1.0))).astype(np.uint16)
