"""Picture files to scratch files and back by bands of rows, through libvips: the extra `huge`.

Pillow decodes and encodes whole pictures in memory, over ten bytes per pixel at the worst moment. libvips
takes and gives rows as they come; each band of them goes through the same color conversion as elsewhere. It
is used for what needs no more than that: upright JPEG, PNG and TIFF of 8 bits per channel. All else is left
to Pillow.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fast_nst.errors import UserError, one_line
from fast_nst.files import whole_file
from fast_nst.pictures import (
    KEEP,
    Picture,
    Resolution,
    UnsuitableFormat,
    decode_picture,
    encode_picture,
    ground_color,
    open_picture,
    read_exif,
    read_resolution,
    writable_format,
)
from fast_nst.pictures.alpha import over
from fast_nst.pictures.deep_tiff import import_vips
from fast_nst.pictures.source import Source, source_color
from fast_nst.pictures.srgb import srgb_profile, to_srgb
from fast_nst.runtime.batch.tiff import PlaneAsTiff
from fast_nst.runtime.scratch import Plane, Raster
from fast_nst.runtime.video.animation import Animation, frame_count, may_move

logger = logging.getLogger("fast_nst")

_BAND = 128  # rows
_CHANNELS = {"L": 1, "RGB": 3, "RGBA": 4}
_KINDS = ("JPEG", "PNG", "TIFF")
_JPEG_SIDE = 65_500  # libjpeg's limit


@dataclass(frozen=True)
class PictureOnDisk:
    """A decoded picture, as pictures.Picture is, but on disk."""

    pixels: Plane
    """uint8 [H, W, 3], sRGB, upright, alpha over its ground."""
    exif: bytes | None
    """EXIF block that fits `pixels`, or None."""
    resolution: Resolution | None = None
    """Pixels per inch across and down, where the file says it."""
    opacity: None = None
    """Pictures whose alpha is kept are not decoded to disk."""


def read_picture(
    path: Path,
    on_disk: Callable[[int, int], bool],
    max_pixels: int | None = None,
    alpha: str = "white",
) -> Picture | PictureOnDisk | Animation:
    """Decode a file; by bands of rows to disk if `on_disk` of (height, width) says so and that can be done.

    An animation is decoded as it is iterated. `alpha` is decode_picture's. Raises UnreadablePicture as that
    does, UserError where the scratch file finds no room.
    """
    with open_picture(path, max_pixels=max_pixels) as image:
        if may_move(image):
            return Animation(path, max_pixels, alpha)
        if image.format == "TIFF" and (pages := frame_count(image)) > 1:
            logger.warning("%s: only the first of its %d pages is taken", path, pages)
        height, width = image.height, image.width
        exif, orientation = read_exif(image)
        resolution = read_resolution(image, orientation)
        simple = image.format in _KINDS and image.mode in _CHANNELS and "transparency" not in image.info
        mode, color = image.mode, source_color(image)
    if alpha == KEEP and mode == "RGBA":
        simple = False
    if simple and orientation in (0, 1) and on_disk(height, width):
        plane = Plane((height, width, 3), np.uint8)
        if _decode_rows(path, plane, mode, color, ground_color(alpha)):
            return PictureOnDisk(plane, exif, resolution)
    return decode_picture(path, max_pixels=max_pixels, alpha=alpha)


def write_picture(
    path: Path,
    pixels: Raster,
    *,
    quality: int = 95,
    exif: bytes | None = None,
    opacity: np.ndarray | None = None,
    resolution: Resolution | None = None,
) -> None:
    """Write uint8 RGB [H, W, 3] as encode_picture does; from disk by bands of rows where the format allows.

    Raises as encode_picture does.
    """
    kind, vips = writable_format(path.suffix), import_vips() if isinstance(pixels, Plane) else None
    if isinstance(pixels, np.ndarray) or vips is None or kind not in _KINDS:
        more = {"quality": quality, "exif": exif, "opacity": opacity, "resolution": resolution}
        encode_picture(path, pixels[:, :], **more)  # type: ignore[arg-type]
        return
    height, width, _ = pixels.shape
    if kind == "JPEG" and max(height, width) > _JPEG_SIDE:
        raise UnsuitableFormat(f"cannot write {path}: {width}x{height} pixels do not go into JPEG")
    try:
        with whole_file(path) as unfinished:
            _encode_rows(vips, str(unfinished), pixels, kind, quality, exif, resolution)
    except vips.Error as error:
        raise UserError(f"cannot write {path}: {one_line(error)}") from error
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or one_line(error)}") from error


def _decode_rows(
    path: Path, plane: Plane, mode: str, color: Source, ground: tuple[int, int, int] | None
) -> bool:
    """Fill `plane`; False where libvips is missing or does not read the file as Pillow would."""
    vips = import_vips()
    if vips is None:
        return False
    height, width, _ = plane.shape
    try:
        rows = vips.Image.new_from_file(str(path), access="sequential", fail_on="error")
        if (rows.width, rows.height, rows.bands, rows.format) != (width, height, _CHANNELS[mode], "uchar"):
            return False  # 16 bits, of which Pillow drops 8
        region = vips.Region.new(rows)
        for top in range(0, height, _BAND):
            size = (width, min(_BAND, height - top))
            band = Image.frombytes(mode, size, bytes(region.fetch(0, top, *size)))
            rgb, opacity = to_srgb(band, color)
            if opacity is not None and ground is not None:
                rgb = over(rgb, opacity, ground)
            plane[top : top + size[1], :] = np.asarray(rgb)
    except vips.Error:
        return False  # Pillow says what is wrong with it
    return True


def _encode_rows(
    vips: Any,
    name: str,
    plane: Plane,
    kind: str,
    quality: int,
    exif: bytes | None,
    resolution: Resolution | None,
) -> None:
    reader, source = PlaneAsTiff(plane), vips.SourceCustom()
    source.on_read(reader.read)
    source.on_seek(reader.seek)
    rows = vips.Image.new_from_source(source, "", access="sequential").copy()
    rows.set_type(vips.GValue.blob_type, "icc-profile-data", srgb_profile())
    if exif:
        rows.set_type(vips.GValue.blob_type, "exif-data", exif)
    if resolution is not None:  # in pixels per millimeter
        rows = rows.copy(xres=resolution[0] / 25.4, yres=resolution[1] / 25.4)
        rows.set_type(vips.GValue.gstr_type, "resolution-unit", "in")
    if kind == "JPEG":  # full color resolution from quality 90 on, as encode_picture
        rows.jpegsave(name, Q=quality)
    elif kind == "PNG":
        rows.pngsave(name)
    else:
        big = plane.nbytes > 2**31
        rows.tiffsave(name, compression="deflate", predictor="horizontal", bigtiff=big, resunit="inch")
