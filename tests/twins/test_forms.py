"""`fast-nst export` in other forms: floats, channels first, half precision, one fixed size."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from fast_nst import Stylizer
from fast_nst.arguments import ExportOptions
from fast_nst.cli import main
from fast_nst.contract import STYLES, StyleInfo, styles_to_json
from fast_nst.errors import UserError
from fast_nst.export import export_onnx
from fast_nst.networks.transform import TransformConfig, TransformNetwork, save_transform
from fast_nst.shipped import list_models
from fast_nst.twins import checks
from fast_nst.twins.export import export_file

pytestmark = pytest.mark.slow

MIXTURE = "waves:1,scream:3"
SHAPES = ((1, 1, 2), (1, 7, 5), (3, 64, 64), (2, 97, 130))


def pictures(n: int, height: int, width: int) -> np.ndarray:
    """Noise over a gradient, uint8 [N, H, W, 3]."""
    ramp = np.linspace(0, 150, height * width * 3).reshape(height, width, 3)
    return (ramp + np.random.default_rng(0).integers(0, 100, (n, height, width, 3))).astype(np.uint8)


def run(path: Path, image: np.ndarray, **more: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["stylized"], {"image": image, **more})[0]


def run_floats(path: Path, image: np.ndarray, kind: type = np.float32, **more: np.ndarray) -> np.ndarray:
    """As a program does that knows float NCHW alone; gray levels [N, H, W, 3], not rounded."""
    floats = np.ascontiguousarray((image.astype(np.float32) / 255).transpose(0, 3, 1, 2)).astype(kind)
    result = run(path, floats, **more)
    assert result.dtype == kind
    assert 0 <= result.min() <= result.max() <= 1
    return result.astype(np.float32).transpose(0, 2, 3, 1) * 255


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.square(one.astype(float) - other).mean()))


@pytest.fixture(scope="module")
def many() -> TransformNetwork:
    torch.manual_seed(0)
    network = TransformNetwork(TransformConfig(4, 1), styles=2)
    with torch.no_grad():
        for norm in network.norms().values():
            norm.weight.copy_(torch.rand_like(norm.weight) * 2 + 0.2)
            norm.bias.copy_(torch.randn_like(norm.bias) * 0.5)
    return network


@pytest.fixture(scope="module")
def plain(many: TransformNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of one style in the form that is exported."""
    path = tmp_path_factory.mktemp("plain") / "plain.onnx"
    export_onnx(many.with_styles(torch.eye(2)[:1]), path, {"style": "waves", "license": "CC0-1.0"})
    return path


@pytest.fixture(scope="module")
def run_folder(many: TransformNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two styles, finished, with a checkpoint."""
    folder = tmp_path_factory.mktemp("run")
    about = {"style": "two", STYLES: styles_to_json([StyleInfo("waves"), StyleInfo("scream")])}
    save_transform(many, folder / "model.safetensors", about)
    checkpoint = folder / "checkpoint" / "step-000010"
    checkpoint.mkdir(parents=True)
    save_transform(many, checkpoint / "average.safetensors", about)
    export_onnx(many, folder / "model.onnx", about)
    return folder


# --- floats --------------------------------------------------------------------------------------


def test_the_float_form_of_a_shipped_file_paints_the_same_at_any_size(tmp_path: Path) -> None:
    path = tmp_path / "float.onnx"
    assert main(["export", "strokes", "--form", "float", "--output", str(path)]) == 0
    plain = Stylizer("strokes")
    for shape in SHAPES:
        image = pictures(*shape)
        painted = run_floats(path, image)
        assert np.abs(np.rint(painted) - plain(image)).max() <= 1
    assert len(np.unique(painted)) > 300  # not the uint8 output in other clothes


@pytest.mark.parametrize("source", ["model.onnx", "checkpoint/step-000010"])
def test_of_many_styles_it_takes_their_weights_beside_the_floats(
    run_folder: Path, tmp_path: Path, source: str
) -> None:
    path, stylizer, image = tmp_path / "float.onnx", Stylizer(run_folder), pictures(2, 33, 46)
    export_file(str(run_folder / source), ExportOptions(path, form="float"))
    mixed = run_floats(path, image, style_weights=np.float32([[1, 3]]))
    assert np.abs(np.rint(mixed) - stylizer(image, style=MIXTURE)).max() <= 1
    each = run_floats(path, image, style_weights=np.eye(2, dtype=np.float32))
    assert np.abs(np.rint(each) - stylizer(image, style=["waves", "scream"])).max() <= 1
    assert np.abs(each - mixed).max() > 20


@pytest.mark.parametrize("source", ["", "model.safetensors"])
def test_of_many_styles_one_can_be_taken_as_floats(run_folder: Path, tmp_path: Path, source: str) -> None:
    path, image = tmp_path / "float.onnx", pictures(2, 33, 46)
    export_file(str(run_folder / source), ExportOptions(path, style=MIXTURE, form="float"))
    painted = run_floats(path, image)
    assert np.abs(np.rint(painted) - Stylizer(run_folder, MIXTURE)(image)).max() <= 1


@pytest.mark.parametrize("arguments", [[], ["--precision", "fp16"], ["--size", "50x37"]])
def test_opencv_runs_the_float_form(plain: Path, arguments: list[str], tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    path = tmp_path / "float.onnx"
    assert main(["export", str(plain), "--form", "float", "-o", str(path), *arguments]) == 0
    network, image = cv2.dnn.readNetFromONNX(str(path)), pictures(1, 37, 50)
    network.setInput(cv2.dnn.blobFromImages(list(image), 1 / 255))
    painted = network.forward().transpose(0, 2, 3, 1) * 255
    assert np.abs(np.rint(painted) - Stylizer(plain)(image)).max() <= 1


@pytest.mark.parametrize(("form", "layout"), [("uint8", "nchw"), ("float", "nhwc")])
def test_channels_may_be_first_or_last_in_both_forms(
    plain: Path, form: str, layout: str, tmp_path: Path
) -> None:
    path = tmp_path / "other.onnx"
    assert main(["export", str(plain), "--form", form, "--layout", layout, "-o", str(path)]) == 0
    image = pictures(2, 31, 45)
    given = np.ascontiguousarray(image.transpose(0, 3, 1, 2)) if layout == "nchw" else image
    given = given / np.float32(255) if form == "float" else given
    painted = run(path, given).astype(np.float32) * (255 if form == "float" else 1)
    painted = painted.transpose(0, 2, 3, 1) if layout == "nchw" else painted
    assert np.abs(np.rint(painted) - Stylizer(plain)(image)).max() <= 1


def test_a_file_in_another_form_keeps_what_is_said_of_it(plain: Path, tmp_path: Path) -> None:
    path = tmp_path / "float.onnx"
    export_file(str(plain), ExportOptions(path, form="float"))
    model, expected = onnx.load(path), Stylizer(plain).metadata
    about = {entry.key: entry.value for entry in model.metadata_props}
    assert {**about, "parity": ""} == {**expected, "parity": ""}
    assert json.loads(about["parity"])["worst_grey_levels"] <= 1
    for value in (*model.graph.input, *model.graph.output):
        dims = value.type.tensor_type.shape.dim
        assert [dim.dim_param or dim.dim_value for dim in dims] == ["batch", 3, "height", "width"]
    used = {name for node in model.graph.node for name in node.input}
    assert used.issuperset(item.name for item in model.graph.initializer)


def test_a_form_of_a_shipped_file_needs_no_extra(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules.update(torch=None, skimage=None, scipy=None, safetensors=None)\n"
        "from fast_nst.cli import main\n"
        "sys.exit(main(['export', 'strokes', '--form', 'float', '-o', sys.argv[1]]))"
    )
    path = tmp_path / "new" / "float.onnx"
    subprocess.run([sys.executable, "-c", code, path], cwd=Path(__file__).parents[2], check=True)
    assert run_floats(path, pictures(1, 20, 30)).shape == (1, 20, 30, 3)


# --- one size ------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["uint8", "float"])
@pytest.mark.parametrize("size", ["50x37", "64"])
def test_a_file_of_one_size_computes_no_sizes(plain: Path, form: str, size: str, tmp_path: Path) -> None:
    path = tmp_path / "fixed.onnx"
    assert main(["export", str(plain), "--form", form, "--size", size, "-o", str(path)]) == 0
    model = onnx.load(path)
    assert not {"Shape", "Max", "Reshape", "Concat"} & {node.op_type for node in model.graph.node}
    assert [item.domain for item in model.opset_import] == [""]
    width, height = (50, 37) if size == "50x37" else (64, 64)
    image = pictures(1, height, width)
    painted = run_floats(path, image) if form == "float" else run(path, image)
    assert np.abs(np.rint(painted) - Stylizer(plain)(image)).max() <= 1


# --- half precision ------------------------------------------------------------------------------


def test_half_precision_of_a_shipped_file_is_half_the_size_and_close(tmp_path: Path) -> None:
    path = tmp_path / "half.onnx"
    assert main(["export", "strokes", "--form", "float", "--precision", "fp16", "-o", str(path)]) == 0
    assert path.stat().st_size < 0.6 * list_models()["strokes"].stat().st_size
    image = pictures(2, 97, 130)
    assert psnr(run_floats(path, image, np.float16), Stylizer("strokes")(image)) > 45
    model = onnx.load(path)
    about = {entry.key: entry.value for entry in model.metadata_props}
    assert about["precision"] == "fp16"
    assert float(about["psnr_db"]) > 45
    kinds = {item.name: item.data_type for item in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Conv":
            assert kinds[node.input[1]] == onnx.TensorProto.FLOAT16
        if node.op_type == "InstanceNormalization":  # sums over many pixels would overflow
            assert kinds[node.input[1]] == onnx.TensorProto.FLOAT


def test_the_runtime_takes_half_precision_in_the_uint8_form(plain: Path, tmp_path: Path) -> None:
    path = tmp_path / "half.onnx"
    export_file(str(plain), ExportOptions(path, precision="fp16"))
    image = pictures(2, 40, 51)
    assert psnr(Stylizer(path)(image), Stylizer(plain)(image)) > 45


def test_half_precision_of_many_styles_keeps_their_weights_in_float32(
    run_folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "half.onnx"
    export_file(str(run_folder), ExportOptions(path, precision="fp16"))
    image = pictures(2, 40, 51)
    for style in ("waves", "waves:1,scream:2"):
        assert psnr(Stylizer(path, style)(image), Stylizer(run_folder, style)(image)) > 45
    for more in ({"style": "waves"}, {"form": "float"}):  # from what it was made of, and no worse
        with pytest.raises(UserError, match="in fp16 already"):
            export_file(str(path), ExportOptions(tmp_path / "again.onnx", **more))  # type: ignore[arg-type]


def test_a_network_that_half_precision_spoils_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Sums beyond 65504 are harmless in float32, and the norm behind them divides them away.

    onnxruntime on a CPU computes in float32 even so, and finds nothing wrong.
    """
    torch.manual_seed(0)
    network = TransformNetwork(TransformConfig(4, 1))
    with torch.no_grad():
        next(network.parameters()).mul_(1e6)
    source = tmp_path / "model.onnx"
    export_onnx(network, source, {})
    assert main(["export", str(source), "--precision", "fp16", "-o", str(tmp_path / "half.onnx")]) == 2
    error = capsys.readouterr().err
    assert "below 45" in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == [source]


# --- what cannot be had ---------------------------------------------------------------------------


def test_a_form_that_paints_something_else_is_not_written(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = checks.change_form

    def spoiled(*arguments: object) -> onnx.ModelProto:
        model = real(*arguments)  # type: ignore[arg-type]
        bias = next(item for item in model.graph.initializer if item.name.endswith("head.bias"))
        values = onnx.numpy_helper.to_array(bias) + np.float32(0.1)
        bias.CopyFrom(onnx.numpy_helper.from_array(values, bias.name))
        return model

    monkeypatch.setattr(checks, "change_form", spoiled)
    with pytest.raises(UserError, match=r"differs by \d+ gray levels"):
        export_file(str(plain), ExportOptions(tmp_path / "bad.onnx", form="float"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--form", "float"], "--output is missing"),
        (["--size", "big", "-o", "x.onnx"], "--size: 'big' is no size"),
        (["--form", "half", "-o", "x.onnx"], "half"),
        (["--triton", "models", "-o", "x.onnx"], "drop --output"),
        (["--form", "float", "-o", "{plain}"], "is the file itself"),
    ],
)
def test_what_cannot_be_made_is_one_clear_line(
    plain: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    named = [argument.format(plain=plain) for argument in arguments]
    assert main(["export", str(plain), *named]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "said"),
    [({"form": "float"}, "--form"), ({"layout": "nchw"}, "NHWC|N, H, W, 3"), ({"size": 64}, "fixed")],
)
def test_the_runtime_names_what_it_cannot_take(
    plain: Path, tmp_path: Path, options: dict[str, object], said: str
) -> None:
    path = tmp_path / "other.onnx"
    export_file(str(plain), ExportOptions(path, **options))  # type: ignore[arg-type]
    with pytest.raises(UserError, match=said):
        Stylizer(path)
    with pytest.raises(UserError, match=said):
        export_file(str(path), ExportOptions(tmp_path / "again.onnx", precision="fp16"))
