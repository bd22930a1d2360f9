"""The command line as a user meets it: exit codes, one clear line for every mistake."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fast_nst.arguments import parse
from fast_nst.cli import main
from fast_nst.config import TrainConfig
from fast_nst.runtime.batch.options import StylizeOptions
from fast_nst.runtime.demo.options import DemoOptions


def run(*arguments: str, **more: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fast_nst.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **more)  # type: ignore[call-overload]


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture.png"
    Image.fromarray(np.full((20, 30, 3), 90, np.uint8)).save(path)
    return path


MISTAKES = {
    "no such style": (["train", "--style", "nowhere.jpg"], "nowhere.jpg"),
    "no style": (["train"], "--style is missing"),
    "no such content": (["train", "--style", "strokes", "--content", "no/such/dir"], "no/such/dir"),
    "unknown flag": (["train", "--styel", "x.jpg"], "--styel"),
    "wrong type": (["train", "--style", "strokes", "--steps", "many"], "--steps"),
    "wrong nested type": (["train", "--style", "strokes", "--data.batch", "4.5"], "--data.batch"),
    "negative size": (["train", "--style", "strokes", "--data.size", "-256"], "--data.size"),
    "size beside the stride": (["train", "--style", "strokes", "--data.size", "63"], "--data.size"),
    "negative steps": (["train", "--style", "strokes", "--steps", "-1"], "--steps"),
    "negative weight": (["train", "--style", "strokes", "--loss.weights.tv", "-1"], "--loss.weights.tv"),
    "unknown precision": (["train", "--style", "strokes", "--mixed-precision", "int3"], "int3"),
    "unknown loss network": (["train", "--style", "strokes", "--loss.network", "vgg91"], "vgg91"),
    "unknown tap": (
        ["train", "--style", "strokes", "--loss.network", "vgg16", "--loss.content-tap", "relu9_9"],
        "relu9_9",
    ),
    "no such config": (["train", "--config", "nowhere.yaml"], "nowhere.yaml"),
    "no such model": (["stylize", "{picture}", "--model", "nowhere.onnx"], "nowhere.onnx"),
    "no such input": (["stylize", "nowhere.png", "--model", "{model}"], "nowhere.png"),
    "negative stylize size": (["stylize", "{picture}", "--model", "{model}", "--size", "-5"], "--size"),
    "strength out of range": (
        ["stylize", "{picture}", "--model", "{model}", "--strength", "2"],
        "--strength",
    ),
    "tile of another kind": (["stylize", "{picture}", "--model", "{model}", "--tile", "big"], "--tile"),
    "tile too small": (["stylize", "{picture}", "--model", "{model}", "--tile", "8"], "--tile"),
    "no such run": (["export", "no/such/run"], "no/such/run"),
    "no such verb": (["paint"], "paint"),
    "no model": (["stylize", "{picture}"], "--model is missing"),
    "content is a file": (["train", "--style", "strokes", "--content", "{picture}"], "is a file"),
    "norms of nothing": (["train", "--style", "strokes", "--train", "norms"], "needs --init-from"),
    "empty folder of styles": (["train", "--style", "{empty}"], "is a folder without pictures"),
}


def test_a_yes_no_flag_is_turned_off_by_no() -> None:
    assert parse("demo", DemoOptions, ["--no-open"])[1].open is False
    assert parse("stylize", StylizeOptions, ["--model", "m", "--no-overwrite"])[1].overwrite is False


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_clear_line_and_exit_code_2(
    name: str, picture: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    arguments, named = MISTAKES[name]
    (tmp_path / "empty").mkdir()
    names = {"picture": picture, "model": tiny_model, "empty": tmp_path / "empty"}
    arguments = [argument.format(**names) for argument in arguments]
    if arguments[0] == "stylize":
        arguments += ["--output", str(tmp_path / "out")]
    if arguments[0] == "train" and "--output" not in arguments:
        arguments += ["--output", str(tmp_path / "run")]
    assert main(arguments) == 2
    captured = capsys.readouterr()
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("fast-nst: ")
    assert named in lines[0]
    assert captured.out == ""


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("steps: 3\nstepz: 4\n", "stepz"),
        ("data:\n  sise: 64\n", "sise"),
        ("data:\n  size: big\n", "--data.size"),
        ("steps: [1, 2]\n", "--steps"),
        ("loss:\n  weights:\n    stile: 3\n", "stile"),
        ("{ this is: not, yaml\n", "config.yaml"),
        ("just a word\n", "config.yaml"),
    ],
)
def test_a_wrong_yaml_key_or_type_is_named(
    text: str, named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    assert main(["train", "--style", "strokes", "--config", str(path)]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert named in lines[0]


def test_unwritable_output_of_training_is_named(
    quick: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    assert main(["train", *quick, "--steps", "1", "--output", str(tmp_path / "file" / "run")]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert "cannot write" in lines[-1]
    assert str(tmp_path / "file") in lines[-1]


LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
from fast_nst.cli import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize("limit", [200, 60_000, 260_000])
def test_a_full_disk_ends_training_with_one_line(quick: list[str], tmp_path: Path, limit: int) -> None:
    """Files beyond ``limit`` bytes cannot be written: the config's or the checkpoint's turn to fail."""
    arguments = ["train", *quick, "--network.width", "8", "--steps", "2", "--output", str(tmp_path / "run")]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(limit), *arguments], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "cannot write" in done.stderr.strip().splitlines()[-1]
    assert not (tmp_path / "run" / "model.onnx").exists()


def test_two_hundred_pictures_ten_broken(tmp_path: Path, tiny_model: Path) -> None:
    folder = tmp_path / "in"
    rng = np.random.default_rng(0)
    for index in range(200):
        path = folder / f"{index // 50}" / f"{index:03}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        if index % 20 == 7:
            path.write_bytes(b"\xff\xd8\xff broken")
        else:
            size = rng.integers(8, 60, 2)
            Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(path)
    output = tmp_path / "out"
    done = run("stylize", str(folder), "--model", str(tiny_model), "--output", str(output))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert len(list(output.rglob("*.jpg"))) == 190
    assert len(done.stdout.splitlines()) == 190
    named = [line for line in done.stderr.splitlines() if line.startswith("skipped ")]
    assert len(named) == 10
    assert all(f"{index:03}.jpg" in done.stderr for index in range(7, 200, 20))
    assert done.stderr.strip().splitlines()[-1] == "fast-nst: 190 done, 10 skipped"


BLOCKED = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "torchvision", "accelerate", "datasets", "safetensors",
                                  "tensorboard", "onnxscript", "skimage", "scipy"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocker())
from fast_nst.cli import main
sys.exit(main(sys.argv[1:]))
"""


def blocked(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run where the training packages cannot be imported; a venv without them is tried by .ci/run."""
    command = [sys.executable, "-c", BLOCKED, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_stylize_and_models_work_without_the_training_packages(
    picture: Path, tiny_model: Path, tmp_path: Path
) -> None:
    output = tmp_path / "result.png"
    done = blocked("stylize", str(picture), "--model", str(tiny_model), "--output", str(output))
    assert done.returncode == 0, done.stderr
    assert np.asarray(Image.open(output))[0, 0, 0] == 255 - 90
    done = blocked("sheet", str(picture), "--model", str(tiny_model), "--output", str(tmp_path / "sheet.png"))
    assert done.returncode == 0, done.stderr
    lines = blocked("models").stdout.splitlines()
    assert [line.split()[:2] for line in lines if line[0] != " "] == [
        ["gallery", "fast,"],
        ["great_wave", "fast,"],
        ["strokes", "fast,"],
    ]
    assert any(line.startswith("  starry_night ") and "van Gogh" in line for line in lines)
    assert blocked("--help").returncode == 0


@pytest.mark.parametrize("arguments", [["train", "--style", "x.jpg"], ["export", "."]])
def test_training_without_its_packages_names_the_install(arguments: list[str]) -> None:
    done = blocked(*arguments)
    assert done.returncode == 2
    assert done.stderr.strip().endswith("pip install 'fast-nst[train]'")
    assert len(done.stderr.strip().splitlines()) == 1


def test_import_loads_neither_torch_nor_onnxruntime() -> None:
    code = "import sys, fast_nst; print(sorted({'torch', 'onnxruntime', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "verb",
    ["train", "stylize", "export", "models", "backbone train", "benchmark", "benchmark training"],
)
def test_help_says_it_in_plain_types(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([*verb.split(), "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "--config" in text
    assert "<class" not in text


def test_version_and_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert main([]) == 2
    assert "fast-nst VERB" in capsys.readouterr().err


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_leaves_is_no_error(
    picture: Path, tiny_model: Path, tmp_path: Path, unbuffered: str
) -> None:
    """It ended with 120 and a complaint of Python's, or lost what was skipped."""
    (tmp_path / "broken.png").write_bytes(b"broken")
    command = f"{sys.executable} -m fast_nst.cli stylize {picture} {tmp_path}/broken.png --model {tiny_model}"
    command += f" --output {tmp_path}/out | true; exit ${{PIPESTATUS[0]}}"
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, env=environment, timeout=60
    )
    assert done.returncode == 1
    assert "broken.png" in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_a_full_stdout_is_one_line(tiny_model: Path) -> None:
    command = f"{sys.executable} -m fast_nst.cli models > /dev/full"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr.splitlines() == ["fast-nst: No space left on device"]


def test_more_memory_than_there_is_is_one_line(tmp_path: Path) -> None:
    arguments = ["train", "--style", "strokes", "--loss.network", "vgg16"]
    arguments += ["--output", str(tmp_path / "run")]
    done = run(
        *(*arguments, "--loss.style-size", "12000"),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (12 * 10**9, 12 * 10**9)),
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("fast-nst: out of memory: lower --data.batch")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("flags_first", [True, False])
def test_a_flag_wins_over_the_config_wherever_it_stands(flags_first: bool, tmp_path: Path) -> None:
    """`train --style mine.jpg --config recipe.yaml` trained the recipe's style."""
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("style: strokes\ncontent: builtin\nsteps: 9\n")
    flags, config = ["--style", "mine.jpg", "--content=photos"], ["--config", str(recipe)]
    arguments = [*flags, *config] if flags_first else [*config, *flags]
    _, parsed = parse("train", TrainConfig, arguments)
    assert (parsed.style, parsed.content, parsed.steps) == ("mine.jpg", "photos", 9)
    _, parsed = parse("train", TrainConfig, [*flags, f"--config={recipe}"])
    assert (parsed.style, parsed.steps) == ("mine.jpg", 9)


def test_a_flag_of_a_part_needs_no_value_either() -> None:
    _, parsed = parse("train", TrainConfig, ["--network.antialias", "--loss.smoothing", "--no-channels-last"])
    assert (parsed.network.antialias, parsed.loss.smoothing, parsed.channels_last) == (True, True, False)
    _, parsed = parse("train", TrainConfig, ["--network.antialias", "false", "--no-loss.smoothing"])
    assert (parsed.network.antialias, parsed.loss.smoothing) == (False, False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["stylize", "x.jpg", "--model", "strokes", "--size", "abc"], "--size: expected int. Got value: abc"),
        (["train", "--style", "strokes", "--seed", "5000000000"], "--seed must be from 0"),
    ],
)
def test_a_wrong_number_is_said_without_jargon(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "Union" not in error


def test_providers_are_given_with_commas(
    picture: Path, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = ["stylize", str(picture), "--model", str(tiny_model), "--output", str(tmp_path / "out.png")]
    assert main([*start, "--providers", "cpu"]) == 0
    assert main([*start, "--providers", "warp-drive,cpu"]) == 2
    assert "warp-drive" in capsys.readouterr().err


def test_a_name_cannot_break_the_line_or_steer_the_terminal(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was written as it is: two lines, the second in red."""
    for name in ("two\nlines", "\x1b[31mred"):
        (tmp_path / f"{name}.png").write_bytes(b"broken")
    output = tmp_path / "out"
    assert main(["stylize", f"{tmp_path}/*.png", "--model", str(tiny_model), "--output", str(output)]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[0] for line in lines] == [
        *(f"skipped {tmp_path}/\\x1b[31mred.png", f"skipped {tmp_path}/two\\nlines.png", "fast-nst")
    ]
    assert all(line.isprintable() for line in lines)


def test_a_model_cannot_steer_the_terminal(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import onnx

    model = onnx.load(tiny_model)
    onnx.helper.set_model_props(model, {"style": "\x1b[2J\x1b]0;owned\x07", "license": "MIT\n  parity: {}"})
    onnx.save(model, tmp_path / "model.onnx")
    assert main(["models", str(tmp_path / "model.onnx")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sorted(lines[1:]) == [r"  license: MIT\n  parity: {}", r"  style: \x1b[2J\x1b]0;owned\x07"]


def test_a_name_that_is_not_unicode_goes_in_and_out(tiny_model: Path, tmp_path: Path, picture: Path) -> None:
    """The result was written, and then its name could not be: a traceback."""
    name = b"caf\xe9.png"
    odd = tmp_path / os.fsdecode(name)
    try:
        picture.rename(odd)
    except OSError:
        pytest.skip("this file system takes only names that are Unicode")
    command = [sys.executable, "-m", "fast_nst.cli", "stylize", odd, "--model", tiny_model]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    done = subprocess.run(
        [*command, "--output", tmp_path / "out"], capture_output=True, env=environment, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == os.fsencode(tmp_path / "out") + b"/" + name + b"\n"
    assert (tmp_path / "out" / odd.name).is_file()


def test_a_name_that_stdout_cannot_say_is_escaped(tiny_model: Path, tmp_path: Path, picture: Path) -> None:
    """The result was written, and then its name could not be: a traceback."""
    source = picture.rename(picture.with_name("\u0444\u043e\u0442\u043e \xe9.png"))
    command = [sys.executable, "-m", "fast_nst.cli", "stylize", source, "--model", tiny_model]
    for encoding, name in (
        ("ascii", rb"\u0444\u043e\u0442\u043e \xe9"),
        ("latin-1", b"\\u0444\\u043e\\u0442\\u043e \xe9"),
    ):
        environment = {**os.environ, "PYTHONIOENCODING": encoding}
        out = tmp_path / encoding
        done = subprocess.run([*command, "--output", out], capture_output=True, env=environment, timeout=60)
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout == os.fsencode(out) + b"/" + name + b".png\n"


def test_a_closed_stdout_is_no_error(tiny_model: Path, tmp_path: Path, picture: Path) -> None:
    command = (
        f"{sys.executable} -m fast_nst.cli stylize {picture} --model {tiny_model} --output {tmp_path}/out"
    )
    for closed in (">&-", ">&- 2>&-"):
        done = subprocess.run(["bash", "-c", f"{command} {closed}"], capture_output=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, b"")
        assert (tmp_path / "out" / picture.name).is_file()


def test_kinds_that_are_not_read_are_one_line(
    tiny_model: Path, tmp_path: Path, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    picture.rename(folder / "a.png")
    for name in ("b.dng", "c.dng", "d"):
        (folder / name).touch()
    assert main(["stylize", str(folder), "--model", str(tiny_model), "--output", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "fast-nst: 3 files are of kinds that are not read and left out: 2 .dng, 1 without a suffix"
    ]


def test_a_decoder_does_not_say_beside_us_what_is_wrong(tiny_model: Path, tmp_path: Path) -> None:
    Image.new("RGB", (20, 20)).save(tmp_path / "bad.tif")
    samples = b"\x15\x01\x03\x00\x01\x00\x00\x00"  # SamplesPerPixel, one short
    data = (tmp_path / "bad.tif").read_bytes()
    assert samples + b"\x03\x00" in data
    (tmp_path / "bad.tif").write_bytes(data.replace(samples + b"\x03\x00", samples + b"\xff\xff"))
    done = run(
        "stylize", str(tmp_path / "bad.tif"), "--model", str(tiny_model), "--output", str(tmp_path / "o")
    )
    assert done.returncode == 1
    assert [line.split(" ")[0] for line in done.stderr.splitlines()] == ["skipped", "fast-nst:"]
