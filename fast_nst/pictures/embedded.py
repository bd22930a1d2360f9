"""Color that JPEG 2000 and BMP files tell, and Pillow does not hand on."""

from __future__ import annotations

import struct
from typing import IO

from fast_nst.pictures.boxes import boxes_in, find_box
from fast_nst.pictures.spaces import Space

_CALIBRATED, _EMBEDDED = b"\0\0\0\0", b"DEBM"  # of a BMP's field CSType


def jp2_profile(stream: IO[bytes]) -> bytes | None:
    """The ICC profile of a JP2 file (ISO/IEC 15444-1, box colr of method 2)."""
    try:
        for kind, content in boxes_in(find_box(stream, b"jp2h")):
            if kind == b"colr" and content[:1] == b"\2":
                return content[3:]
    except (SyntaxError, struct.error):  # a bare codestream
        pass
    return None


def bmp_color(stream: IO[bytes]) -> bytes | Space | None:
    """The ICC profile, or the space told by numbers, of a BITMAPV4HEADER or BITMAPV5HEADER."""
    stream.seek(14)
    head = stream.read(124)
    try:
        size, color_space = struct.unpack_from("<I", head)[0], head[56:60]
        if size >= 124 and color_space == _EMBEDDED:
            start, length = struct.unpack_from("<II", head, 112)
            stream.seek(14 + start)
            return stream.read(length)
        if size >= 108 and color_space == _CALIBRATED:
            numbers = struct.unpack_from("<9i", head, 60)  # X, Y and Z of red, green and blue
            xyz = [numbers[at : at + 3] for at in (0, 3, 6)]
            xyz.append(tuple(sum(values) for values in zip(*xyz, strict=True)))  # white
            xy = [part / sum(values) for values in xyz for part in values[:2]]
            gammas = struct.unpack_from("<3I", head, 96)
            return Space(tuple(xy), sum(gammas) / 3 / 65536)
    except (struct.error, ZeroDivisionError):  # cut, or nothing is told
        pass
    return None
