"""Pictures and videos told apart by what the files hold, and the video formats there are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from PIL import Image

from fast_nst.errors import UserError
from fast_nst.pictures import PICTURE_SUFFIXES, is_picture_name, looks_like_picture
from fast_nst.runtime.video.containers import UnreadableVideo, open_container

Kind = Literal["picture", "video"]
_HEIF = (b"ftypheic", b"ftypheix", b"ftypmif1")  # libav would take these for videos

_JPEG, _JPEG_STREAMS = b"\xff\xd8\xff", (".mjpeg", ".mjpg")  # one JPEG after the other and nothing else

# Suffix -> libavformat's muxer, for everything that can be written.
WRITABLE_VIDEOS = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "webm",
    ".gif": "gif",
}
VIDEO_SUFFIXES = frozenset(
    (
        *WRITABLE_VIDEOS,
        *(".avi", ".mpg", ".mpeg", ".vob", ".ts", ".mts", ".m2ts", ".3gp", ".wmv", ".asf"),
        *(".flv", ".ogv", ".mxf", *_JPEG_STREAMS, ".h264", ".h265", ".ivf", ".y4m"),
    )
)


def kind_of(path: Path) -> Kind:
    """What a file holds, by its first bytes; a GIF of several frames is a video.

    The name decides only whether a JPEG is the first of many, and for what is neither, or cannot be opened,
    so that the right reader says what is wrong with it.
    """
    named: Kind = "video" if is_video_name(path) and not is_gif_name(path) else "picture"
    if not path.is_file():  # opening a named pipe would wait for ever
        return named
    try:
        with path.open("rb") as stream:
            prefix = stream.read(64)
    except OSError:
        return named
    if prefix.startswith(b"GIF8"):
        return "video" if _is_animated(path) else "picture"
    if prefix.startswith(_JPEG) and path.suffix.lower() in _JPEG_STREAMS:
        return "video"
    if looks_like_picture(prefix) or prefix[4:12] in _HEIF:
        return "picture"
    if named == "picture" and _decodes_as_video(path):
        return "video"
    return named


def writable_video(suffix: str) -> str:
    """libavformat's muxer for ".mp4" or "mp4"; UserError for a format that cannot be written."""
    found = WRITABLE_VIDEOS.get("." + suffix.lower().removeprefix("."))
    if found is None:
        known = ", ".join(suffix[1:] for suffix in WRITABLE_VIDEOS)
        raise UserError(f"cannot write the video format {suffix!r}; choose one of {known}")
    return found


def is_video_name(path: Path) -> bool:
    """Whether a file name is that of a video or a GIF: a known suffix, and not hidden."""
    return path.suffix.lower() in VIDEO_SUFFIXES and not path.name.startswith(".")


def is_gif_name(path: Path) -> bool:
    """Whether a file name is that of a GIF, which may be a picture as well as a video."""
    return path.suffix.lower() == ".gif"


def is_media_name(path: Path) -> bool:
    """Whether a file name is that of a picture or a video."""
    return is_picture_name(path) or is_video_name(path)


def in_natural_order(paths: list[Path]) -> list[Path]:
    """Sorted with numbers by value: frame2.png before frame10.png."""

    def key(path: Path) -> list[tuple[int, str]]:
        parts = re.split(r"(\d+)", str(path))
        return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]

    return sorted(paths, key=key)


ALL_SUFFIXES = ", ".join(sorted(PICTURE_SUFFIXES | VIDEO_SUFFIXES))


def _is_animated(path: Path) -> bool:
    try:
        with Image.open(path, formats=["GIF"]) as image:
            return bool(getattr(image, "is_animated", False))
    except Exception:  # a decoder fed garbage raises nearly anything; the picture's reader says what
        return False


def _decodes_as_video(path: Path) -> bool:
    try:
        with open_container(path) as container:
            return bool(container.streams.video)
    except UnreadableVideo:
        return False
