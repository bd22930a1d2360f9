"""An exported graph cut into stages that can be run tile by tile.

Only instance norm looks at a whole picture; all other layers look at a few neighbors. So the graph is cut
at the input of every norm. A stage computes one such input on all tiles and takes its mean and variance over
the whole picture; in later stages that norm is a batch norm with the two as constants. No other node is
changed: a tile that ends where the picture ends is padded there by the graph's own nodes, and what they make
of a tile's inner borders lies in the halo, which is cut away.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import onnx
from onnx import helper

from fast_nst.runtime.graph import is_norm, nodes_between
from fast_nst.runtime.probe import IMAGE, STYLIZED, Tensor


@dataclass(frozen=True)
class Stage:
    """The part of the graph from the tensors at hand to one norm's input, or to the result."""

    target: str
    """The tensor whose statistics are taken, or the result."""
    reads: tuple[str, ...]
    """Tensors at hand it starts from: the picture, and what earlier stages kept."""
    kept: tuple[str, ...]
    """Tensors it makes for good: those that later stages read, or the result."""
    halo: int
    """Pixels of the picture around a tile that the tile's values may depend on."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """The tensors that are cut to the tile, each once."""
        return tuple(dict.fromkeys((*self.kept, self.target)))


def plan_stages(graph: onnx.GraphProto, tensors: Mapping[str, Tensor], step: int) -> list[Stage]:
    """The stages in the order to run them; the one that makes the result is the last.

    What later stages need is kept if it is smaller than the picture. Tensors of the picture's own size take
    the most room and the least work (few channels): each stage that needs them makes them anew. Halos are
    multiples of `step`.
    """
    norm_inputs = [node.input[0] for node in graph.node if is_norm(node)]
    at_hand, done, stages = {IMAGE}, set[str](), []
    for target in [*dict.fromkeys(norm_inputs), STYLIZED]:
        nodes = nodes_between(graph, target, at_hand)
        made = {name for node in nodes for name in node.output}
        done |= made
        needed = {name for node in graph.node if not done.issuperset(node.output) for name in node.input}
        kept = [name for name in tensors if name in made & needed and tensors[name].storable]
        if target == STYLIZED:
            kept = [target]
        reads = {name for node in nodes for name in node.input if name in at_hand} or {target}
        halo = math.ceil(_reach(nodes, graph, tensors) / step) * step
        stages.append(Stage(target, tuple(sorted(reads)), tuple(kept), halo))
        at_hand.update(kept)
    return stages


def peak_bytes_per_pixel(graph: onnx.GraphProto, tensors: Mapping[str, Tensor]) -> float:
    """Bytes of all tensors alive at once per pixel of the picture, at the worst node of an untiled run."""
    last_use = {name: index for index, node in enumerate(graph.node) for name in node.input}
    alive = peak = 0.0
    for index, node in enumerate(graph.node):
        alive += sum(tensors[name].bytes_per_pixel for name in node.output if name in tensors)
        peak = max(peak, alive)
        freed = {name for name in node.input if name in tensors and last_use[name] == index}
        alive -= sum(tensors[name].bytes_per_pixel for name in freed)
    return peak


def scratch_bytes_per_pixel(stages: list[Stage], tensors: Mapping[str, Tensor]) -> float:
    """Bytes of all kept tensors that lie on disk at once, per pixel of the picture."""
    kept, peak = set[str](), 0.0
    for index, stage in enumerate(stages[:-1]):
        kept.update(stage.kept)
        peak = max(peak, sum(tensors[name].bytes_per_pixel for name in kept))
        kept &= {name for later in stages[index + 1 :] for name in later.reads}
    return peak


def _reach(nodes: list[onnx.NodeProto], graph: onnx.GraphProto, tensors: Mapping[str, Tensor]) -> float:
    """How many pixels of the picture the nodes' outputs look to any side, at most."""
    kernels = {item.name: max(item.dims[2:]) for item in graph.initializer if len(item.dims) == 4}
    reach: dict[str, float] = {}
    for node in nodes:
        before = max((reach.get(name, 0.0) for name in node.input), default=0.0)
        scales = [tensors[name].scale for name in (*node.input, *node.output) if name in tensors]
        after = before + max(scales, default=0.0) * _neighbors(node, scales, kernels)
        reach.update(dict.fromkeys(node.output, after))
    return max(reach.values(), default=0.0)


def _neighbors(node: onnx.NodeProto, scales: list[float], kernels: Mapping[str, int]) -> int:
    """How many pixels a node looks to any side, in those of its coarsest tensor, at most."""
    values = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    if node.op_type == "Resize":
        return {b"nearest": 1, b"linear": 2}.get(values.get("mode", b"nearest"), 3)
    kernel = max(values.get("kernel_shape") or [kernels.get(node.input[1], 1) if len(node.input) > 1 else 1])
    if kernel > 1:
        # However it is padded, so that a convolution and the Pad in front of it need no looking at.
        return (kernel - 1) * max(values.get("dilations", [1]))
    return int(len(set(scales)) > 1)  # pixels become channels or the other way round
