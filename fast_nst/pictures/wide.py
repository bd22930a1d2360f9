"""The samples of more than 8 bits that Pillow halves, for where that would be seen: HDR, linear light."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from fast_nst.pictures.heif import HeifPicture
from fast_nst.pictures.png import png_facts
from fast_nst.pictures.spaces import Space

if TYPE_CHECKING:
    from fast_nst.pictures.source import Source


def wide_samples(image: Image.Image, color: Source) -> np.ndarray | None:
    """uint16 [H, W, 3 or 4] of a picture that is open but not loaded; None where 8 bits will do.

    They are read where the colors are in a space told by numbers, and where one of 16 bits is transparent.
    """
    if isinstance(image, HeifPicture):
        return image.samples("rgb48le") if isinstance(color, Space) else None
    if image.format != "PNG" or image.mode not in ("RGB", "RGBA") or getattr(image, "is_animated", False):
        return None
    if not isinstance(color, Space) and "transparency" not in image.info:
        return None
    stream: IO[bytes] | None = getattr(image, "fp", None)
    if stream is None or stream.closed:
        return None
    place = stream.tell()
    try:
        return _decode_png(stream) if png_facts(stream).depth == 16 else None
    finally:
        stream.seek(place)


def _decode_png(stream: IO[bytes]) -> np.ndarray | None:
    import av

    stream.seek(0)
    context: Any = av.CodecContext.create("png", "r")
    try:
        frames = [*context.decode(av.Packet(stream.read())), *context.decode(None)]
    except av.FFmpegError:  # Pillow says what is wrong with it
        return None
    if not frames or frames[0].format.name not in ("rgb48be", "rgba64be"):
        return None
    return frames[0].to_ndarray().astype(np.uint16)
