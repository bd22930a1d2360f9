"""Benchmarks through real workers: all that was asked for, failures told, nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fast_nst.benchmark.networks import BenchmarkOptions, parse_sizes
from fast_nst.benchmark.report import BenchmarkReport
from fast_nst.benchmark.rounds import Cell, Subject, ask_worker, base_of, measure, median_interval, ratio
from fast_nst.cli import main
from fast_nst.machine.description import doubts
from fast_nst.runtime.graph import weights_precision
from fast_nst.runtime.models import Model, find_model, short_name, unique_names

pytestmark = pytest.mark.slow

QUICK = ["--seconds", "0.02", "--rounds", "1"]


def worker(tmp_path: Path, body: str) -> tuple[str, ...]:
    """The command of a worker that answers with ``body``."""
    file = tmp_path / "worker.py"
    file.write_text(
        "from fast_nst.benchmark.worker import serve\n"
        f"def answer(request):\n    {body}\n    return {{'seconds': [1.0, 2.0, 4.0]}}\nserve(answer)\n"
    )
    return (str(file),)


@pytest.fixture(scope="module")
def measured(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The files of one run and what it printed, where none of the training packages can be imported."""
    missing = tmp_path_factory.mktemp("missing")
    for name in ("torch", "accelerate", "safetensors"):
        (missing / f"{name}.py").write_text(f"raise ModuleNotFoundError('no {name} here', name='{name}')")
    folder = tmp_path_factory.mktemp("benchmark")
    command = [sys.executable, "-m", "fast_nst.cli", "benchmark", str(tiny_model), "strokes"]
    command += ["--sizes", "16,24x8", "--threads", "1,2", "--rounds", "2", "--seconds", "0.02"]
    known = os.environ.get("PYTHONPATH", "")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(missing), known])}
    done = subprocess.run(
        [*command, "--output", str(folder)], capture_output=True, text=True, timeout=120, env=environment
    )
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_every_combination_is_measured_and_compared_with_the_first(measured: tuple[Path, str]) -> None:
    found = json.loads((measured[0] / "benchmark.json").read_text())
    told = [
        (cell["name"], cell["condition"]["width"], cell["condition"]["height"], cell["condition"]["threads"])
        for cell in found["cells"]
    ]
    assert told == [
        (name, width, height, threads)
        for width, height in ((16, 16), (24, 8))
        for threads in (1, 2)
        for name in ("negative", "strokes")
    ]
    for cell in found["cells"]:
        figures = cell["figures"]
        assert [len(seconds) >= 3 for seconds in cell["rounds"]] == [True, True]
        least, most = figures["min_seconds"], max(map(max, cell["rounds"]))
        assert 0 < least <= figures["median_seconds"] <= most
        assert least <= figures["p95_seconds"] <= most
        assert figures["pictures_per_second"] == pytest.approx(1 / figures["median_seconds"])
        assert cell["facts"]["precision"] == "fp32"
        assert cell["facts"]["provider"] == "cpu"
        assert cell["facts"]["peak_memory"] > 1e7
        between = cell["time_ratio"]
        assert between["to"] == "negative"
        assert between["low"] <= between["median"] <= between["high"]
        assert (between["median"] == 1) == (cell["name"] == "negative")
    assert found["machine"]["cores"] >= 1
    assert found["machine"]["onnxruntime"] in measured[1]


def test_the_table_is_a_row_for_each_cell_and_the_json_renders_to_it_again(
    measured: tuple[Path, str],
) -> None:
    folder, printed = measured
    rows = [line for line in printed.splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + 8
    assert rows[0].split("|")[-2].strip() == "time / negative"
    assert all(row.count("|") == rows[0].count("|") for row in rows)
    report = BenchmarkReport.from_json((folder / "benchmark.json").read_text())
    assert report.to_markdown() + "\n" == (folder / "benchmark.md").read_text() == printed
    assert BenchmarkReport.from_json(report.to_json()) == report


def test_json_on_stdout_is_the_report(tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", str(tiny_model), "--sizes", "8", "--json", *QUICK]) == 0
    report = BenchmarkReport.from_json(capsys.readouterr().out)
    assert [cell.name for cell in report.cells] == ["negative"]


def test_subjects_take_turns_in_every_round(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = worker(
        tmp_path, "print(request['who'] + str(request['size']), end=' ', file=open(request['log'], 'a'))"
    )
    subjects = [Subject(who, command, {"who": who, "log": str(log)}) for who in "ab"]
    cells = measure(subjects, [{"size": 1}, {"size": 2}], rounds=2)
    assert log.read_text() == "a1 b1 a2 b2 " * 2
    assert [(cell.name, cell.rounds) for cell in cells] == [(who, [[1.0, 2.0, 4.0]] * 2) for who in "abab"]


def test_ratios_are_taken_round_by_round() -> None:
    slowing_down = Cell("a", {}, [[1.0], [2.0], [3.0]])
    half = Cell("b", {}, [[0.5], [1.0], [1.8]])
    assert vars(ratio(half, slowing_down)) == {"median": 0.5, "low": 0.5, "high": 0.6}
    assert base_of(half, [slowing_down, half]) is slowing_down
    assert ratio(half, Cell("c", {}, failure="lost")) is None


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=40))
def test_the_interval_holds_the_median_and_narrows_with_rounds(values: list[float]) -> None:
    low, high = median_interval(values)
    assert low <= np.median(values) <= high
    assert {low, high} <= set(values)


def test_the_interval_is_the_sign_tests() -> None:
    # Tables of the sign test at 5 %: 6 to 8 values none cut off at either end, 9 to 11 one, 12 two.
    for count, cut in ((5, 0), (6, 0), (8, 0), (9, 1), (11, 1), (12, 2), (15, 3)):
        assert median_interval([float(i) for i in range(count)]) == (cut, count - 1 - cut)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "nowhere"),
        (["{broken}"], "does not load as an ONNX model"),
        ([], "no models given"),
        (["{model}", "--sizes", "big"], "--sizes: 'big' is no size"),
        (["{model}", "--sizes", "256,0"], "--sizes: '0' has no pixels"),
        (["{model}", "--sizes", "256,"], "--sizes: '' is no size"),
        (["{model}", "--threads", "0"], "--threads: '0'"),
        (["{model}", "--threads", "1,two"], "--threads: 'two'"),
        (["{model}", "--providers", "warp-drive"], "warp-drive"),
        (["{model}", "--batch", "0"], "--batch must be at least 1"),
        (["{model}", "--rounds", "0"], "--rounds must be at least 1"),
        (["{model}", "--seconds", "0"], "--seconds must be above 0"),
        (["{model}", "--providers", "cpu,"], "provider ''"),
        (["{model}", "--output", "{broken}/inside"], "cannot write --output"),
    ],
)
def test_what_a_user_gets_wrong_is_one_line(
    arguments: list[str], words: str, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"broken")
    names = {"model": tiny_model, "broken": tmp_path / "broken.onnx"}
    assert main(["benchmark", *(argument.format(**names) for argument in arguments)]) == 2
    captured = capsys.readouterr()
    assert len(captured.err.strip().splitlines()) == 1
    assert words in captured.err
    assert captured.out == ""


def test_what_fails_in_a_worker_is_skipped_and_named(
    tiny_model: Path, hungry_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(hungry_model), str(tiny_model), "--sizes", "16,2000", "--threads", "1", *QUICK]
    assert main(["benchmark", *arguments]) == 1
    captured = capsys.readouterr()
    rows = [line for line in captured.out.splitlines() if line.startswith(("| 16x", "| 2000x"))]
    assert ["hungry" in row for row in rows] == [True, False, False]
    reason = "hungry at 2000x2000, 1 thread: not enough memory to stylize 2000x2000 pixels"
    assert f"Skipped: {reason}." in captured.out
    assert f"skipped {reason}" in captured.err


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "ended by SIGKILL (out of memory?)"),
        ("raise ValueError('no\\n such thing')", "ValueError: no such thing"),
        (
            "import os, sys; print('last words', file=sys.stderr, flush=True); os._exit(3)",
            "code 3: last words",
        ),
    ],
)
def test_a_worker_that_dies_is_told_by_its_last_words(tmp_path: Path, body: str, reason: str) -> None:
    answer = ask_worker(worker(tmp_path, body), {})
    assert answer["failure"].endswith(reason)


def test_what_a_worker_prints_is_no_part_of_its_answer(tmp_path: Path) -> None:
    command = worker(tmp_path, "import os; print('chatter', flush=True); os.system('echo more')")
    assert ask_worker(command, {})["seconds"] == [1.0, 2.0, 4.0]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
def test_the_memory_is_the_workers_own(tiny_model: Path) -> None:
    """A child's ru_maxrss starts from its parent's: every network took what the parent did."""
    held = np.ones(60_000_000)  # 480 MB
    condition = {"width": 8, "height": 8, "batch": 1, "threads": 1, "provider": "cpu"}
    command = ("-m", "fast_nst.benchmark.worker")
    answer = ask_worker(command, {"path": str(tiny_model), "seconds": 0.01, **condition})
    assert 2e7 < answer["peak_memory"] < held.nbytes


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_benchmark_leaves_no_process(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "fast_nst.cli", "benchmark", "strokes", "--sizes", "512"]
    running = subprocess.Popen(
        [*command, "--seconds", "600"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background jobs, and so tests run as one, ignore SIGINT; a person's command does not.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children")
    started = time.monotonic()
    while not (found := children.read_text().split()):
        assert time.monotonic() < started + 240
        assert running.poll() is None
        time.sleep(0.02)
    time.sleep(1.0 if number is signal.SIGINT else 0.0)  # into the run, and at its very start
    running.send_signal(number)
    _, errors = running.communicate(timeout=120)
    while any(is_alive(int(pid)) for pid in found):
        assert time.monotonic() < started + 240, "a worker outlived its parent"
        time.sleep(0.02)
    assert running.returncode == (130 if number is signal.SIGINT else -number)
    assert "Traceback" not in errors


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (OSError, IndexError):
        return False
    return state not in "ZX"


def test_sizes_in_words() -> None:
    assert parse_sizes("256, 640x360,720p,1080P,480p") == [
        *((256, 256), (640, 360), (1280, 720), (1920, 1080), (854, 480))
    ]


def test_blanks_between_providers_are_no_part_of_their_names() -> None:
    told = [
        condition["provider"] for condition in BenchmarkOptions(sizes=8, providers="cpu, cuda ").conditions()
    ]
    assert told == ["cpu", "cuda"]


def test_styles_of_a_file_of_many_are_told_apart_and_none_need_be_named(
    gallery_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = [str(gallery_model), f"{gallery_model}:waves", f"{gallery_model}:waves:0.6+udnie:0.4"]
    assert main(["benchmark", *models, "--sizes", "16", "--json", *QUICK]) == 0
    names = [cell["name"] for cell in json.loads(capsys.readouterr().out)["cells"]]
    assert names == ["gallery", "gallery:waves", "gallery:waves:0.6+udnie:0.4"]
    assert main(["benchmark", f"{gallery_model}:wave", "--sizes", "16", *QUICK]) == 2
    assert "did you mean waves" in capsys.readouterr().err


def test_names_tell_models_apart(tmp_path: Path) -> None:
    files = tmp_path / "run" / "model.onnx", tmp_path / "other" / "a.onnx", tmp_path / "a.onnx"
    run, other, again = (Model(path, short_name(path)) for path in files)
    assert unique_names([run, other]) == ["run", "a"]
    assert unique_names([other, again]) == [str(other.path), str(again.path)]
    assert unique_names([other, other]) == ["a", "a (2)"]
    assert unique_names([other], taken=["a"]) == [str(other.path)]


def test_doubts_are_raised_on_busy_saving_and_small_machines() -> None:
    calm = {"load_average": 0.1, "cores": 2, "usable_cores": 2, "governor": "performance"}
    assert doubts(calm, [1, 2]) == []
    assert "busy" in doubts({**calm, "load_average": 1.5})[0]
    assert "powersave" in doubts({**calm, "governor": "powersave"})[0]
    assert "4 threads share 2 usable cores" in doubts(calm, [4])[0]


# --- the precision of weights ---------------------------------------------------------------------


def test_precision_is_what_most_weights_are_stored_as(tmp_path: Path, tiny_model: Path) -> None:
    import onnx
    from onnx import helper, numpy_helper

    def model(name: str, *arrays: np.ndarray) -> Path:
        weights = [numpy_helper.from_array(array, f"w{index}") for index, array in enumerate(arrays)]
        path = tmp_path / f"{name}.onnx"
        onnx.save(helper.make_model(helper.make_graph([], name, [], [], weights)), path)
        return path

    assert weights_precision(tiny_model) == "fp32"
    assert weights_precision(find_model("strokes").path) == "fp32"
    small = np.zeros(3, np.float32)
    shapes = np.zeros(999, np.int64)  # no weights
    assert weights_precision(model("half", np.zeros((4, 4), np.float16), small, shapes)) == "fp16"
    assert weights_precision(model("quantized", np.zeros((2, 3, 3), np.int8), small)) == "int8"
    assert weights_precision(model("none", shapes)) is None
