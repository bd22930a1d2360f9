"""EXIF in TIFF files: Pillow cannot write the directories below the first one beside a compression."""

from __future__ import annotations

import struct

from PIL import Image, TiffImagePlugin, TiffTags

_LONG, _ENTRY = 4, 12  # a kind of number; bytes of an entry


def without_details(exif: bytes) -> Image.Exif:
    """The part of the block that Pillow writes into any TIFF: its first directory alone."""
    block = _loaded(exif)
    for tag in set(block) & set(TiffTags.TAGS_V2_GROUPS):
        del block[tag]
    return block


def with_details(tiff: bytes, exif: bytes) -> bytes:
    """The TIFF file with the block's other directories (exposure, place): a new first one at its end.

    Raises struct.error where the file would be too long for a TIFF.
    """
    block = _loaded(exif)
    order = "<" if tiff[:2] == b"II" else ">"
    (old,) = struct.unpack_from(order + "I", tiff, 4)
    (count,) = struct.unpack_from(order + "H", tiff, old)
    entries = [tiff[at : at + _ENTRY] for at in range(old + 2, old + 2 + count * _ENTRY, _ENTRY)]
    data = bytearray(tiff)
    for group in sorted(set(block) & set(TiffTags.TAGS_V2_GROUPS)):
        data += bytes(len(data) % 2)  # directories begin at even places
        entries.append(struct.pack(order + "HHII", group, _LONG, 1, len(data)))
        directory = TiffImagePlugin.ImageFileDirectory_v2(tiff[:8], group=group)
        for tag, value in block.get_ifd(group).items():
            directory[tag] = value
        data += directory.tobytes(len(data))
    data += bytes(len(data) % 2)
    struct.pack_into(order + "I", data, 4, len(data))
    entries.sort(key=lambda entry: struct.unpack_from(order + "H", entry))
    return bytes(data + struct.pack(order + "H", len(entries)) + b"".join(entries) + bytes(4))


def _loaded(exif: bytes) -> Image.Exif:
    block = Image.Exif()
    block.load(exif)
    return block
