"""The boxes of HEIF and AVIF files (ISO/IEC 23008-12): which items there are, and what is said of them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

_LARGEST = 2**26  # bytes of what is told about the items
_MANY = 2**16  # items, or parts of one


@dataclass
class Item:
    """A coded picture, a rule to make one of others, or a block of metadata."""

    kind: bytes = b""
    """Such as hvc1, av01, grid, Exif."""
    properties: list[tuple[bytes, bytes]] = field(default_factory=list)
    """Kind and content of each, in the order in which they apply."""
    extents: list[tuple[int, int, int]] = field(default_factory=list)
    """Where the data is: method (0 in the file, 1 in the box idat), position, length."""

    def get(self, kind: bytes) -> bytes | None:
        """The content of the first property of that kind."""
        return next((content for name, content in self.properties if name == kind), None)


@dataclass
class ItemFile:
    """The items of a file."""

    primary: int = 0
    items: dict[int, Item] = field(default_factory=dict)
    references: list[tuple[bytes, int, list[int]]] = field(default_factory=list)
    """Kind, from which item, to which."""
    inline: bytes = b""

    def referred(self, kind: bytes, item: int) -> list[int]:
        """The items that one refers to, such as the tiles of a grid."""
        return next((ids for name, one, ids in self.references if (name, one) == (kind, item)), [])

    def referring(self, kind: bytes, item: int) -> list[int]:
        """The items that refer to one, such as its EXIF block."""
        return [one for name, one, ids in self.references if name == kind and item in ids]

    def read(self, stream: IO[bytes], item: int) -> bytes:
        """An item's data. Raises SyntaxError where the file does not have it."""
        parts = []
        for method, position, length in self.items[item].extents:
            if method == 0:
                stream.seek(position)
                parts.append(stream.read(length or -1))
            elif method == 1:
                parts.append(self.inline[position : position + length])
            else:
                raise SyntaxError("data kept in another item")
            if len(parts[-1]) < length:
                raise SyntaxError("image file is truncated")
        return b"".join(parts)


def read_items(stream: IO[bytes]) -> ItemFile:
    """What the file's box meta says. Raises SyntaxError, struct.error or IndexError for garbage."""
    meta = find_box(stream, b"meta")
    found = ItemFile()
    kinds: dict[int, Item] = found.items
    properties: list[tuple[bytes, bytes]] = []
    for kind, data in boxes_in(meta[4:]):
        version = data[0] if data else 0
        if kind == b"pitm":
            found.primary = struct.unpack_from(">I" if version else ">H", data, 4)[0]
        elif kind == b"iinf":
            for _, entry in boxes_in(data[8:] if version else data[6:]):
                number, _, name = struct.unpack_from(">IH4s" if entry[0] >= 3 else ">HH4s", entry, 4)
                kinds.setdefault(number, Item()).kind = name
        elif kind == b"iloc":
            for number, extents in _locations(data):
                kinds.setdefault(number, Item()).extents = extents
        elif kind == b"iref":
            found.references = list(_references(data))
        elif kind == b"idat":
            found.inline = data
        elif kind == b"iprp":
            inner = list(boxes_in(data))
            properties = [one for name, content in inner if name == b"ipco" for one in boxes_in(content)]
            for number, index in (
                pair for name, content in inner if name == b"ipma" for pair in _uses(content)
            ):
                if 0 < index <= len(properties):
                    kinds.setdefault(number, Item()).properties.append(properties[index - 1])
    if found.primary not in found.items:
        raise SyntaxError("no primary item")
    return found


def nclx_of(stream: IO[bytes]) -> tuple[int, int, int, bool] | None:
    """Primaries, transfer, matrix (ITU-T H.273) and full range of the primary item, where it tells them."""
    try:
        found = read_items(stream)
    except (SyntaxError, struct.error, IndexError, KeyError, RecursionError):
        return None
    return nclx(found, found.primary)


def nclx(found: ItemFile, item: int) -> tuple[int, int, int, bool] | None:
    """As `nclx_of`, of an item or else its first tile."""
    for one in (item, *found.referred(b"dimg", item)[:1]):
        for name, content in found.items[one].properties if one in found.items else ():
            if name == b"colr" and content[:4] == b"nclx" and len(content) >= 11:
                return (*struct.unpack_from(">HHH", content, 4), bool(content[10] & 128))
    return None


def find_box(stream: IO[bytes], wanted: bytes) -> bytes:
    """The content of the first box of that kind that is in no other. Raises SyntaxError."""
    position = 0
    while True:
        stream.seek(position)
        head = stream.read(16)
        if len(head) < 8:
            raise SyntaxError("image file is truncated")
        size, kind = struct.unpack(">I4s", head[:8])
        start = 8
        if size == 1:
            size, start = struct.unpack(">Q", head[8:16])[0], 16
        if kind == wanted:
            if size > _LARGEST:
                raise SyntaxError("its index is too large")
            stream.seek(position + start)
            data = stream.read(size - start if size else -1)
            if len(data) < size - start:
                raise SyntaxError("image file is truncated")
            return data
        if size < start:
            raise SyntaxError(f"no box {wanted.decode()}")
        position += size


def boxes_in(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of one box after the other."""
    position = 0
    while position + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, position)
        start = 8
        if size == 1:
            size, start = struct.unpack_from(">Q", data, position + 8)[0], 16
        size = size or len(data) - position
        if size < start:
            raise SyntaxError("a box of no size")
        yield kind, data[position + start : position + size]
        position += size


def _locations(data: bytes) -> Iterator[tuple[int, list[tuple[int, int, int]]]]:
    version, sizes = data[0], struct.unpack_from(">H", data, 4)[0]
    offset_size, length_size, base_size, index_size = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    position = 6

    def number(size: int) -> int:
        nonlocal position
        position += size
        if position > len(data):
            raise SyntaxError("image file is truncated")
        return int.from_bytes(data[position - size : position], "big")

    wide = 4 if version == 2 else 2
    for _ in range(min(number(wide), _MANY)):
        item = number(wide)
        method = number(2) & 15 if version else 0
        number(2)  # in which file; only this one is read
        base = number(base_size)
        extents = []
        for _ in range(number(2)):
            number(index_size if version else 0)
            extents.append((method, base + number(offset_size), number(length_size)))
        yield item, extents


def _references(data: bytes) -> Iterator[tuple[bytes, int, list[int]]]:
    letter = "I" if data[0] else "H"
    for kind, content in boxes_in(data[4:]):
        item, count = struct.unpack_from(f">{letter}H", content)
        yield (
            kind,
            item,
            list(struct.unpack_from(f">{count}{letter}", content, struct.calcsize(f">{letter}H"))),
        )


def _uses(data: bytes) -> Iterator[tuple[int, int]]:
    """Item and number of a property it has, from 1."""
    version, wide = data[0], data[3] & 1
    position = 8
    for _ in range(min(struct.unpack_from(">I", data, 4)[0], _MANY)):
        item, count = struct.unpack_from(">IB" if version else ">HB", data, position)
        position += 5 if version else 3
        for _ in range(count):
            if wide:
                yield item, struct.unpack_from(">H", data, position)[0] & 0x7FFF
            else:
                yield item, data[position] & 0x7F
            position += 2 if wide else 1
