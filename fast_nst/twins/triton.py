"""A model repository as NVIDIA Triton and OpenVINO Model Server read it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import onnx
from onnx import TensorProto

from fast_nst.files import write_whole

MAX_BATCH = 8  # pictures of one size that the server puts together, and that one request may bring
_TYPES: dict[int, str] = {
    TensorProto.UINT8: "TYPE_UINT8",
    TensorProto.FLOAT16: "TYPE_FP16",
    TensorProto.FLOAT: "TYPE_FP32",
}


def write_repository(folder: Path, name: str, model: onnx.ModelProto) -> Path:
    """Write `name`/config.pbtxt and `name`/1/model.onnx into a repository, which others may be in already.

    Returns the model's folder. What in its name is no letter, digit, dot or underscore becomes a dash.
    Raises UserError where it cannot be written.
    """
    name = re.sub(r"[^\w.]+", "-", name)
    write_whole(folder / name / "1" / "model.onnx", model.SerializeToString(), make_folder=True)
    write_whole(folder / name / "config.pbtxt", triton_config(name, model).encode())
    return folder / name


def triton_config(name: str, model: onnx.ModelProto) -> str:
    """The text of config.pbtxt: free sizes are -1, and a model of any number of pictures is batched."""
    graph = model.graph
    batched = not graph.output[0].type.tensor_type.shape.dim[0].dim_value
    lines = [
        f"name: {json.dumps(name)}",
        'backend: "onnxruntime"',
        f"max_batch_size: {MAX_BATCH if batched else 0}",
        *(_tensor("input", value, batched) for value in graph.input),
        *(_tensor("output", value, batched) for value in graph.output),
        # One memory plan is kept for every picture size otherwise.
        'parameters { key: "enable_mem_pattern" value { string_value: "0" } }',
        *(["dynamic_batching { }"] if batched else []),
    ]
    return "\n".join(lines) + "\n"


def _tensor(field: str, value: onnx.ValueInfoProto, batched: bool) -> str:
    tensor = value.type.tensor_type
    dims = [dim.dim_value or -1 for dim in tensor.shape.dim][1 if batched else 0 :]
    return f'{field} {{ name: "{value.name}" data_type: {_TYPES[tensor.elem_type]} dims: {dims} }}'
