"""Opening a picture: which decoder it is for, and what is wrong with it where none takes it."""

from __future__ import annotations

import importlib
import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from PIL import Image

from fast_nst.errors import UnreadableFile, one_line
from fast_nst.pictures.deep_tiff import DeepTiff, UnreadTiff
from fast_nst.pictures.formats import READABLE
from fast_nst.pictures.heif import HeifPicture, Uncommon, is_hdr_avif, looks_like_heif
from fast_nst.pictures.libtiff import silence_libtiff
from fast_nst.pictures.png import without_refused_chunks

# What Pillow says of files that are sound, but not for it.
_NO_DECODER = re.compile(
    r"(?i)unsupported|unknown|not supported|not available|cannot handle|unable to determine"
)
_JXL = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")


class UnreadablePicture(UnreadableFile):
    """A file that does not decode to a picture; `reason` says why, without the name."""


class TooManyPixels(UnreadablePicture):
    """A picture beyond the limit asked for; its header says so, nothing was decoded."""


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


def load(image: Image.Image) -> None:
    """Decode the pixels of an open picture, or of the frame it stands at."""
    try:
        image.load()
    except MemoryError:
        raise
    except Exception as error:  # as in open_picture
        if isinstance(error, OSError) and error.errno:  # of the disk
            raise
        raise _Refused(_corrupt(image.format or "picture", error)) from error


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
    if prefix.startswith(_JXL):
        _register("JXL", "pillow_jxl", "a JPEG XL picture", "pillow-jxl-plugin")
    if looks_like_heif(prefix) or is_hdr_avif(stream):
        return _heif(stream)
    reason = "not a picture, or of a kind that cannot be read"
    for name in READABLE:
        factory, accept = Image.OPEN.get(name, (None, None))
        accepted = factory is not None and (accept is None or accept(prefix))
        if isinstance(accepted, str):
            reason = one_line(accepted)
        elif accepted and factory is not None:
            try:
                return _open_as(name, factory, stream)
            except _Refused:
                raise
            except Exception as error:  # as in open_picture
                reason = _corrupt(name, error)
    raise _Refused(reason)


def _open_as(name: str, factory: Callable[..., Image.Image], stream: IO[bytes]) -> Image.Image:
    profile = None
    if name == "PNG":
        stream, profile = without_refused_chunks(stream)
    elif name == "TIFF":
        silence_libtiff()
    stream.seek(0)
    try:
        image = factory(stream, "")
    except SyntaxError as error:
        if name != "TIFF" or "unknown pixel mode" not in str(error):
            raise
        stream.seek(0)
        try:
            return DeepTiff(stream, "")
        except UnreadTiff as unread:
            raise _Refused(str(unread)) from error
    if profile is not None:
        image.info["icc_profile"] = profile
    return image


def _heif(stream: IO[bytes]) -> Image.Image:
    """By libav; what it has no decoder for by pillow-heif, where that is installed."""
    stream.seek(0)
    try:
        return HeifPicture(stream, "")
    except Uncommon as error:
        _register("HEIF", "pillow_heif", f"a HEIC/HEIF picture of an uncommon kind ({error})", "pillow-heif")
    except Exception as error:  # as in open_picture
        raise _Refused(_corrupt("HEIF", error)) from error
    stream.seek(0)
    factory, _ = Image.OPEN["HEIF"]
    try:
        return factory(stream, "")
    except Exception as error:  # as in open_picture
        raise _Refused(_corrupt("HEIF", error)) from error


def _register(name: str, module: str, what: str, package: str) -> None:
    """Have an optional plugin register its format. Raises _Refused naming the package that is missing."""
    if name not in Image.OPEN:
        with suppress(ImportError):
            plugin = importlib.import_module(module)
            if name == "HEIF":
                plugin.register_heif_opener()
    if name not in Image.OPEN:
        raise _Refused(f"{what}: pip install {package} to read it, or convert it")


def _corrupt(name: str, error: Exception) -> str:
    """That a file is corrupt, and Pillow's reason where it is one and no accident in its code.

    What is only of a kind that no decoder is for is not called that.
    """
    reason = one_line(error)
    if isinstance(error, OSError | SyntaxError | ValueError) and _NO_DECODER.search(reason):
        return f"a {name} file of a kind that is not read ({reason})"
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
