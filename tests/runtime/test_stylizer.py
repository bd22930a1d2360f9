"""One model on one input, through the real onnxruntime."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

import fast_nst
from fast_nst.errors import UserError
from fast_nst.runtime import models
from fast_nst.runtime.failures import DeviceLost, OutOfMemory, RunFailed, explain_failure
from fast_nst.runtime.listing import describe_model
from fast_nst.runtime.providers import SHORT_NAMES, choose_providers
from fast_nst.runtime.stylizer import Stylizer

ROOT = Path(__file__).parents[2]


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@pytest.fixture(scope="module")
def negative(tiny_model: Path) -> Stylizer:
    return Stylizer(tiny_model, threads=1, providers=["cpu"])


# --- what goes in and comes out ------------------------------------------------------------------


def test_output_has_the_size_of_the_input_whatever_it_is(negative: Stylizer) -> None:
    @given(st.integers(1, 3), st.integers(1, 50), st.integers(1, 50))
    @settings(max_examples=60, deadline=None)
    def check(count: int, height: int, width: int) -> None:
        batch = noise(count, height, width, 3)
        assert np.array_equal(negative(batch), 255 - batch)
        assert np.array_equal(negative(batch[0]), 255 - batch[0])

    check()


def test_pil_image_comes_back_as_one_upright_and_over_white(negative: Stylizer) -> None:
    image = Image.fromarray(noise(4, 6, 3))
    image.getexif()[0x0112] = 6  # stored on its side
    result = negative(image)
    assert isinstance(result, Image.Image)
    assert (result.mode, result.size) == ("RGB", (4, 6))
    clear = negative(Image.new("RGBA", (3, 2)))
    assert np.asarray(clear).max() == 0  # white, negated


def test_arrays_that_are_views_are_read_right(negative: Stylizer) -> None:
    image = noise(8, 10, 3)
    for view in (image[::-1], image[:, ::2], image[..., ::-1], image.transpose(1, 0, 2)):
        assert np.array_equal(negative(view), 255 - view)


@pytest.mark.parametrize(
    ("image", "error", "said"),
    [
        (np.zeros((4, 4, 3), np.float32), TypeError, "float32"),
        (np.zeros((4, 4, 3), np.uint16), TypeError, "uint16"),
        ([[[0, 0, 0]]], TypeError, "list"),
        (np.zeros((4, 4), np.uint8), ValueError, r"\[4, 4\]"),
        (np.zeros((4, 4, 4), np.uint8), ValueError, r"\[4, 4, 4\]"),
        (np.zeros((3, 4, 4), np.uint8), ValueError, r"\[3, 4, 4\]"),
        (np.zeros((0, 4, 3), np.uint8), ValueError, "at least one pixel"),
        (np.zeros((0, 4, 4, 3), np.uint8), ValueError, "at least one pixel"),
    ],
)
def test_wrong_input_says_what_is_wrong(
    negative: Stylizer, image: np.ndarray, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        negative(image)


def test_strength_and_color_options(negative: Stylizer) -> None:
    image = noise(6, 5, 3)
    assert np.array_equal(negative(image, strength=0.0), image)
    assert np.abs(negative(image, strength=0.5).astype(int) - 127.5).max() <= 0.5
    assert negative(image, preserve_color=True).shape == image.shape
    assert not np.array_equal(negative(image, preserve_color=True), 255 - image)
    with pytest.raises(ValueError, match="strength"):
        negative(image, strength=2.0)


def test_result_is_the_callers_own(negative: Stylizer) -> None:
    image = noise(4, 4, 3)
    result = negative(image, strength=0.0)
    result[:] = 0
    assert image.max() > 0


def test_many_threads_may_share_one_model(negative: Stylizer) -> None:
    images = [noise(20 + n % 7, 30 + n % 5, 3) + np.uint8(n) for n in range(60)]
    with ThreadPoolExecutor(6) as pool:
        for image, result in zip(images, pool.map(negative, images), strict=True):
            assert np.array_equal(result, 255 - image)


# --- the model file ------------------------------------------------------------------------------


def test_bytes_path_and_text_name_the_same_model(tiny_model: Path) -> None:
    for model in (tiny_model, str(tiny_model), tiny_model.read_bytes()):
        stylizer = Stylizer(model)
        assert stylizer.metadata == {"style": "negative", "format_version": "1"}
        assert stylizer(np.zeros((2, 2, 3), np.uint8)).min() == 255


def one_line_error(*arguments: object, **options: object) -> str:
    with pytest.raises(UserError) as caught:
        Stylizer(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_no_model_is_one_line(tmp_path: Path, tiny_model: Path) -> None:
    broken = tmp_path / "broken.onnx"
    for content in (b"", b"garbage" * 9, tiny_model.read_bytes()[:100]):
        broken.write_bytes(content)
        assert str(broken) in one_line_error(broken)
        assert "the model" in one_line_error(content)


def test_a_model_whose_name_is_not_unicode_loads(tiny_model: Path, tmp_path: Path) -> None:
    """It failed with the signature of a function of onnxruntime's."""
    odd = tmp_path / os.fsdecode(b"caf\xe9.onnx")
    try:
        shutil.copy(tiny_model, odd)
    except OSError:
        pytest.skip("this file system takes only names that are Unicode")
    assert Stylizer(odd)(np.zeros((2, 2, 3), np.uint8)).min() == 255


def test_a_model_onnxruntime_is_too_old_for_says_what_to_do(tmp_path: Path) -> None:
    """It said so in 700 characters, with the signature of a C++ function."""
    model = onnx.load_from_string(build(same()))
    model.opset_import[0].version = 99
    assert one_line_error(model.SerializeToString()).endswith("(pip install -U onnxruntime)")
    model.ir_version = 99
    assert one_line_error(model.SerializeToString()).endswith("(pip install -U onnxruntime)")


def test_a_damaged_graph_is_told_in_short_words() -> None:
    assert one_line_error(b"garbage" * 9).endswith("it is no ONNX file, or a damaged one")
    model = onnx.load_from_string(build(same()))
    model.graph.node[0].input[0] = "many words " * 100
    message = one_line_error(model.SerializeToString())
    assert message.startswith("the model does not load as an ONNX model: Invalid model. Node input 'many")
    assert len(message) < 400
    model.graph.node[0].output[0] = "nowhere"  # here onnxruntime names a line of its source
    assert "onnxruntime_src" not in one_line_error(model.SerializeToString())


def test_texts_of_a_damaged_file_are_no_traceback(tiny_model: Path) -> None:
    """Metadata and names that were not UTF-8 ended in a UnicodeDecodeError."""
    for text in (b"style", b"format_version", b"stylized", b"image"):
        damaged = tiny_model.read_bytes().replace(text, b"\xf9" + text[1:])
        assert "damaged" in one_line_error(damaged) or "does not load" in one_line_error(damaged)


def build(
    nodes: list[onnx.NodeProto],
    *,
    image: str = "image",
    stylized: str = "stylized",
    kind: int = TensorProto.UINT8,
    shape: tuple[object, ...] = ("N", "H", "W", 3),
    constants: dict[str, np.ndarray] | None = None,
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(image, kind, list(shape))],
        [helper.make_tensor_value_info(stylized, kind, [None] * 4)],
        [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()],
    )
    opset = helper.make_opsetid("", 18)
    return helper.make_model(graph, opset_imports=[opset], ir_version=10).SerializeToString()


def same(image: str = "image", stylized: str = "stylized") -> list[onnx.NodeProto]:
    return [helper.make_node("Identity", [image], [stylized])]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: build(same("x"), image="x"), "inputs are ['x']"),
        (lambda: build(same("image", "y"), stylized="y"), "without 'stylized'"),
        (lambda: build(same(), kind=TensorProto.FLOAT), "not uint8"),
        (lambda: build(same(), shape=("N", 3, "H", "W")), "not [N, H, W, 3]"),
        (lambda: build(same(), shape=(10, 224, 224, 3)), "fixed"),
    ],
)
def test_model_of_another_kind_is_told_apart(make: Callable[[], bytes], said: str) -> None:
    message = one_line_error(make())
    assert "not a fast_nst model" in message
    assert said in message


def test_model_that_changes_the_size_is_caught_not_passed_on() -> None:
    """A net that pads to a multiple of 4 without cropping shears every row of a video."""
    pad = helper.make_node("Pad", ["image", "pads"], ["stylized"])
    grows = build([pad], constants={"pads": np.array([0, 0, 0, 0, 0, 2, 0, 0], np.int64)})
    with pytest.raises(RunFailed, match=r"\[1, 338, 4, 3\] into \[1, 340, 4, 3\]"):
        Stylizer(grows)(noise(338, 4, 3))


def test_picture_too_large_for_the_memory_is_its_own_error(hungry_model: Path) -> None:
    stylizer = Stylizer(hungry_model)
    with pytest.raises(OutOfMemory, match="3x4000 pixels"):
        stylizer(noise(4000, 3, 3))
    assert np.array_equal(stylizer(noise(4, 3, 3)), noise(4, 3, 3))  # and the next one works


# --- providers, threads --------------------------------------------------------------------------


def test_absent_provider_is_an_error_never_a_silent_cpu_run(tiny_model: Path) -> None:
    available = onnxruntime.get_available_providers()
    for name, full in (("coreml", "CoreMLExecutionProvider"), ("cuda", "CUDAExecutionProvider")):
        if full not in available:
            for asked in (name, full):
                message = one_line_error(tiny_model, providers=[asked, "cpu"])
                assert asked in message
                assert "cpu" in message.split("it has")[1]
    assert "warp-drive" in one_line_error(tiny_model, providers=["warp-drive"])
    assert "empty" in one_line_error(tiny_model, providers=[])


def test_provider_by_short_or_full_name(tiny_model: Path) -> None:
    for asked in (["cpu"], ["CPU"], ["CPUExecutionProvider"], "cpu"):
        assert Stylizer(tiny_model, providers=asked).providers == ["CPUExecutionProvider"]


def test_number_of_threads_is_checked_and_used(tiny_model: Path) -> None:
    assert "--threads" in one_line_error(tiny_model, threads=0)
    tasks = Path("/proc/self/task")
    if not tasks.exists():
        pytest.skip("threads are counted in /proc")
    for threads in (1, 3):
        code = (
            f"import os; from fast_nst import Stylizer; import onnxruntime; n = len(os.listdir('{tasks}'))\n"
        )
        code += f"s = Stylizer('{tiny_model}', threads={threads}); print(len(os.listdir('{tasks}')) - n)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert int(done.stdout) == threads - 1  # and the caller's own


def test_every_provider_there_is_paints_the_same() -> None:
    image = noise(70, 93, 3)
    expected = Stylizer("strokes", threads=1, providers=["cpu"])(image).astype(int)
    for name, full in SHORT_NAMES.items():
        if full in onnxruntime.get_available_providers():
            result = Stylizer("strokes", threads=1, providers=[name])(image)
            assert np.abs(result - expected).max() <= 1, name


def test_options_for_a_provider_reach_onnxruntime(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[list[tuple[str, dict[str, str]]]] = []
    real = onnxruntime.InferenceSession

    def session(*arguments: Any, providers: list[tuple[str, dict[str, str]]], **more: Any) -> Any:
        opened.append(providers)
        return real(*arguments, providers=["CPUExecutionProvider"], **more)

    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    every = list(SHORT_NAMES.values())
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: every)
    asked = {"device_id": "1", "arena_extend_strategy": "kNextPowerOfTwo"}
    with pytest.raises(UserError, match="did not start"):
        Stylizer(tiny_model, providers=[("cuda", asked), "cpu"])
    ours = {"cudnn_conv_algo_search": "HEURISTIC"}  # and what is given goes before ours
    assert opened == [[("CUDAExecutionProvider", ours | asked), ("CPUExecutionProvider", {})]]


def test_cpu_stands_behind_every_provider_and_cuda_behind_tensorrt(monkeypatch: pytest.MonkeyPatch) -> None:
    every = list(SHORT_NAMES.values())
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: every)
    trt, cuda, cpu = (SHORT_NAMES[name] for name in ("tensorrt", "cuda", "cpu"))
    assert [name for name, _ in choose_providers(["tensorrt"])] == [trt, cuda, cpu]
    assert [name for name, _ in choose_providers(["cpu", "cuda"])] == [cuda, cpu]
    assert [name for name, _ in choose_providers(None)] == [cuda, cpu]
    device = {"device_type": "GPU"}
    assert choose_providers([("openvino", device)])[0] == (SHORT_NAMES["openvino"], device)


def test_warm_up_runs_every_size(negative: Stylizer, hungry_model: Path) -> None:
    negative.warm_up([(8, 9), (1, 30)], batch=2)
    with pytest.raises(OutOfMemory, match="3x4000 pixels in a batch of 2"):
        Stylizer(hungry_model).warm_up([(4000, 3)], batch=2)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("[ONNXRuntimeError] : 1 : FAIL : CUDA failure 700: an illegal memory access", DeviceLost),
        ("[ONNXRuntimeError] : 1 : FAIL : CUDA failure 2: out of memory ; GPU=0", OutOfMemory),
        ("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : 887A0005 The GPU device instance", DeviceLost),
        ("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : std::bad_alloc", OutOfMemory),
        ("[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Non-zero status code", RunFailed),
    ],
)
def test_lost_device_ends_the_job_while_a_failed_picture_does_not(said: str, kind: type[UserError]) -> None:
    """The texts are those of onnxruntime's CUDA and DirectML providers."""
    error = explain_failure(RuntimeError(said), "m.onnx", (1, 480, 640, 3))
    assert type(error) is kind
    assert "640x480" in str(error)
    assert ("--providers cpu" in str(error)) == (kind is DeviceLost)
    assert isinstance(error, RunFailed) != (kind is DeviceLost)


SOAK = """
import sys
import numpy as np
from fast_nst.runtime.stylizer import Stylizer
stylizer, rng = Stylizer("strokes", threads=1, providers=["cpu"]), np.random.default_rng(0)
for count in range(300):
    stylizer(np.zeros((*rng.integers(24, 128, 2), 3), np.uint8))
    if count in (150, 299):
        print(int(open("/proc/self/statm").read().split()[1]) * 4096)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
def test_memory_stays_flat_over_hundreds_of_picture_sizes() -> None:
    run = subprocess.run([sys.executable, "-c", SOAK], cwd=ROOT, capture_output=True, text=True, check=True)
    middle, end = map(int, run.stdout.split())
    assert end < 1.1 * middle


# --- names of models -----------------------------------------------------------------------------


def test_unknown_name_lists_what_there_is(tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(UserError, match="no-such-style") as caught:
        models.find_model("no-such-style")
    for name in models.list_models():
        assert name in str(caught.value)
    with pytest.raises(UserError, match=r"without a model\.onnx"):
        models.find_model(tmp_path)
    shutil.copy(tiny_model, tmp_path / "model.onnx")
    assert models.find_model(tmp_path).path == tmp_path / "model.onnx"


def test_installed_package_and_clone_both_find_the_shipped_styles(tmp_path: Path, tiny_model: Path) -> None:
    """A copy of the package, laid out once as a wheel and once as a clone, run on its own."""
    for place in ("fast_nst/checkpoints", "checkpoints"):
        home = tmp_path / place.replace("/", "_")
        package = home / "fast_nst"
        shutil.copytree(
            ROOT / "fast_nst", package, ignore=shutil.ignore_patterns("__pycache__", "checkpoints")
        )
        (home / place / "styles").mkdir(parents=True)
        shutil.copy(tiny_model, home / place / "styles" / "negative.onnx")
        code = (
            "from fast_nst import Stylizer; from fast_nst.runtime import models;"
            "print(list(models.list_models()), Stylizer('negative').metadata['style'])"
        )
        run = subprocess.run(
            [sys.executable, "-c", code], cwd=home, capture_output=True, text=True, check=True
        )
        assert run.stdout == "['negative'] negative\n"


def test_description_of_a_file(tiny_model: Path) -> None:
    description = describe_model(models.find_model(tiny_model))
    assert description["metadata"]["style"] == "negative"
    assert description["size_bytes"] == tiny_model.stat().st_size


# --- the package ---------------------------------------------------------------------------------


def test_runtime_works_where_the_extras_are_not_installed(tiny_model: Path, tmp_path: Path) -> None:
    """Pictures are stylized with none of the packages of the extras (training, servers, Ray)."""
    code = (
        "import sys\n"
        "from fast_nst.cli import main\nfrom fast_nst.outcome import EXTRAS\n"
        "for name in set().union(*EXTRAS.values(), {'cv2', 'pyvips'}):\n"
        "    sys.modules[name] = None\n"
        "import fast_nst, numpy as np\n"
        "assert 'onnxruntime' not in sys.modules\n"
        "print(fast_nst.Stylizer(sys.argv[1])(np.zeros((2, 3, 3), np.uint8)).shape)\n"
        "sys.exit(main(['stylize', sys.argv[2], '--model', sys.argv[1], '--output', sys.argv[3]]))\n"
    )
    picture, result = tmp_path / "picture.png", tmp_path / "result.png"
    Image.fromarray(np.zeros((4, 5, 3), np.uint8)).save(picture)
    command = [sys.executable, "-c", code, str(tiny_model), str(picture), str(result)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (run.returncode, run.stdout.splitlines()[0]) == (0, "(2, 3, 3)"), run.stderr
    assert Image.open(result).size == (5, 4)


def test_onnxruntime_reports_nothing_about_its_use(tiny_model: Path, tmp_path: Path) -> None:
    """From 1.29 on it tells Microsoft of every model, and keeps files about that in two folders."""
    code = "import sys, fast_nst, numpy as np; fast_nst.Stylizer(sys.argv[1])(np.zeros((2, 3, 3), np.uint8))"
    outside_ci = {name: value for name, value in os.environ.items() if "CI" not in name.split("_")}
    outside_ci |= {"HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    for name in ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME"):
        outside_ci.pop(name, None)
    subprocess.run([sys.executable, "-c", code, str(tiny_model)], cwd=ROOT, env=outside_ci, check=True)
    assert list(tmp_path.rglob("*")) == []


def test_version_is_the_one_of_the_project_file() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert fast_nst.__version__ == project["version"]
    with pytest.raises(AttributeError, match="nothing"):
        _ = fast_nst.nothing
