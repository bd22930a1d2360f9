"""Pictures in and out: one decoder and one encoder for training and for the runtime.

Whatever a file holds (EXIF orientation, alpha, palette, ICC profile, CMYK, 16 bits per channel),
what comes out is uint8 RGB [H, W, 3] in sRGB, the way a viewer would show it on a white page.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

from fast_nst.errors import UserError, one_line
from fast_nst.files import whole_file
from fast_nst.libtiff import silence_libtiff
from fast_nst.srgb import srgb_profile, to_srgb

# Suffix -> Pillow format, for everything that can be written.
WRITABLE = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
    ".avif": "AVIF",
}
# HEIC is listed so that such a file is named as unreadable rather than passed over in silence.
_READ_ONLY = (".jpe", ".jfif", ".mpo", ".gif", ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".qoi")
PICTURE_SUFFIXES = frozenset((*WRITABLE, *_READ_ONLY, ".heic", ".heif"))

# No EPS (it runs Ghostscript), no TGA (it has no signature). HEIF where a plugin registered it.
_READABLE = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "AVIF", "JPEG2000", "QOI", "HEIF")
_KEEPS_METADATA = frozenset(("JPEG", "PNG", "WEBP", "TIFF", "AVIF"))  # EXIF and ICC

_ORIENTATION = 0x0112
_EXIF_IFD, _EXIF_COLOR_SPACE, _EXIF_SIZE = 0x8769, 0xA001, (0xA002, 0xA003)
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# What is told of the photograph; the other tags tell how its file stored the pixels.
_PHOTO_TAGS = frozenset(
    {270, 271, 272, 282, 283, 296, 305, 306, 315, 316, 18246, 33432, 34665, 34853} | set(range(40091, 40096))
)


class UnreadablePicture(UserError):
    """A file that does not decode to a picture; `reason` says why, without the name."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)  # both in args: errors cross process borders by pickle
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.args[0]}: {self.args[1]}"


class TooManyPixels(UnreadablePicture):
    """A picture beyond the limit asked for; its header says so, nothing was decoded."""


class UnsuitableFormat(UserError):
    """Pixels that the chosen file format cannot hold, such as a WebP wider than 16383 pixels."""


@dataclass(frozen=True)
class Picture:
    """A decoded picture."""

    pixels: np.ndarray
    """uint8 [H, W, 3], sRGB, upright, alpha over white."""
    exif: bytes | None
    """EXIF block that fits `pixels` (no orientation, no thumbnail), or None."""
    format: str
    """Pillow's name of the source format, such as "JPEG"; empty for a picture made in memory."""


def decode_picture(source: str | Path | bytes | Image.Image, *, max_pixels: int | None = None) -> Picture:
    """Decode a file, the bytes of one, or a PIL image into sRGB uint8 [H, W, 3].

    An animation gives its first frame, wide grey (16 bits, floats) is scaled by its range.
    `max_pixels` guards against decompression bombs; None takes Pillow's own limit (179 million).

    Raises UnreadablePicture, one line naming the file and the reason; TooManyPixels, one of its kind,
    before anything is decoded.
    """
    with open_picture(source, max_pixels=max_pixels) as image:
        _load(image)
        exif, orientation = read_exif(image)
        rgb = to_srgb(image)
        if orientation in _UPRIGHT:
            rgb = rgb.transpose(_UPRIGHT[orientation])
        return Picture(np.array(rgb), exif, image.format or "")


@contextmanager
def open_picture(
    source: str | Path | bytes | Image.Image, *, max_pixels: int | None = None
) -> Iterator[Image.Image]:
    """A PIL image of which only the header is read so far.

    Raises UnreadablePicture, also for whatever is raised while it is open; limits are decode_picture's.
    """
    if isinstance(source, str):
        source = Path(source)
    name = str(source) if isinstance(source, Path) else "the picture"
    try:
        with _opened(source) as image:
            _check_size(image, _pixel_limit(source, max_pixels))
            yield image
    except _Refused as error:
        kind = TooManyPixels if isinstance(error, _TooLarge) else UnreadablePicture
        raise kind(name, str(error)) from None
    except FileNotFoundError:
        raise UnreadablePicture(name, "no such file") from None
    except MemoryError:
        raise UnreadablePicture(name, "not enough memory to decode it") from None
    except Exception as error:  # a decoder fed garbage raises nearly anything
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise UnreadablePicture(name, one_line(reason)) from error


def encode_picture(
    path: str | Path,
    pixels: np.ndarray,
    *,
    format: str | None = None,
    quality: int = 95,
    exif: bytes | None = None,
) -> None:
    """Write uint8 RGB [H, W, 3] as a picture file with an sRGB profile, all of it or nothing.

    The format comes from the suffix unless `format` ("jpg", "png", ...) says otherwise. `quality`
    (1 to 100) counts for JPEG, WebP and AVIF. EXIF is dropped where the format cannot carry it.

    Raises UnsuitableFormat when the format cannot hold the picture, UserError when the file
    cannot be written.
    """
    path = Path(path)
    data = _encode(str(path), pixels, writable_format(format or path.suffix), quality, exif)
    try:
        with whole_file(path) as unfinished:
            unfinished.write_bytes(data)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or one_line(error)}") from error


def picture_bytes(pixels: np.ndarray, format: str, *, quality: int = 95, exif: bytes | None = None) -> bytes:
    """What `encode_picture` writes, as bytes; `format` is "jpg", "png", ..."""
    return _encode("the picture", pixels, writable_format(format), quality, exif)


def resize_longer_side(pixels: np.ndarray, size: int | None) -> np.ndarray:
    """uint8 [H, W, 3] -> [h, w, 3] with max(h, w) == size; as it is for None."""
    height, width = pixels.shape[:2]
    if size is None or max(height, width) == size:
        return pixels
    scale = size / max(height, width)
    resized = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.array(Image.fromarray(pixels).resize(resized, Image.Resampling.LANCZOS))


def writable_format(name: str) -> str:
    """Pillow's format for "jpg", ".jpg" or "JPEG"; UserError for one that cannot be written."""
    found = WRITABLE.get("." + name.lower().removeprefix("."))
    Image.init()  # fills Image.SAVE; AVIF came with Pillow 11.3
    if found is None or found not in Image.SAVE:
        known = ", ".join(suffix[1:] for suffix, kind in WRITABLE.items() if kind in Image.SAVE)
        raise UserError(f"cannot write the picture format {name!r}; choose one of {known}")
    return found


def looks_like_picture(prefix: bytes) -> bool:
    """Whether these first bytes of a file (16 or more) are those of a picture format that can be read."""
    Image.init()
    for name in _READABLE:
        _, accept = Image.OPEN.get(name, (None, None))
        if accept is not None and accept(prefix):
            return True
    return False


def is_picture_name(path: str | Path) -> bool:
    """Whether a file name is that of a picture: a known suffix, and not hidden."""
    path = Path(path)
    return path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".")


def find_pictures(folder: str | Path, wanted: Callable[[Path], bool] = is_picture_name) -> list[Path]:
    """Every picture file below `folder`, sorted; hidden folders are left out.

    `wanted` tells from its name whether a file is one; by default by suffix, hidden ones are none.
    Symbolic links to folders are not followed. Raises UserError if a folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise UserError(f"cannot read the folder {error.filename}: {error.strerror}") from error

    found: list[Path] = []
    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [path for name in files if wanted(path := Path(parent, name))]
    return sorted(found)


class _Refused(Exception):
    """A reason of our own, already fit to be read."""


class _TooLarge(_Refused):
    """More pixels than the limit."""


@contextmanager
def _opened(source: Path | bytes | Image.Image) -> Iterator[Image.Image]:
    if isinstance(source, Image.Image):
        yield source
        return
    if isinstance(source, Path):
        if source.is_dir():
            raise _Refused("is a folder, not a picture")
        if source.exists() and not source.is_file():
            raise _Refused("is not a regular file")  # opening a named pipe would wait for ever
    with source.open("rb") if isinstance(source, Path) else io.BytesIO(source) as stream:
        yield _identify(stream)


def _identify(stream: IO[bytes]) -> Image.Image:
    """What Image.open does, less its size check, which only a global of Pillow's could raise."""
    Image.init()
    prefix = stream.read(16)
    if not prefix:
        raise _Refused("the file is empty")
    reason = "not a picture, or of a kind that cannot be read"
    for name in _READABLE:
        factory, accept = Image.OPEN.get(name, (None, None))
        accepted = factory is not None and (accept is None or accept(prefix))
        if isinstance(accepted, str):
            reason = one_line(accepted)
        elif accepted and factory is not None:
            stream.seek(0)
            if name == "TIFF":
                silence_libtiff()
            try:
                return factory(stream, "")
            except Exception as error:  # as in decode_picture
                reason = _corrupt(name, error)
    raise _Refused(reason)


def _load(image: Image.Image) -> None:
    try:
        image.load()
    except MemoryError:
        raise
    except Exception as error:  # as in decode_picture
        if isinstance(error, OSError) and error.errno:  # of the disk
            raise
        raise _Refused(_corrupt(image.format or "picture", error)) from error


def _corrupt(name: str, error: Exception) -> str:
    """That a file is corrupt, and Pillow's reason where it is one and no accident in its code."""
    reason = one_line(error)
    told = isinstance(error, OSError | SyntaxError | ValueError) and not reason.startswith("decoder error")
    return f"corrupt {name} file ({reason})" if told else f"corrupt {name} file"


def _pixel_limit(source: object, max_pixels: int | None) -> int | None:
    if isinstance(source, Image.Image):
        return None  # in memory already
    if max_pixels is None and Image.MAX_IMAGE_PIXELS is not None:
        return 2 * Image.MAX_IMAGE_PIXELS  # where Pillow turns its warning into an error
    return max_pixels


def _check_size(image: Image.Image, max_pixels: int | None) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise _Refused(f"has no pixels ({width}x{height})")
    if max_pixels is not None and width * height > max_pixels:
        raise _TooLarge(
            f"{width}x{height} is more than the limit of {max_pixels} pixels; "
            "raise --max-pixels if you trust the file"
        )


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
            for tag in _EXIF_SIZE:
                details.pop(tag, None)
            if _EXIF_COLOR_SPACE in details:
                details[_EXIF_COLOR_SPACE] = 1  # sRGB
        return (exif.tobytes() if len(exif) else None), orientation
    except Exception:  # broken metadata must not cost the user the picture
        return None, orientation


def _encode(name: str, pixels: np.ndarray, kind: str, quality: int, exif: bytes | None) -> bytes:
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise TypeError(f"pixels must be uint8 [H, W, 3], not {pixels.dtype} {list(pixels.shape)}")
    options: dict[str, object] = {}
    if kind in ("JPEG", "WEBP", "AVIF"):
        options["quality"] = quality
    if kind == "JPEG" and quality >= 90:
        options["subsampling"] = 0  # 4:4:4, brush strokes have sharp color edges
    if kind == "TIFF":
        options["compression"] = "tiff_adobe_deflate"
    if kind in _KEEPS_METADATA:
        options["icc_profile"] = srgb_profile()
    if exif and kind in _KEEPS_METADATA and not (kind == "JPEG" and len(exif) > 65_000):
        options["exif"] = exif
    buffer = io.BytesIO()
    try:
        Image.fromarray(pixels).save(buffer, kind, **options)
    except (OSError, ValueError, KeyError, OverflowError, SystemError) as error:
        height, width = pixels.shape[:2]
        raise UnsuitableFormat(
            f"cannot write {name}: {width}x{height} pixels do not go into {kind} ({one_line(error)})"
        ) from error
    return buffer.getvalue()
