"""What Pillow does not take from a PNG file: how wide its samples are, chunk cICP, very long texts."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from PIL import PngImagePlugin

_SIGNATURE = 8  # bytes
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_LONGEST = PngImagePlugin.MAX_TEXT_CHUNK  # longer ones Pillow refuses, and the picture with them
_LONGEST_PROFILE = 2**24  # bytes
_SHORTEST = {b"cHRM": 32, b"gAMA": 4, b"sRGB": 1, b"pHYs": 9}  # bytes of what it insists on


@dataclass(frozen=True)
class PngFacts:
    """What the chunks in front of the pixels say."""

    depth: int = 8
    """Bits per sample."""
    cicp: tuple[int, int, int, int] | None = None
    """Primaries, transfer, matrix and full range by ITU-T H.273."""


def png_facts(stream: IO[bytes]) -> PngFacts:
    """Read the chunks; where the stream stands afterwards is left open."""
    depth = 8
    cicp: tuple[int, ...] | None = None
    for kind, start, length in _chunks(stream):
        stream.seek(start)
        if kind == b"IHDR" and length == 13:
            depth = stream.read(13)[8]
        elif kind == b"cICP" and length == 4:
            cicp = tuple(stream.read(4))
        elif kind == b"IDAT":
            break
    return PngFacts(depth, cicp)  # type: ignore[arg-type]


def without_refused_chunks(stream: IO[bytes]) -> tuple[IO[bytes], bytes | None]:
    """The stream, or where Pillow would refuse the file for what stands beside its pixels a copy without it.

    Such a copy is also without a profile too long for Pillow, which comes beside it.
    """
    left_out, profile, room = [], None, PngImagePlugin.MAX_TEXT_MEMORY
    for kind, start, length in _chunks(stream):
        refused = length < _SHORTEST.get(kind, 0)
        if kind in _TEXTS or kind == b"iCCP":
            stream.seek(start)
            data = stream.read(length)
            unpacked = _unpacked(kind, data)
            if kind in _TEXTS:
                room -= max(len(unpacked or b""), length, 1)
            refused = unpacked is None or len(unpacked) > _LONGEST or room < 0
            if refused and kind == b"iCCP" and unpacked and len(unpacked) <= _LONGEST_PROFILE:
                profile = unpacked
        if refused:
            left_out.append((start - 8, start + length + 4))
    if not left_out:
        return stream, None
    parts, position = [], 0
    for start, end in left_out:
        stream.seek(position)
        parts.append(stream.read(start - position))
        position = end
    stream.seek(position)
    parts.append(stream.read())
    return io.BytesIO(b"".join(parts)), profile


def _chunks(stream: IO[bytes]) -> Iterator[tuple[bytes, int, int]]:
    """Kind, position of the data and its length."""
    position = _SIGNATURE
    while True:
        stream.seek(position)
        head = stream.read(8)
        if len(head) < 8 or head[4:] == b"IEND":
            return
        length, kind = struct.unpack(">I4s", head)
        yield kind, position + 8, length
        position += length + 12


def _unpacked(kind: bytes, data: bytes) -> bytes | None:
    """What was compressed, or as much of it as shows that it is too long; None for an unknown compression."""
    if kind == b"tEXt":
        return b""
    if kind == b"iTXt":
        _, _, rest = data.partition(b"\0")
        if rest[:1] != b"\1":
            return b""
        method, packed = rest[1:2], rest[2:].split(b"\0", 2)[-1]
    else:
        rest = data.partition(b"\0")[2]
        method, packed = rest[:1], rest[1:]
    if method not in (b"\0", b""):
        return None
    limit = _LONGEST_PROFILE if kind == b"iCCP" else _LONGEST
    try:
        return zlib.decompressobj().decompress(packed, limit + 1)
    except zlib.error:
        return b""
