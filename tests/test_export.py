"""The ONNX contract: pixels in, pixels out, any size, and torch's own answer."""

from __future__ import annotations

import copy
import json
import warnings
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fast_nst.arguments import ExportOptions
from fast_nst.contract import OPSET
from fast_nst.errors import UserError
from fast_nst.export import PLAIN_OPS, PixelGraph, export_onnx, export_run, measure_parity
from fast_nst.networks.transform import TransformConfig, TransformNetwork, load_transform, save_transform
from fast_nst.runtime.stylizer import Stylizer

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def network() -> TransformNetwork:
    """Random weights with more contrast than a new network has, so that differences would show."""
    torch.manual_seed(0)
    network = TransformNetwork(TransformConfig(4, 3))
    with torch.no_grad():
        network.head.weight.mul_(8)
    return network


@pytest.fixture(scope="session")
def exported(network: TransformNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "style.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        export_onnx(network, path, {"style": "test", "license": "CC0"})
    return path


def test_onnx_runtime_and_torch_agree_on_all_sizes(network: TransformNetwork, exported: Path) -> None:
    shapes = [(n, h, w) for n in (1, 3) for h, w in ((1, 1), (7, 5), (64, 64), (333, 517))]
    parity = measure_parity(PixelGraph(network), exported, [*shapes, (1, 1080, 1920)])
    assert parity.worst <= 1
    assert parity.share_equal > 0.99


@pytest.mark.parametrize("kind", ["fast", "johnson"])
def test_antialiased_and_fast_networks_agree_too(kind: Literal["fast", "johnson"], tmp_path: Path) -> None:
    """Their low-pass, bilinear resize, stem and pixel shuffle are ops that the plain network has not."""
    torch.manual_seed(0)
    network = TransformNetwork(TransformConfig(4, 1, kind, antialias=True))
    with torch.no_grad():
        for parameter in network.head.parameters():
            parameter.mul_(8)
    path = tmp_path / "style.onnx"
    export_onnx(network, path, {})
    shapes = [(2, h, w) for h in range(1, 24, 3) for w in (1, 9, 16, 31)]
    assert measure_parity(PixelGraph(network), path, shapes).worst <= 1
    assert Stylizer(path).metadata["network"] == kind


def test_what_one_pixel_becomes_keeps_no_network_from_its_file(tmp_path: Path) -> None:
    """Instance norms of large scales turn the rounding of a flat picture into gray levels, on both sides."""
    torch.manual_seed(0)
    network = TransformNetwork(TransformConfig(8, kind="fast"))
    with torch.no_grad():
        for norm in network.norms().values():
            norm.weight.normal_(40, 20)
    path = tmp_path / "style.onnx"
    assert export_onnx(network, path, {}).worst <= 1
    pixel = np.full((1, 1, 1, 3), 200, np.uint8)
    assert Stylizer(path)(pixel).shape == pixel.shape


def test_what_two_pixels_become_keeps_no_network_from_its_file_either(tmp_path: Path) -> None:
    torch.manual_seed(2)
    network = TransformNetwork(TransformConfig(16))
    assert export_onnx(network, tmp_path / "style.onnx", {}).worst <= 1
    pixels = np.uint8([[[[0, 40, 20], [30, 5, 50]]]])
    assert Stylizer(tmp_path / "style.onnx")(pixels).shape == pixels.shape


def test_full_hd_agrees_in_a_batch_of_three(network: TransformNetwork, exported: Path) -> None:
    assert measure_parity(PixelGraph(network), exported, [(3, 1080, 1920)]).worst <= 1


@given(n=st.integers(1, 2), h=st.integers(1, 45), w=st.integers(1, 45))
@settings(max_examples=60, deadline=None)
def test_output_size_is_input_size(exported: Path, n: int, h: int, w: int) -> None:
    image = np.zeros((n, h, w, 3), np.uint8)
    assert Stylizer(exported, threads=1)(image).shape == image.shape


@pytest.mark.parametrize("h", range(20, 24))
@pytest.mark.parametrize("w", range(20, 24))
def test_output_size_is_input_size_for_all_remainders_of_the_stride(exported: Path, h: int, w: int) -> None:
    assert Stylizer(exported, threads=1)(np.zeros((h, w, 3), np.uint8)).shape == (h, w, 3)


def test_values_are_rounded_not_truncated() -> None:
    """A head that answers 200.6 / 255 everywhere must give 201."""
    network = TransformNetwork(TransformConfig(4, 0))
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.bias.fill_(float(torch.logit(torch.tensor(200.6 / 255))))
        pixels = PixelGraph(network)(torch.zeros(1, 8, 8, 3, dtype=torch.uint8))
    assert pixels.unique().tolist() == [201]


def test_the_contract_is_in_the_file(exported: Path) -> None:
    model = onnx.load(exported)
    onnx.checker.check_model(model, full_check=True)
    assert [value.name for value in model.graph.input] == ["image"]
    assert [value.name for value in model.graph.output] == ["stylized"]
    for value in (*model.graph.input, *model.graph.output):
        dims = value.type.tensor_type.shape.dim
        assert value.type.tensor_type.elem_type == onnx.TensorProto.UINT8
        assert [dim.dim_param for dim in dims[:3]] == ["batch", "height", "width"]
        assert dims[3].dim_value == 3
    assert {node.op_type for node in model.graph.node} <= PLAIN_OPS
    assert [(item.domain, item.version) for item in model.opset_import] == [("", OPSET)]
    metadata = Stylizer(exported).metadata
    assert metadata["style"] == "test"
    assert metadata["width"] == "4"
    assert json.loads(metadata["parity"])["worst_grey_levels"] <= 1


def test_nothing_of_this_machine_is_in_the_file(exported: Path) -> None:
    data = exported.read_bytes()
    for secret in (str(Path.cwd()), "site-packages", ".py", str(Path.home()) + "/"):
        assert secret.encode() not in data


def test_a_graph_that_differs_from_torch_is_not_written(
    network: TransformNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights that change behind the exporter's back stand for any exporter's mistake."""
    from fast_nst import export

    real = export._torch_to_onnx

    def spoiled(graph: PixelGraph, opset: int) -> onnx.ModelProto:
        model = real(graph, opset)
        bias = next(item for item in model.graph.initializer if item.name.endswith("head.bias"))
        bias.CopyFrom(onnx.numpy_helper.from_array(np.float32([2, 2, 2]), bias.name))
        return model

    monkeypatch.setattr(export, "_torch_to_onnx", spoiled)
    with pytest.raises(UserError, match=r"differ by \d+ gray levels"):
        export_onnx(network, tmp_path / "bad.onnx", {})
    assert not list(tmp_path.iterdir())


def test_a_run_is_exported_with_its_metadata(network: TransformNetwork, tmp_path: Path) -> None:
    save_transform(network, tmp_path / "model.safetensors", {"style": "waves"})
    path, parity = export_run(tmp_path)
    assert path == tmp_path / "model.onnx"
    assert parity.worst <= 1
    assert Stylizer(path).metadata["style"] == "waves"


def test_an_unfinished_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"model\.safetensors"):
        export_run(tmp_path)


def test_an_unwritable_target_is_named(network: TransformNetwork, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot write"):
        export_onnx(network, tmp_path / "file" / "model.onnx", {})


@pytest.fixture(scope="module")
def many() -> TransformNetwork:
    """Three styles that paint quite differently."""
    torch.manual_seed(1)
    network = TransformNetwork(TransformConfig(4, 1, "fast"), 3)
    with torch.no_grad():
        for parameter in network.head.parameters():
            parameter.mul_(8)
        for norm in network.norms().values():
            norm.weight.add_(0.5 * torch.randn_like(norm.weight))
            norm.bias.add_(0.5 * torch.randn_like(norm.bias))
    return network


def test_a_file_of_many_styles_takes_weights_for_all_pictures_or_for_each(
    many: TransformNetwork, tmp_path: Path
) -> None:
    path = tmp_path / "many.onnx"
    assert export_onnx(many, path, {}).worst <= 1
    model = onnx.load(path)
    weights = model.graph.input[1].type.tensor_type
    assert [value.name for value in model.graph.input] == ["image", "style_weights"]
    assert weights.elem_type == onnx.TensorProto.FLOAT
    assert [weights.shape.dim[0].dim_param, weights.shape.dim[1].dim_value] == ["rows", 3]
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    images = np.random.default_rng(0).integers(0, 256, (3, 37, 45, 3), np.uint8)

    def run(*rows: list[float]) -> np.ndarray:
        inputs = {"image": images, "style_weights": np.float32(rows)}
        return session.run(None, inputs)[0].astype(int)

    each = run([1, 0, 0], [0, 1, 0], [0, 0, 1])
    for number, row in enumerate(np.eye(3)):
        alone = tmp_path / f"{number}.onnx"
        export_onnx(many.with_styles(torch.tensor(row[None])), alone, {})
        expected = Stylizer(alone)(images).astype(int)
        assert abs(run(list(row)) - expected).max() <= 1
        assert abs(each[number] - expected[number]).max() <= 1
        assert abs(run(list(7 * row)) - expected).max() <= 1  # normalized in the graph
    mixed = run([1, 1, 0])
    assert abs(mixed - run([1, 0, 0])).mean() > 2
    assert abs(mixed - run([0, 1, 0])).mean() > 2


def test_training_goes_on_from_an_exported_file_of_many_styles(
    many: TransformNetwork, tmp_path: Path
) -> None:
    about = {"styles": json.dumps([{"name": name} for name in "abc"])}
    export_onnx(many, tmp_path / "many.onnx", about)
    network, _ = load_transform(tmp_path / "many.onnx")
    for name, value in many.state_dict().items():
        assert torch.equal(network.state_dict()[name], value), name
    export_onnx(many.with_styles(torch.eye(3)[:1]), tmp_path / "one.onnx", {"style": "a"})
    with pytest.raises(UserError, match=r"one\.onnx cannot be trained on"):
        load_transform(tmp_path / "one.onnx")


def test_exporting_leaves_the_network_where_it_was(network: TransformNetwork, tmp_path: Path) -> None:
    half = copy.deepcopy(network).double()
    export_onnx(half, tmp_path / "style.onnx", {})
    assert {parameter.dtype for parameter in half.parameters()} == {torch.float64}


def test_the_command_line_names_the_opset_that_training_exports() -> None:
    assert ExportOptions().opset == OPSET
