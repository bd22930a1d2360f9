"""What a model file says of itself and what its weights are stored as, read without the onnx package."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import prod
from pathlib import Path

# onnx.proto: ModelProto.graph and .metadata_props, GraphProto.initializer, TensorProto.dims and .data_type
_GRAPH, _METADATA, _INITIALIZER, _DIMS, _DATA_TYPE = 7, 14, 5, 1, 2
_NAMES = {1: "fp32", 2: "uint8", 3: "int8", 10: "fp16", 11: "fp64", 16: "bf16", 21: "uint4", 22: "int4"}
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def weights_precision(path: Path) -> str | None:
    """What most weights of an ONNX file are stored as: "fp32", "fp16", "int8", ...

    None for a file without weights. Raises ValueError for one that is not protobuf.
    """
    counts: Counter[str] = Counter()
    for field, graph in _fields(memoryview(path.read_bytes())):
        if field != _GRAPH or isinstance(graph, int):
            continue
        for inner, tensor in _fields(graph):
            if inner == _INITIALIZER and not isinstance(tensor, int):
                name, size = _tensor(tensor)
                if name is not None:
                    counts[name] += size
    return counts.most_common(1)[0][0] if counts else None


def read_metadata(path: Path) -> dict[str, str]:
    """An ONNX file's `metadata_props`.

    Raises ValueError for a file that is not protobuf.
    """
    found = {}
    for field, entry in _fields(memoryview(path.read_bytes())):
        if field == _METADATA and not isinstance(entry, int):
            texts = {key: bytes(text).decode() for key, text in _fields(entry) if not isinstance(text, int)}
            found[texts.get(1, "")] = texts.get(2, "")  # StringStringEntryProto.key and .value
    return found


def _tensor(message: memoryview) -> tuple[str | None, int]:
    """Name of the type and number of elements; None for types that hold no weights, as shapes' int64."""
    dims: list[int] = []
    kind = None
    for field, value in _fields(message):
        if field == _DIMS:
            dims += [value] if isinstance(value, int) else _packed(value)
        elif field == _DATA_TYPE and isinstance(value, int):
            kind = _NAMES.get(value)
    return kind, prod(dims)


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Field numbers and values of one protobuf message; the fixed-size ones are passed over."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        field, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield field, value
        elif kind == _BYTES:
            length, at = _varint(message, at)
            yield field, message[at : at + length]
            at += length
        elif kind in (_FIXED32, _FIXED64):
            at += 4 if kind == _FIXED32 else 8
        else:
            raise ValueError(f"not a protobuf message: wire type {kind}")


def _packed(values: memoryview) -> list[int]:
    found, at = [], 0
    while at < len(values):
        value, at = _varint(values, at)
        found.append(value)
    return found


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """A number in groups of seven bits, lowest first, and where it ends."""
    value = shift = 0
    while at < len(message):
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
    raise ValueError("not a protobuf message: it ends within a number")
