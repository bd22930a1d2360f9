"""What the colors of a file mean, from all that it says, in the order of its format's specification."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import IO

import numpy as np
from PIL import Image, ImageCms

from fast_nst.pictures.boxes import nclx_of
from fast_nst.pictures.embedded import bmp_color, jp2_profile
from fast_nst.pictures.png import png_facts
from fast_nst.pictures.spaces import ADOBE_RGB, Space, h273_space, usable
from fast_nst.pictures.srgb import through_profile

Source = bytes | Space | None
"""An ICC profile, a space told by numbers, or None: sRGB."""

_EXIF_IFD, _INTEROP_IFD = 0x8769, 0xA005
_COLOR_SPACE, _GAMMA, _WHITE, _PRIMARIES, _INDEX = 0xA001, 0xA500, 318, 319, 1
_SRGB_GAMMA = 0.45455  # what files in sRGB say for readers that know only this chunk
_UNSPECIFIED = (2, 2)


def source_color(image: Image.Image) -> Source:
    """What a picture that is open but not loaded is to be read as.

    PNG (third edition): cICP, iCCP, sRGB, gAMA with cHRM, EXIF. AVIF and HEIF: ICC profile, nclx, EXIF.
    JPEG 2000 and BMP: what their headers tell. All others: ICC profile, EXIF. What makes no sense is passed
    over.
    """
    info, color = image.info, None
    stream = getattr(image, "fp", None)
    if stream is not None and not stream.closed:
        place = stream.tell()
        color = _from_container(image, stream)
        stream.seek(place)
    color = color or info.get("icc_profile")
    if color is None and "srgb" not in info:
        color = _from_png(info) or _from_exif(image)
    if isinstance(color, Space):
        return color if usable(color) and not color.is_srgb else None
    return None if not color or _is_srgb_profile(color) else color


def _from_container(image: Image.Image, stream: IO[bytes]) -> Source:
    """What stands above an ICC profile, or in the place of one."""
    if image.format == "JPEG2000":
        return jp2_profile(stream)
    if image.format == "BMP":
        return bmp_color(stream)
    if image.format == "PNG" and (cicp := png_facts(stream).cicp) is not None and cicp[2] == 0:
        return h273_space(cicp[0], cicp[1], bool(cicp[3]))
    if image.format in ("AVIF", "HEIF") and not image.info.get("icc_profile"):
        stream.seek(0)
        nclx = nclx_of(stream)
        return h273_space(nclx[0], nclx[1]) if nclx and nclx[:2] != _UNSPECIFIED else None
    return None


def _from_png(info: dict) -> Space | None:
    """By the chunks gAMA and cHRM."""
    gamma, chromaticity = info.get("gamma"), info.get("chromaticity")
    if not gamma and not chromaticity:
        return None
    primaries = Space().primaries if chromaticity is None else (*chromaticity[2:], *chromaticity[:2])
    if not gamma or (abs(gamma - _SRGB_GAMMA) < 0.001 and Space(primaries).is_srgb):
        return Space(primaries)
    return Space(primaries, 1 / gamma)


def _from_exif(image: Image.Image) -> Space | None:
    """Cameras write that a picture is in Adobe RGB by a color space 2, or by none and the index R03 (DCF)."""
    if image.format == "PNG" and "exif" not in image.info:
        return None  # Pillow would load the pixels to look for it behind them
    try:
        exif = image.getexif()
        details = exif.get_ifd(_EXIF_IFD) if _EXIF_IFD in exif else {}
        color_space = details.get(_COLOR_SPACE)
        if color_space == 1:
            return None
        index = exif.get_ifd(_INTEROP_IFD).get(_INDEX, "") if _INTEROP_IFD in details else ""
        if color_space == 2 or str(index).startswith("R03"):
            return ADOBE_RGB
        if (white := exif.get(_WHITE)) and (primaries := exif.get(_PRIMARIES)):
            gamma = details.get(_GAMMA)
            numbers = tuple(float(value) for value in (*primaries, *white))
            return Space(numbers, float(gamma) if gamma else "srgb") if len(numbers) == 8 else None
    except Exception:  # broken metadata must not cost the user the picture
        pass
    return None


@lru_cache(32)
def _is_srgb_profile(profile: bytes) -> bool:
    """Whether a profile changes no color; what it is called does not tell."""
    cube = np.moveaxis(np.mgrid[0:256:17, 0:256:17, 0:256:17], 0, -1).reshape(16, 256, 3).astype(np.uint8)
    try:
        described = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        same = through_profile(Image.fromarray(cube), described)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return False
    return np.abs(np.asarray(same).astype(int) - cube).max() <= 1
