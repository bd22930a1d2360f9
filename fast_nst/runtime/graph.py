"""Looking into an exported file and its graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Set
from math import prod
from pathlib import Path

import onnx

_PRECISIONS = {"FLOAT": "fp32", "DOUBLE": "fp64", "FLOAT16": "fp16", "BFLOAT16": "bf16"}
_QUANTIZED = {"INT8", "UINT8", "INT4", "UINT4"}


def read_metadata(path: Path) -> dict[str, str]:
    """An ONNX file's `metadata_props`."""
    return {entry.key: entry.value for entry in onnx.load(path, load_external_data=False).metadata_props}


def weights_precision(path: Path) -> str | None:
    """What most weights of an ONNX file are stored as: "fp32", "fp16", "int8", ...; None without weights."""
    counts: Counter[str] = Counter()
    for tensor in onnx.load(path, load_external_data=False).graph.initializer:
        kind = onnx.TensorProto.DataType.Name(tensor.data_type)
        if kind in _PRECISIONS or kind in _QUANTIZED:  # the others, as shapes' int64, hold no weights
            counts[_PRECISIONS.get(kind, kind.lower())] += prod(tensor.dims)
    return counts.most_common(1)[0][0] if counts else None


def is_norm(node: onnx.NodeProto) -> bool:
    """Whether the node looks at a whole picture, and is one we can do in two steps."""
    return node.op_type == "InstanceNormalization"


def nodes_between(graph: onnx.GraphProto, target: str, given: Set[str]) -> list[onnx.NodeProto]:
    """The nodes that make `target` from the tensors of `given`, in the graph's order."""
    wanted, nodes = {target} - given, []
    for node in reversed(graph.node):  # a graph's nodes stand in topological order
        if wanted.intersection(node.output):
            wanted.update(set(node.input) - given)
            nodes.append(node)
    return nodes[::-1]
