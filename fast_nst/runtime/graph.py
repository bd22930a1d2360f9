"""Looking into an exported graph."""

from __future__ import annotations

from collections.abc import Set

import onnx


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
