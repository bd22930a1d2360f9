"""A picture file from the page to pixels, through a style, and back to a file."""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np

from fast_nst.pictures import Picture, decode_picture, picture_bytes, resize_longer_side
from fast_nst.runtime.color import blend, preserve_color
from fast_nst.runtime.demo.gallery import Gallery

_SHOWN = 2048  # longer side in pixels of what the page shows; downloads are full size
_REMEMBERED = 256 * 2**20  # bytes of pixels


@dataclass(frozen=True)
class Opened:
    """An uploaded picture, reduced to the limit."""

    picture: Picture
    original: tuple[int, int]
    """Width and height in the file, upright."""


class Memory:
    """The pictures and results used last, up to a number of bytes: a moved slider or a download does
    not run the network again. Threads may share it."""

    def __init__(self, limit: int = _REMEMBERED) -> None:
        self._limit = limit
        self._held: OrderedDict[tuple[str, ...], tuple[Any, int]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: tuple[str, ...]) -> Any:
        """What was put under the key, or None."""
        with self._lock:
            if key not in self._held:
                return None
            self._held.move_to_end(key)
            return self._held[key][0]

    def put(self, key: tuple[str, ...], value: Any, size: int) -> None:
        """Remember a value of `size` bytes, and forget the longest unused beyond the limit."""
        with self._lock:
            self._held[key] = value, size
            while len(self._held) > 1 and sum(held for _, held in self._held.values()) > self._limit:
                self._held.popitem(last=False)


def open_picture(data: bytes, max_pixels: int, memory: Memory) -> Opened:
    """Decode a file's bytes and reduce it to `max_pixels`. Raises UnreadablePicture."""
    key = (_digest(data),)
    opened: Opened | None = memory.get(key)
    if opened is None:
        picture = decode_picture(data)
        height, width = picture.pixels.shape[:2]
        longer = max(height, width)
        allowed = min(longer, math.floor(longer * math.sqrt(max_pixels / (height * width))))
        pixels = resize_longer_side(picture.pixels, max(1, allowed))
        opened = Opened(Picture(pixels, picture.exif, picture.format), (width, height))
        memory.put(key, opened, pixels.nbytes)
    return opened


def paint_picture(
    data: bytes,
    style: str,
    gallery: Gallery,
    memory: Memory,
    *,
    max_pixels: int,
    strength: float = 1.0,
    keep_color: bool = False,
) -> np.ndarray:
    """The picture in a file's bytes in a style or a mixture, uint8 [H, W, 3].

    Raises UnreadablePicture, UserError for a wrong style, RunFailed.
    """
    content = open_picture(data, max_pixels, memory).picture.pixels
    key = _digest(data), style
    stylized = memory.get(key)
    if stylized is None:
        stylizer, shares = gallery.mix(style)
        stylized = stylizer(content, style=shares)
        memory.put(key, stylized, stylized.nbytes)
    if keep_color:
        stylized = preserve_color(content, stylized)
    return blend(content, stylized, strength) if strength < 1.0 else stylized


def shown(pixels: np.ndarray) -> bytes:
    """JPEG for the page, at most 2048 pixels a side."""
    return picture_bytes(resize_longer_side(pixels, min(_SHOWN, max(pixels.shape))), "jpg", quality=92)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
