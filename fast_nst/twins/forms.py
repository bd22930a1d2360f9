"""The graph of an exported file in another form: floats, channels first, half precision, one fixed size."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Literal

import onnx
import onnxruntime
from onnx import TensorProto, helper

from fast_nst.contract import IMAGE, STYLE_WEIGHTS, STYLIZED
from fast_nst.errors import UserError

BEFORE, AFTER = (
    ("Transpose", "Cast", "Div"),
    ("Transpose", "Cast", "Clip", "Round", "Mul"),
)  # from the ends in


@dataclass(frozen=True)
class Form:
    """What goes into a file and comes out of it; by default what `fast_nst.contract` says."""

    values: Literal["uint8", "float"] = "uint8"
    """uint8 from 0 to 255, or floats from 0 to 1."""
    layout: Literal["nhwc", "nchw"] = "nhwc"
    """[N, H, W, 3] or [N, 3, H, W]."""
    precision: Literal["fp32", "fp16"] = "fp32"
    """Of the weights, the layers between the norms, and the pictures where they are floats."""
    size: tuple[int, int] | None = None
    """(height, width) of the one picture that fits; None: any number of any size."""


def change_form(model: onnx.ModelProto, form: Form, name: str) -> onnx.ModelProto:
    """A copy of an exported model in another form, without its metadata.

    Raises UserError where the graph is not one of `fast_nst.export`'s; `name` is for the message.
    """
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    _change_ends(changed.graph, form, name)
    if form.size is not None:
        changed = _fold_sizes(changed)
    if form.precision == "fp16":
        changed = _halve(changed)
    changed.graph.ClearField("value_info")
    changed.ClearField("metadata_props")
    onnx.checker.check_model(changed, full_check=True)
    return changed


def _change_ends(graph: onnx.GraphProto, form: Form, name: str) -> None:
    taken = {node.input[0]: node for node in reversed(graph.node) if node.op_type in BEFORE}
    made = {value: node for node in graph.node for value in node.output}
    before, after, first, last = [], [], IMAGE, STYLIZED
    for op in BEFORE:
        if first in taken and taken[first].op_type == op:
            before.append(taken[first])
            first = before[-1].output[0]
    for op in AFTER:
        if last in made and made[last].op_type == op:
            after.append(made[last])
            last = after[-1].input[0]
    if len(before) < len(BEFORE) or len(after) < len(AFTER):
        raise UserError(f"{name} does not begin and end as fast-nst exports it, so that no form can be made")
    ends = [(node.op_type == "Transpose", node.output[0]) for node in (*before, *after)]
    if form.values == "float":
        _leave_out(graph, {value for transposes, value in ends if not transposes})
    if form.layout == "nchw":
        _leave_out(graph, {value for transposes, value in ends if transposes})
        for node in graph.node:
            if node.op_type == "Shape" and node.input[0] == IMAGE:
                axis = {attribute.name: attribute for attribute in node.attribute}
                if axis["start"].i:  # H or W; N stays where it is
                    axis["start"].i, axis["end"].i = axis["start"].i + 1, axis["end"].i + 1
    used = {value for node in graph.node for value in node.input}
    kept = [item for item in graph.initializer if item.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    count, *sides = (1, *form.size) if form.size else ("batch", "height", "width")
    shape = [count, *sides, 3] if form.layout == "nhwc" else [count, 3, *sides]
    kind = TensorProto.FLOAT if form.values == "float" else TensorProto.UINT8
    for value in (*graph.input, *graph.output):
        if value.name != STYLE_WEIGHTS:
            value.CopyFrom(helper.make_tensor_value_info(value.name, kind, shape))
        elif form.size:
            value.type.tensor_type.shape.dim[0].dim_value = 1


def _leave_out(graph: onnx.GraphProto, values: Iterable[str]) -> None:
    """Without the nodes that make these; what used a node's output uses its input."""
    for value in values:
        node = next(node for node in graph.node if value in node.output)
        old, new = (node.input[0], value) if value == STYLIZED else (value, node.input[0])
        graph.node.remove(node)
        for other in graph.node:
            for names in (other.input, other.output):
                names[:] = [new if name == old else name for name in names]


def _fold_sizes(model: onnx.ModelProto) -> onnx.ModelProto:
    """What is computed of the size alone becomes constants, which onnxruntime does as it loads a model."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = (
        onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    )  # standard ops only
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = str(Path(folder) / "model.onnx")
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        folded = onnx.load(options.optimized_model_filepath)
    opset = [item for item in folded.opset_import if not item.domain]
    del folded.opset_import[:]
    folded.opset_import.extend(opset)
    return folded


def _halve(model: onnx.ModelProto) -> onnx.ModelProto:
    """Weights and layers in float16; norms stay in float32, where sums over many pixels do not overflow."""
    from onnxruntime.transformers.float16 import convert_float_to_float16  # changes sys.path

    half = convert_float_to_float16(
        model, op_block_list=["InstanceNormalization"], keep_io_types=[STYLE_WEIGHTS]
    )
    # Its casts stand at the end, behind the nodes that need them.
    made = {value: index for index, node in enumerate(half.graph.node) for value in node.output}
    needs = {
        index: {made[value] for value in node.input if value in made}
        for index, node in enumerate(half.graph.node)
    }
    ordered = onnx.ModelProto()
    ordered.CopyFrom(half)
    del ordered.graph.node[:]
    ordered.graph.node.extend(half.graph.node[index] for index in TopologicalSorter(needs).static_order())
    return ordered
