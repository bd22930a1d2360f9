"""Picture formats by name and by first bytes, and the picture files of a folder."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from PIL import Image

from fast_nst.errors import UserError
from fast_nst.pictures.heif import looks_like_heif

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
KEEPS_ALPHA = frozenset(("PNG", "WEBP", "TIFF", "AVIF"))
# What is written in another format than it was read in. JPEG XL is named so that it is not passed over.
_AS_JPEG = (".jpe", ".jfif", ".pjpeg", ".pjp", ".mpo")
_READ_ONLY = (
    *_AS_JPEG,
    *(".gif", ".apng", ".avifs", ".dib", ".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".qoi", ".jxl"),
    *(".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx", ".heic", ".heif", ".hif", ".heics", ".heifs"),
)
PICTURE_SUFFIXES = frozenset((*WRITABLE, *_READ_ONLY))

_NAMED_KINDS = 12  # so that a folder of everything stays one line

# No EPS (it runs Ghostscript), no TGA (it has no signature). HEIF and JXL where a plugin registered them.
READABLE = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "AVIF", "JPEG2000", "QOI", "HEIF", "JXL")


def writable_format(name: str) -> str:
    """Pillow's format for "jpg", ".jpg" or "JPEG"; UserError for one that cannot be written."""
    found = WRITABLE.get("." + name.lower().removeprefix("."))
    Image.init()  # fills Image.SAVE; AVIF came with Pillow 11.3
    if found is None or found not in Image.SAVE:
        known = ", ".join(suffix[1:] for suffix, kind in WRITABLE.items() if kind in Image.SAVE)
        raise UserError(f"cannot write the picture format {name!r}; choose one of {known}")
    return found


def picture_suffix(source: Path, *, keep_alpha: bool = False) -> str:
    """Suffix of a picture's result: the source's where that format is written, else the nearest that is.

    With `keep_alpha` one that carries alpha if the source's format does.
    """
    suffix = source.suffix.lower()
    if suffix in _AS_JPEG:
        return ".jpg"
    if suffix in (".avifs", ".dib"):
        return suffix[:-1] if suffix == ".avifs" else ".png" if keep_alpha else ".bmp"
    if suffix not in WRITABLE or (keep_alpha and suffix == ".bmp"):
        return ".png"
    return source.suffix


def looks_like_picture(prefix: bytes) -> bool:
    """Whether these first bytes of a file (16 or more) are those of a picture format that can be read."""
    Image.init()
    for name in READABLE:
        _, accept = Image.OPEN.get(name, (None, None))
        if accept is not None and accept(prefix):
            return True
    return looks_like_heif(prefix)


def is_picture_name(path: str | Path) -> bool:
    """Whether a file name is that of a picture: a known suffix, and not hidden."""
    path = Path(path)
    return path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".")


def kinds_unread(unread: Counter[str]) -> str:
    """Counts by suffix such as "3 .dng, 1 .tga, 2 without a suffix", the most frequent first."""
    counts = sorted(unread.items(), key=lambda item: (-item[1], item[0]))
    parts = [f"{count} {suffix or 'without a suffix'}" for suffix, count in counts[:_NAMED_KINDS]]
    if rest := sum(count for _, count in counts[_NAMED_KINDS:]):
        parts.append(f"{rest} of other kinds")
    return ", ".join(parts)


def find_pictures(folder: str | Path, wanted: Callable[[Path], bool] = is_picture_name) -> list[Path]:
    """Every picture file below `folder`, sorted; hidden files and folders are left out.

    `wanted` tells from its name whether a file is one; by default by suffix. Raises UserError if a
    folder cannot be read.
    """
    return [path for path in files_below(folder) if wanted(path)]


def files_below(folder: str | Path, refused: Callable[[OSError], None] | None = None) -> list[Path]:
    """Every file below `folder` that is not hidden, sorted.

    Symbolic links to folders are followed; a folder that is reached in several ways is gone through
    once. A folder that cannot be read raises UserError, or where it is given `refused` is told of it.
    """
    found: list[Path] = []
    seen: set[str] = set()
    waiting = [Path(folder)]
    while waiting:  # what is really there first, links to folders after it
        links: list[Path] = []
        for start in waiting:
            found += _files_below(start, seen, links, refused or _raise)
        waiting = sorted(links)
    return sorted(found)


def _raise(error: OSError) -> None:
    raise UserError(f"cannot read the folder {error.filename}: {error.strerror}") from error


def _files_below(
    start: Path, seen: set[str], links: list[Path], refused: Callable[[OSError], None]
) -> Iterator[Path]:
    if (real := os.path.realpath(start)) in seen:
        return
    seen.add(real)
    for parent, folders, files in os.walk(start, onerror=refused):
        kept = []
        for name in folders:
            path = Path(parent, name)
            if name.startswith("."):
                continue
            if path.is_symlink():
                if not Path(os.path.realpath(parent)).is_relative_to(os.path.realpath(path)):  # no way back
                    links.append(path)
            elif (real := os.path.realpath(path)) not in seen:
                seen.add(real)
                kept.append(name)
        folders[:] = kept
        yield from (Path(parent, name) for name in files if not name.startswith("."))
