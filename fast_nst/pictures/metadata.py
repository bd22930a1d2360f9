"""What a file says besides its pixels: EXIF, orientation, resolution."""

from __future__ import annotations

import math

from PIL import Image

_ORIENTATION = 0x0112
_RESOLUTION = (282, 283, 296)  # across, down, and the unit
_INCH, _JFIF_UNITS = 2, (1, 2)
_EXIF_IFD, _INTEROP_IFD, _COLOR_SPACE, _GAMMA = 0x8769, 0xA005, 0xA001, 0xA500
_SIZE = (0xA002, 0xA003)
# What is told of the photograph; the other tags tell how its file stored the pixels.
_PHOTO_TAGS = frozenset(
    {270, 271, 272, 305, 306, 315, 316, 18246, 33432, 34665, 34853}
    | set(_RESOLUTION)
    | set(range(40091, 40096))
)

Resolution = tuple[float, float]
"""Pixels per inch, across and down."""


def read_exif(image: Image.Image) -> tuple[bytes | None, int]:
    """The EXIF block cleaned for upright sRGB pixels, and the orientation it asked for."""
    orientation = 1
    try:
        original = image.getexif()
        orientation = int(original.get(_ORIENTATION, 1))
        exif = Image.Exif()  # a copy: the caller's image keeps its own
        exif.load(original.tobytes())
        for tag in set(exif) - _PHOTO_TAGS:
            del exif[tag]
        if _EXIF_IFD in exif:
            details = exif.get_ifd(_EXIF_IFD)
            for tag in (*_SIZE, _GAMMA, _INTEROP_IFD):
                details.pop(tag, None)
            if _COLOR_SPACE in details:
                details[_COLOR_SPACE] = 1  # sRGB
        return (exif.tobytes() if len(exif) else None), orientation
    except Exception:  # broken metadata must not cost the user the picture
        return None, orientation


def read_resolution(image: Image.Image, orientation: int) -> Resolution | None:
    """How large the upright picture is meant to be printed, None where the file does not say."""
    try:
        if image.format == "TIFF" and not {*_RESOLUTION[:2]} <= {*getattr(image, "tag_v2", ())}:
            return None  # where they are missing Pillow makes 1 up
        dpi = image.info.get("dpi")
        if dpi is None or (
            image.format in ("JPEG", "MPO") and image.info.get("jfif_unit") not in _JFIF_UNITS
        ):
            dpi = _exif_resolution(image.getexif())  # for a JPEG of none Pillow makes 72 up
        across, down = (float(value) for value in dpi)
    except Exception:  # as in read_exif
        return None
    if not all(math.isfinite(value) and 1 <= value <= 65_535 for value in (across, down)):
        return None
    return (down, across) if orientation in (5, 6, 7, 8) else (across, down)


def exif_with_resolution(exif: bytes | None, resolution: Resolution) -> bytes:
    """The block with the resolution, for formats that have no other place for it."""
    block = Image.Exif()
    if exif:
        block.load(exif)
    for tag, value in zip(_RESOLUTION, (*resolution, _INCH), strict=True):
        block[tag] = value
    return block.tobytes()


def _exif_resolution(exif: Image.Exif) -> Resolution:
    across, down, unit = (exif.get(tag) for tag in _RESOLUTION)
    if unit == 1:
        return 0.0, 0.0  # only how wide a pixel is beside its height
    scale = 2.54 if unit == 3 else 1.0  # centimeters
    return float(across or down or 0) * scale, float(down or across or 0) * scale
