"""Fixtures shared by the tests: small real models that keep the project's ONNX contract."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that turns a picture into its negative."""
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["white", "float"], ["negative"]),
        helper.make_node("Cast", ["negative"], ["stylized"], to=TensorProto.UINT8),
    ]
    return _save(tmp_path_factory.mktemp("model") / "negative.onnx", nodes)


@pytest.fixture(scope="session")
def hungry_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that gives back the picture, but asks for H to the power of 4 numbers on the way."""
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("Shape", ["image"], ["height"], start=1, end=2),
        helper.make_node("Concat", ["height"] * 4, ["huge"], axis=0),
        helper.make_node("Expand", ["white", "huge"], ["much"]),
        helper.make_node("ReduceMean", ["much"], ["mean"], keepdims=0),
        helper.make_node("Sub", ["mean", "white"], ["zero"]),
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["float", "zero"], ["sum"]),
        helper.make_node("Cast", ["sum"], ["stylized"], to=TensorProto.UINT8),
    ]
    return _save(tmp_path_factory.mktemp("model") / "hungry.onnx", nodes)


@pytest.fixture(scope="session")
def other_model(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """The same under another name."""
    path = tmp_path_factory.mktemp("model") / "other.onnx"
    path.write_bytes(tiny_model.read_bytes())
    return path


@pytest.fixture(scope="session")
def gallery_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of three styles, waves, scream and udnie, that differ much; as training exports it."""
    import torch

    from fast_nst.contract import STYLES, StyleInfo, styles_to_json
    from fast_nst.export import export_onnx
    from fast_nst.networks.transform import TransformConfig, TransformNetwork

    torch.manual_seed(0)
    network = TransformNetwork(TransformConfig(8, 1, "fast"), styles=3)
    with torch.no_grad():
        for norm in network.norms().values():
            norm.weight.copy_(torch.rand_like(norm.weight) * 2 + 0.2)
            norm.bias.copy_(torch.randn_like(norm.bias) * 0.7)
    styles = [
        StyleInfo("waves", "CC0-1.0", "Hokusai", "ab"),
        StyleInfo("scream", "CC-BY-4.0", "Munch", "cd"),
        StyleInfo("udnie"),
    ]
    about = {"style": "gallery", "license": "mixed", STYLES: styles_to_json(styles)}
    path = tmp_path_factory.mktemp("gallery") / "gallery.onnx"
    export_onnx(network, path, about)
    return path


def _save(path: Path, nodes: list[Any], more: list[Any] | None = None) -> Path:
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    shape = ["N", "H", "W", 3]
    graph = helper.make_graph(
        nodes,
        path.stem,
        [helper.make_tensor_value_info("image", TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info("stylized", TensorProto.UINT8, shape)],
        [numpy_helper.from_array(np.array(255, np.float32), "white"), *(more or [])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, {"style": path.stem, "format_version": "1"})
    onnx.save(model, path)
    return path


@pytest.fixture(autouse=True)
def fresh_accelerator() -> None:
    """accelerate keeps one state per process; a test must not inherit the device of another."""
    import sys

    if "accelerate" in sys.modules:
        from accelerate.state import AcceleratorState

        AcceleratorState._reset_state(True)


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with twelve pictures of several sizes, one of them in a folder below."""
    import numpy as np
    from PIL import Image

    from fast_nst.data.builtin import make_picture

    folder = tmp_path_factory.mktemp("photographs")
    (folder / "nested").mkdir()
    for index in range(12):
        pixels = make_picture(np.random.default_rng([7, index]), 72 + 4 * index)
        name = f"nested/{index}.png" if index == 3 else f"{index}.png"
        Image.fromarray(pixels[: 64 + index]).save(folder / name)
    return folder


@pytest.fixture(scope="session")
def quick(photographs: Path) -> list[str]:
    """Arguments of a training run that takes a second or two."""
    return [
        *("--style", "strokes", "--content", str(photographs), "--loss.network", "vgg16"),
        *("--loss.style_size", "64", "--network.width", "4", "--network.blocks", "1"),
        *("--data.size", "32", "--data.batch", "2", "--data.workers", "0", "--data.validation", "2"),
        *("--optimizer.warmup", "2", "--log.every", "2", "--log.samples", "2"),
    ]


@pytest.fixture
def parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set as the hub keeps them: rows of encoded pictures in parquet shards, one row broken."""
    import io

    import datasets
    from PIL import Image

    monkeypatch.setattr(datasets.config, "SLEEP_TIME_ON_THREADS_SHUTDOWN", 0)  # else 5 s at each epoch's end
    rows = []
    for index in range(24):
        buffer = io.BytesIO()
        Image.new("RGB", (40 + index, 40), (index * 10, 50, 200)).save(buffer, "png")
        data = b"broken" if index == 13 else buffer.getvalue()
        rows.append({"image": {"bytes": data, "path": f"{index}.png"}, "label": index})
    features = datasets.Features({"image": datasets.Image(decode=False), "label": datasets.Value("int32")})
    whole = datasets.Dataset.from_list(rows, features=features)
    folder = tmp_path / "parquet"
    folder.mkdir()
    for shard in range(2):
        whole.shard(2, shard, contiguous=True).to_parquet(folder / f"train-{shard}.parquet")
    return folder
