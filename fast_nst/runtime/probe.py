"""What an exported graph is like, found by running it on small pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper

from fast_nst.errors import UserError, one_line
from fast_nst.runtime.failures import explain_failure

IMAGE, STYLIZED = "image", "stylized"
_SIDE = 64  # pixels; a multiple of every stride, and more than any graph pads small pictures to
_OLDEST_OPSET = 18  # since then the axes of reductions are inputs


@dataclass(frozen=True)
class Tensor:
    """What is known of a tensor whatever the picture's size."""

    scale: float
    """Picture pixels per pixel of it along one axis: 4 at a quarter of the resolution; 0 without pixels."""
    bytes_per_pixel: float
    """Bytes it takes per pixel of the picture."""
    type: int
    """Element type, a TensorProto.DataType."""
    storable: bool
    """Whether it is float [1, C, H, W] and smaller than the picture."""


def read_graph(source: str | bytes, name: str) -> onnx.ModelProto:
    """The model of a file or of a file's bytes; UserError where it is too old to be cut."""
    try:
        model = onnx.load_from_string(source) if isinstance(source, bytes) else onnx.load(source)
    except Exception as error:  # protobuf's, onnx's or the system's
        raise UserError(f"{name} does not load as an ONNX model: {one_line(error)}") from error
    opset = next((item.version for item in model.opset_import if not item.domain), 0)
    if opset < _OLDEST_OPSET:
        raise UserError(
            f"{name} cannot be run in tiles: it has opset {opset}, export it with {_OLDEST_OPSET} or newer"
        )
    return model


def probe_graph(
    model: onnx.ModelProto, name: str, open_session: Callable[[bytes], Any]
) -> tuple[dict[str, Tensor], int]:
    """Facts about the input and the outputs of all nodes, and the step at whose multiples tiles may begin.

    Raises UserError where the graph does not run.
    """
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    names = [output for node in model.graph.node for output in node.output if output]
    del probe.graph.output[:]
    probe.graph.output.extend(onnx.ValueInfoProto(name=output) for output in names)
    session = open_session(probe.SerializeToString())

    def run(side: int) -> dict[str, np.ndarray]:
        picture = np.zeros((1, side, side, 3), np.uint8)
        try:
            return {IMAGE: picture, **dict(zip(names, session.run(names, {IMAGE: picture}), strict=True))}
        except Exception as error:
            raise explain_failure(error, name, picture.shape) from error

    small, large = run(_SIDE), run(2 * _SIDE)
    tensors = {key: _measure(small[key], large[key]) for key in small}
    steps = (2**power for power in range(_SIDE.bit_length()))
    return tensors, next(step for step in steps if _grows_by(step, small, run(_SIDE + step), tensors))


def _measure(small: np.ndarray, large: np.ndarray) -> Tensor:
    grown = _grown(small, large)
    sides = {large.shape[axis] - small.shape[axis] for axis in grown}
    scale = _SIDE / sides.pop() if len(grown) == 2 and len(sides) == 1 else 0.0
    storable = scale > 1 and grown == [2, 3] and large.ndim == 4 and large.dtype.kind == "f"
    kind = helper.np_dtype_to_tensor_dtype(large.dtype)
    return Tensor(scale, large.nbytes / (2 * _SIDE) ** 2, kind, storable)


def _grown(small: np.ndarray, large: np.ndarray) -> list[int]:
    return [axis for axis in range(large.ndim) if large.shape[axis] != small.shape[axis]]


def _grows_by(
    step: int,
    small: Mapping[str, np.ndarray],
    large: Mapping[str, np.ndarray],
    tensors: Mapping[str, Tensor],
) -> bool:
    """Whether `step` more pixels are as many more in every tensor: a multiple of strides and of padding."""
    for name, tensor in tensors.items():
        sides = zip(small[name].shape, large[name].shape, strict=True)
        if tensor.scale and [(after - before) * tensor.scale for before, after in sides].count(step) != 2:
            return False
    return True
