"""HEIC files made to order: tiles, turns, crops, color signals and opacity, coded by x265."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction

import av
import numpy as np
from PIL import Image

Nclx = tuple[int, int, int, bool]


def heic(
    pixels: np.ndarray,
    *,
    tile: int | None = None,
    turns: Sequence[tuple[bytes, bytes]] = (),
    nclx: Nclx | None = (1, 13, 6, True),
    icc: bytes | None = None,
    exif: bytes | None = None,
    opacity: np.ndarray | None = None,
    brand: bytes = b"heic",
) -> bytes:
    """uint8 or uint16 RGB [H, W, 3] as a HEIC file; of 10 bits where it is uint16, in tiles where asked."""
    height, width = pixels.shape[:2]
    full, matrix = (nclx[3], nclx[2]) if nclx else (True, 6)
    items: list[tuple[bytes, bytes, list[tuple[bytes, bytes]]]] = []
    references: list[tuple[bytes, int, list[int]]] = []
    said = list(turns)
    if nclx is not None:
        said.append((b"colr", b"nclx" + struct.pack(">HHHB", *nclx[:3], 128 * nclx[3])))
    if icc is not None:
        said.append((b"colr", b"prof" + icc))
    if tile is None:
        data, config = _coded(pixels, full, matrix)
        items.append((b"hvc1", data, [(b"ispe", _size(width, height)), (b"hvcC", config), *said]))
    else:
        rows, columns = -(-height // tile), -(-width // tile)
        grid = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, width, height)
        items.append((b"grid", grid, [(b"ispe", _size(width, height)), *said]))
        padded = np.pad(pixels, ((0, rows * tile - height), (0, columns * tile - width), (0, 0)), "edge")
        for index in range(rows * columns):
            top, left = index // columns * tile, index % columns * tile
            data, config = _coded(padded[top : top + tile, left : left + tile], full, matrix)
            items.append((b"hvc1", data, [(b"ispe", _size(tile, tile)), (b"hvcC", config)]))
        references.append((b"dimg", 1, list(range(2, 2 + rows * columns))))
    if opacity is not None:
        data, config = _coded(np.repeat(opacity[..., None], 3, axis=2), True, 6)
        kind = b"\0\0\0\0urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"
        items.append((b"hvc1", data, [(b"ispe", _size(width, height)), (b"hvcC", config), (b"auxC", kind)]))
        references.append((b"auxl", len(items), [1]))
    if exif is not None:
        items.append((b"Exif", bytes(4) + exif.removeprefix(b"Exif\0\0"), []))
        references.append((b"cdsc", len(items), [1]))
    head = _box(b"ftyp", brand + bytes(4) + b"mif1heic")
    start = len(head) + len(_meta(items, references, 0)) + 8
    return head + _meta(items, references, start) + _box(b"mdat", b"".join(data for _, data, _ in items))


def _coded(pixels: np.ndarray, full: bool, matrix: int) -> tuple[bytes, bytes]:
    """The stream and its configuration."""
    deep = pixels.dtype == np.uint16
    source = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb48le" if deep else "rgb24")
    frame = source.reformat(
        format="yuv444p10le" if deep else "yuv444p",
        dst_colorspace={6: 5}.get(matrix, matrix),
        dst_color_range=2 if full else 1,
        interpolation=0x4 | 0x40000 | 0x2000 | 0x4000,
    )
    encoder = av.CodecContext.create("libx265", "w")
    encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, frame.format.name
    encoder.time_base = Fraction(1, 25)
    encoder.options = {"x265-params": "log-level=none:keyint=1:crf=2:repeat-headers=0", "preset": "fast"}
    encoder.flags |= 1 << 22  # headers apart
    packets = [*encoder.encode(frame), *encoder.encode(None)]
    return b"".join(_with_lengths(bytes(packet)) for packet in packets), _hvcc(bytes(encoder.extradata), deep)


def _units(stream: bytes) -> list[bytes]:
    parts = stream.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")
    return [part for part in parts if part]


def _with_lengths(stream: bytes) -> bytes:
    return b"".join(struct.pack(">I", len(unit)) + unit for unit in _units(stream) if unit[0] >> 1 < 32)


def _hvcc(headers: bytes, deep: bool) -> bytes:
    units = [unit for unit in _units(headers) if unit[0] >> 1 in (32, 33, 34)]
    arrays = b"".join(struct.pack(">BHH", unit[0] >> 1, 1, len(unit)) + unit for unit in units)
    fixed = bytes([1, 4]) + bytes(11) + bytes.fromhex("f000fcfffafa00000f" if deep else "f000fcfff8f800000f")
    return fixed + bytes([len(units)]) + arrays


def _size(width: int, height: int) -> bytes:
    return struct.pack(">III", 0, width, height)


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content


def _meta(items: list, references: list, start: int) -> bytes:
    infos = b"".join(
        _box(b"infe", struct.pack(">IHH4sB", 2 << 24, number, 0, kind, 0))
        for number, (kind, _, _) in enumerate(items, 1)
    )
    properties, uses, places = b"", b"", b""
    count = 0
    for number, (_, data, own) in enumerate(items, 1):
        uses += struct.pack(">HB", number, len(own)) + bytes(range(count + 1, count + 1 + len(own)))
        count += len(own)
        properties += b"".join(_box(kind, content) for kind, content in own)
        places += struct.pack(">HHHII", number, 0, 1, start, len(data))
        start += len(data)
    refs = b"".join(
        _box(kind, struct.pack(f">HH{len(ids)}H", one, len(ids), *ids)) for kind, one, ids in references
    )
    return _box(
        b"meta",
        bytes(4)
        + _box(b"hdlr", bytes(8) + b"pict" + bytes(13))
        + _box(b"pitm", struct.pack(">IH", 0, 1))
        + _box(b"iinf", struct.pack(">IH", 0, len(items)) + infos)
        + _box(b"iloc", struct.pack(">IHH", 0, 0x4400, len(items)) + places)
        + (_box(b"iref", bytes(4) + refs) if refs else b"")
        + _box(
            b"iprp",
            _box(b"ipco", properties) + _box(b"ipma", struct.pack(">II", 0, len(items)) + uses),
        ),
    )


def photograph(height: int = 96, width: int = 128, seed: int = 0) -> np.ndarray:
    """uint8 RGB [H, W, 3], smooth."""
    small = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))
