"""One stage of a graph as an ONNX model of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from fast_nst.runtime.probe import IMAGE, STYLIZED, Tensor
from fast_nst.runtime.tiled.stages import Stage, is_norm, nodes_between

_AXES = {"NCHW": [2, 3], "NHWC": [1, 2], "columns": [3]}


def build_stage(
    model: onnx.ModelProto,
    stage: Stage,
    tensors: Mapping[str, Tensor],
    statistics: Mapping[str, tuple[np.ndarray, np.ndarray]],
) -> bytes:
    """The model that runs `stage` on one tile, as the bytes of a file.

    Inputs: for each NAME of `stage.reads` `NAME:read`, [1, H, W, C], the tile with its halo; for each NAME
    of `stage.outputs` `NAME:starts` and `NAME:ends`, int64 (row, column), where the tile lies in it.
    Outputs: for each NAME of `stage.kept` `NAME:kept`, [1, h, w, C], the tile; in all stages but the last
    also `rows:length`, int64 [1], `rows:mean` and `rows:variance`, float32 [1, C, h, 1], of the target.

    `statistics` has mean and variance, float64 [C], of the norm inputs that earlier stages made.
    """
    # No exported name holds a colon, so ours do.
    constants = [numpy_helper.from_array(np.array(axes), f"{name}:axes") for name, axes in _AXES.items()]
    nodes = [_to_graph(name) for name in stage.reads]
    for node in nodes_between(model.graph, stage.target, set(stage.reads)):
        if is_norm(node):
            node, moments = _batch_norm(node, tensors, statistics)
            constants += moments
        nodes.append(node)
    for name in stage.outputs:
        axes = "NHWC:axes" if name == STYLIZED else "NCHW:axes"
        nodes.append(helper.make_node("Slice", [name, *_ends(name), axes], [f"{name}:tile"]))
    nodes += [_from_graph(name) for name in stage.kept]
    if stage.target != STYLIZED:
        nodes += _row_moments(f"{stage.target}:tile")
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "stage",
        [*_read_inputs(stage, tensors), *_end_inputs(stage)],
        [onnx.ValueInfoProto(name=name) for name in output_names(stage)],  # onnxruntime finds their types
        [item for item in (*constants, *model.graph.initializer) if item.name in used],
    )
    made = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    return made.SerializeToString()


def output_names(stage: Stage) -> list[str]:
    """The outputs of the stage's model, in order."""
    kept = [f"{name}:kept" for name in stage.kept]
    return kept if stage.target == STYLIZED else [*kept, "rows:length", "rows:mean", "rows:variance"]


def _read_inputs(stage: Stage, tensors: Mapping[str, Tensor]) -> Iterable[onnx.ValueInfoProto]:
    for name in stage.reads:
        kind = TensorProto.UINT8 if name == IMAGE else tensors[name].type
        yield helper.make_tensor_value_info(f"{name}:read", kind, [1, None, None, None])


def _end_inputs(stage: Stage) -> Iterable[onnx.ValueInfoProto]:
    for name in stage.outputs:
        for end in _ends(name):
            yield helper.make_tensor_value_info(end, TensorProto.INT64, [2])


def _ends(name: str) -> list[str]:
    return [f"{name}:starts", f"{name}:ends"]


def _to_graph(name: str) -> onnx.NodeProto:
    """Scratch files hold rows of pixels, as pictures do: one tile's part of a row is read at once."""
    if name == IMAGE:
        return helper.make_node("Identity", [f"{name}:read"], [name])
    return helper.make_node("Transpose", [f"{name}:read"], [name], perm=[0, 3, 1, 2])


def _from_graph(name: str) -> onnx.NodeProto:
    if name == STYLIZED:
        return helper.make_node("Identity", [f"{name}:tile"], [f"{name}:kept"])
    return helper.make_node("Transpose", [f"{name}:tile"], [f"{name}:kept"], perm=[0, 2, 3, 1])


def _batch_norm(
    norm: onnx.NodeProto,
    tensors: Mapping[str, Tensor],
    statistics: Mapping[str, tuple[np.ndarray, np.ndarray]],
) -> tuple[onnx.NodeProto, list[onnx.TensorProto]]:
    """An instance norm whose mean and variance are known is a batch norm with them as constants."""
    source, output = norm.input[0], norm.output[0]
    dtype = helper.tensor_dtype_to_np_dtype(tensors[source].type)
    names = [f"{output}:mean", f"{output}:variance"]
    moments = [
        numpy_helper.from_array(values.astype(dtype), name)
        for name, values in zip(names, statistics[source], strict=True)
    ]
    known = onnx.NodeProto()
    known.CopyFrom(norm)  # with its epsilon
    known.op_type = "BatchNormalization"
    known.input.extend(names)
    return known, moments


def _row_moments(name: str) -> list[onnx.NodeProto]:
    """Mean and variance of each row: float32 does for a row; rows are merged in float64."""
    return [
        helper.make_node("Cast", [name], ["rows:float"], to=TensorProto.FLOAT),
        helper.make_node("Shape", [name], ["rows:length"], start=3),
        helper.make_node("ReduceMean", ["rows:float", "columns:axes"], ["rows:mean"]),
        helper.make_node("Sub", ["rows:float", "rows:mean"], ["rows:centered"]),
        helper.make_node("Mul", ["rows:centered", "rows:centered"], ["rows:squares"]),
        helper.make_node("ReduceMean", ["rows:squares", "columns:axes"], ["rows:variance"]),
    ]
