"""Servers for the tests, and a model slow enough to see what waits for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("httpx", reason="part of the test install")

from running_server import Running, running


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Starts servers that end with the test."""
    with ExitStack() as stack:

        def begin(*arguments: object, code: str = "") -> Running:
            log = tmp_path / f"{len(list(tmp_path.iterdir()))}.log"
            return stack.enter_context(running(log, *arguments, code=code))

        yield begin


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Iterator[Running]:
    """One server for a file of tests: the shipped style and one of negatives, which is the default."""
    log = tmp_path_factory.mktemp("server") / "log"
    limits = ("--max-bytes", 200_000, "--max-pixels", 1_000_000, "--max-size", 500)
    with running(log, "--model", f"{tiny_model}, strokes", *limits) as found:
        yield found


@pytest.fixture(scope="session")
def slow_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that makes negatives and takes a good while for it, whatever the picture's size."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    size = 1300
    constants = {
        "white": np.array(255, np.float32),
        "zero": np.array(0, np.float32),
        "shape": np.array([size, size], np.int64),
    }
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["float"], ["largest"], keepdims=0),
        helper.make_node("Mul", ["largest", "zero"], ["nothing"]),
        helper.make_node("Expand", ["nothing", "shape"], ["a"]),
        *(helper.make_node("MatMul", [left, "a"], [right]) for left, right in ("ab", "bc", "cd", "de")),
        helper.make_node("ReduceMax", ["e"], ["idle"], keepdims=0),
        helper.make_node("Sub", ["white", "float"], ["negative"]),
        helper.make_node("Add", ["negative", "idle"], ["sum"]),
        helper.make_node("Cast", ["sum"], ["stylized"], to=TensorProto.UINT8),
    ]
    shape = ["N", "H", "W", 3]
    graph = helper.make_graph(
        nodes,
        "slow",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info("stylized", TensorProto.UINT8, shape)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    path = tmp_path_factory.mktemp("model") / "slow.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, path)
    return path
