"""A picture in a scratch file, seen as a TIFF file: in this form libvips takes rows from Python."""

from __future__ import annotations

import struct

import numpy as np

from fast_nst.runtime.scratch import Plane

_ROWS = 64  # per strip; a strip is read at once


class PlaneAsTiff:
    """The bytes of an uncompressed BigTIFF of `plane`, uint8 RGB [H, W, 3], to `read` and `seek`."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._head = _header(*plane.shape[:2])
        self._position = 0

    def read(self, size: int) -> bytes:
        """At most `size` bytes from here on; none at the end."""
        if self._position < len(self._head):
            part = self._head[self._position : self._position + size]
        else:
            part = self._plane.read_bytes(self._position - len(self._head), size)
        self._position += len(part)
        return part

    def seek(self, offset: int, whence: int) -> int:
        """Go to `offset` from the start (0), from here (1) or from the end (2); returns where that is."""
        self._position = (0, self._position, len(self._head) + self._plane.nbytes)[whence] + offset
        return self._position


def _header(height: int, width: int) -> bytes:
    """Everything in front of the pixels (TIFF 6.0, with the sizes of BigTIFF)."""
    strips = -(-height // _ROWS)
    tag_count = 10
    lists = 16 + 8 + 20 * tag_count + 8  # file header, count, tags, offset of a next directory
    pixels = lists + 16 * strips
    starts = pixels + np.arange(strips, dtype="<u8") * (_ROWS * width * 3)
    lengths = np.diff(starts, append=np.uint64(pixels + height * width * 3)).astype("<u8")
    short, long, long8 = 3, 4, 16
    tags = [
        (256, long, 1, width),
        (257, long, 1, height),
        (258, short, 3, 8 | 8 << 16 | 8 << 32),  # bits per sample
        (259, short, 1, 1),  # no compression
        (262, short, 1, 2),  # RGB
        (273, long8, strips, lists if strips > 1 else pixels),
        (277, short, 1, 3),  # samples per pixel
        (278, long, 1, _ROWS),
        (279, long8, strips, lists + 8 * strips if strips > 1 else int(lengths[0])),
        (284, short, 1, 1),  # samples of a pixel side by side
    ]
    file_header = struct.pack("<2sHHHQ", b"II", 43, 8, 0, 16)
    directory = struct.pack("<Q", tag_count) + b"".join(struct.pack("<HHQQ", *tag) for tag in tags)
    return file_header + directory + bytes(8) + starts.tobytes() + lengths.tobytes()
