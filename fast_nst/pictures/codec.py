"""Decoding a picture file to upright sRGB pixels, and encoding pixels to a file."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from fast_nst.errors import UserError, one_line
from fast_nst.files import write_whole
from fast_nst.pictures.alpha import bleed, ground_color, is_opaque, over, rgba
from fast_nst.pictures.formats import KEEPS_ALPHA, writable_format
from fast_nst.pictures.metadata import Resolution, exif_with_resolution, read_exif, read_resolution
from fast_nst.pictures.opening import load, open_picture
from fast_nst.pictures.source import Source, source_color
from fast_nst.pictures.srgb import srgb_profile, to_srgb
from fast_nst.pictures.tiff_exif import with_details, without_details
from fast_nst.pictures.wide import wide_samples

_KEEPS_METADATA = frozenset(("JPEG", "PNG", "WEBP", "TIFF", "AVIF"))  # EXIF and ICC
_HAS_RESOLUTION = frozenset(("JPEG", "PNG", "TIFF", "BMP"))  # a place for it besides EXIF
# What Pillow's encoders raise where they do not take a picture, or what goes along with it.
ENCODER_ERRORS = (
    *(OSError, ValueError, KeyError, OverflowError, SystemError),
    *(RuntimeError, SyntaxError, struct.error),
)

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class UnsuitableFormat(UserError):
    """Pixels that the chosen file format cannot hold, such as a WebP wider than 16383 pixels."""


@dataclass(frozen=True)
class Picture:
    """A decoded picture."""

    pixels: np.ndarray
    """uint8 [H, W, 3], sRGB, upright. Under what is transparent lies white or what was asked for; where alpha
    is kept, the colors around."""
    exif: bytes | None
    """EXIF block that fits `pixels` (no orientation, no thumbnail), or None."""
    format: str
    """Pillow's name of the source format, such as "JPEG"; empty for a picture made in memory."""
    opacity: np.ndarray | None = None
    """uint8 [H, W], where alpha is kept and something is transparent."""
    resolution: Resolution | None = None
    """Pixels per inch across and down, where the file says it."""


def decode_picture(
    source: str | Path | bytes | Image.Image, *, max_pixels: int | None = None, alpha: str = "white"
) -> Picture:
    """Decode a file, the bytes of one, or a PIL image into sRGB uint8 [H, W, 3].

    An animation gives its first frame. Gray of floats is read as 0 to 1 or to 255 and clipped, which is
    said; wider numbers are scaled by their range. `alpha` is "keep", or the color that lies under what is
    transparent.
    `max_pixels` guards against decompression bombs; None takes Pillow's own limit (179 million).

    Raises UnreadablePicture, one line naming the file and the reason; TooManyPixels, one of its kind,
    before anything is decoded.
    """
    with open_picture(source, max_pixels=max_pixels) as image:
        color = source_color(image)
        wide = wide_samples(image, color)
        load(image)
        exif, orientation = read_exif(image)
        name = str(source) if isinstance(source, str | Path) else "the picture"
        pixels, opacity = upright_pixels(image, color, wide, orientation, alpha, name)
        resolution = read_resolution(image, orientation)
        return Picture(pixels, exif, image.format or "", opacity, resolution)


def upright_pixels(
    image: Image.Image,
    color: Source,
    wide: np.ndarray | None,
    orientation: int,
    alpha: str,
    name: str = "the picture",
) -> tuple[np.ndarray, np.ndarray | None]:
    """A loaded picture, or the frame it stands at, as the `pixels` and `opacity` of a Picture."""
    rgb, opacity = to_srgb(image, color, wide, name)
    ground = ground_color(alpha)
    if opacity is not None and ground is not None:
        rgb, opacity = over(rgb, opacity, ground), None
    elif opacity is not None:
        rgb, opacity = bleed(rgb, opacity), (None if is_opaque(opacity) else opacity)
    if orientation in _UPRIGHT:
        turn = _UPRIGHT[orientation]
        rgb, opacity = rgb.transpose(turn), (opacity.transpose(turn) if opacity is not None else None)
    return np.array(rgb), (np.array(opacity) if opacity is not None else None)


def encode_picture(
    path: str | Path,
    pixels: np.ndarray,
    *,
    format: str | None = None,
    quality: int = 95,
    exif: bytes | None = None,
    opacity: np.ndarray | None = None,
    resolution: Resolution | None = None,
) -> None:
    """Write uint8 RGB [H, W, 3] as a picture file with an sRGB profile, all of it or nothing.

    The format comes from the suffix unless `format` ("jpg", "png", ...) says otherwise. `quality`
    (1 to 100) counts for JPEG, WebP and AVIF. `opacity` is uint8 [H, W], `resolution` in pixels per inch,
    across and down. EXIF and resolution are dropped where the format cannot carry them.

    Raises UnsuitableFormat when the format cannot hold the picture or its opacity, UserError when the file
    cannot be written.
    """
    path = Path(path)
    kind = writable_format(format or path.suffix)
    data = _encode(str(path), rgba_for(str(path), kind, pixels, opacity), kind, quality, exif, resolution)
    write_whole(path, data)


def picture_bytes(
    pixels: np.ndarray,
    format: str,
    *,
    quality: int = 95,
    exif: bytes | None = None,
    opacity: np.ndarray | None = None,
    resolution: Resolution | None = None,
) -> bytes:
    """What `encode_picture` writes, as bytes; `format` is "jpg", "png", ..."""
    kind = writable_format(format)
    image = rgba_for("the picture", kind, pixels, opacity)
    return _encode("the picture", image, kind, quality, exif, resolution)


def resize_longer_side(pixels: np.ndarray, size: int | None) -> np.ndarray:
    """uint8 [H, W, 3] or [H, W] with max(H, W) == size; as it is for None."""
    height, width = pixels.shape[:2]
    if size is None or max(height, width) == size:
        return pixels
    scale = size / max(height, width)
    resized = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.array(Image.fromarray(pixels).resize(resized, Image.Resampling.LANCZOS))


def rgba_for(name: str, kind: str, pixels: np.ndarray, opacity: np.ndarray | None) -> Image.Image:
    """What to encode as Pillow's format `kind`. Raises UnsuitableFormat where that carries no opacity."""
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise TypeError(f"pixels must be uint8 [H, W, 3], not {pixels.dtype} {list(pixels.shape)}")
    if opacity is not None and kind not in KEEPS_ALPHA:
        raise UnsuitableFormat(
            f"cannot write {name}: {kind} carries no transparency; choose --format png, webp, tiff or avif, "
            "or --alpha white"
        )
    return rgba(pixels, opacity)


def save_options(
    kind: str, quality: int, exif: bytes | None, resolution: Resolution | None
) -> dict[str, object]:
    """What Pillow's save is told for the format `kind`."""
    options: dict[str, object] = {}
    if kind in ("JPEG", "WEBP", "AVIF"):
        options["quality"] = quality
    if kind == "JPEG" and quality >= 90:
        options["subsampling"] = 0  # 4:4:4, brush strokes have sharp color edges
    if kind == "TIFF":
        options["compression"] = "tiff_adobe_deflate"
    if kind in _KEEPS_METADATA:
        options["icc_profile"] = srgb_profile()
    if resolution is not None and kind in _HAS_RESOLUTION:
        options["dpi"] = resolution
    elif resolution is not None:
        exif = exif_with_resolution(exif, resolution)
    if exif and kind in _KEEPS_METADATA and not (kind == "JPEG" and len(exif) > 65_000):
        options["exif"] = without_details(exif) if kind == "TIFF" else exif
    return options


def _encode(
    name: str, image: Image.Image, kind: str, quality: int, exif: bytes | None, resolution: Resolution | None
) -> bytes:
    buffer = io.BytesIO()
    try:
        image.save(buffer, kind, **save_options(kind, quality, exif, resolution))
        data = buffer.getvalue()
        return with_details(data, exif) if exif and kind == "TIFF" else data
    except ENCODER_ERRORS as error:
        size = f"{image.width}x{image.height}"
        raise UnsuitableFormat(
            f"cannot write {name}: {size} pixels do not go into {kind} ({one_line(error)})"
        ) from error
