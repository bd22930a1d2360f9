"""A run that is interrupted, however, and resumed equals one that never was."""

from __future__ import annotations

import os
import pickle
import random
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from signaled import signaled

from fast_nst.cli import main

pytestmark = pytest.mark.slow

STEPS = 16


def command(quick: list[str], output: Path, *more: str) -> list[str]:
    options = [*quick, "--steps", str(STEPS), "--log.checkpoint", "3", "--log.validate", "8", *more]
    return [sys.executable, "-m", "fast_nst.cli", "train", *options, "--output", str(output)]


def resumed(quick: list[str], output: Path) -> list[str]:
    return command([*quick, "--resume"], output)


def run(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    # One thread: the suite runs beside other work, and the order of sums must not depend on it.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(arguments, capture_output=True, text=True, env=environment, timeout=180)


@pytest.fixture(scope="module")
def uninterrupted(quick: list[str], tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The weights of the run that was left alone."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    done = run(command(quick, folder))
    assert done.returncode == 0, done.stderr
    return (folder / "model.safetensors").read_bytes()


def stopped(
    number: signal.Signals, arguments: list[str], where: str, count: int = 1
) -> subprocess.CompletedProcess[str]:
    """A training that gets a signal at the ``count``th thing it does with files of such a name."""
    done = run(signaled(number, where, count, *arguments[3:]))
    assert done.returncode == (-number if number is signal.SIGKILL else 128 + number), done.stderr
    return done


def test_killed_while_it_writes_a_checkpoint_gives_the_same_file(
    quick: list[str], uninterrupted: bytes, tmp_path: Path
) -> None:
    folder = tmp_path / "killed"
    # A checkpoint is some 17 things done with its files: this is within the third or the fourth.
    stopped(signal.SIGKILL, command(quick, folder), "step-", random.Random(0).randint(36, 66))
    done = run(resumed(quick, folder))
    assert done.returncode == 0, done.stderr
    assert "resumed at step" in done.stderr
    assert (folder / "model.safetensors").read_bytes() == uninterrupted
    assert (folder / "model.onnx").is_file()


def test_asked_to_stop_it_saves_says_so_and_goes_on_to_the_same_file(
    quick: list[str], uninterrupted: bytes, tmp_path: Path
) -> None:
    """By SIGTERM; Ctrl-C takes the same way, and is what the other two loops are tested with."""
    folder = tmp_path / "stopped"
    errors = stopped(signal.SIGTERM, command(quick, folder), "step-00000003").stderr
    said = re.search(r"stopped at step (\d+), state saved: go on with --resume", errors)
    assert said, errors
    assert "Traceback" not in errors
    assert (folder / "checkpoint" / f"step-{int(said[1]):08d}").is_dir()
    done = run(resumed(quick, folder))
    assert done.returncode == 0, done.stderr
    assert f"resumed at step {said[1]} of {STEPS}" in done.stderr
    assert (folder / "model.safetensors").read_bytes() == uninterrupted


def test_a_half_written_checkpoint_is_not_taken_for_one(
    quick: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    arguments = ["train", *quick, "--steps", "4", "--log.checkpoint", "2", "--output", str(folder)]
    assert main(arguments) == 0
    (folder / "checkpoint" / "step-00000009.tmp").mkdir()
    assert main([*arguments, "--resume"]) == 0


def test_a_damaged_checkpoint_is_named(
    quick: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    arguments = ["train", *quick, "--steps", "4", "--output", str(folder)]
    assert main(arguments) == 0
    for path in (folder / "checkpoint").glob("*/*.safetensors"):
        path.write_bytes(b"damaged")
    assert main([*arguments, "--resume"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "is damaged" in error
    assert "step-00000004" in error


def test_code_inside_a_checkpoint_is_never_run(quick: list[str], tmp_path: Path) -> None:
    """accelerate unpickles what is registered with it for checkpointing."""
    folder = tmp_path / "run"
    arguments = ["train", *quick, "--steps", "4", "--output", str(folder)]
    assert main(arguments) == 0
    for path in (folder / "checkpoint").glob("step-*/*"):
        if path.suffix in (".pkl", ".bin", ".pt"):
            path.write_bytes(pickle.dumps(Exploit(tmp_path / "executed")))
    (folder / "checkpoint" / "step-00000004" / "custom_checkpoint_0.pkl").write_bytes(
        pickle.dumps(Exploit(tmp_path / "executed"))
    )
    main([*arguments, "--resume"])
    assert not (tmp_path / "executed").exists()


class Exploit:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.mark,))


def test_another_style_picture_does_not_resume_a_run(
    quick: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    style = tmp_path / "style.png"
    Image.new("RGB", (40, 40), (200, 30, 30)).save(style)
    arguments = ["train", *quick, "--style", str(style), "--steps", "2", "--output", str(tmp_path / "run")]
    assert main(arguments) == 0
    Image.new("RGB", (40, 40), (30, 30, 200)).save(style)
    assert main([*arguments, "--resume"]) == 2
    assert "the style pictures have changed" in capsys.readouterr().err


def test_other_settings_do_not_resume_a_run(
    quick: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    arguments = ["train", *quick, "--steps", "2", "--output", str(folder)]
    assert main(arguments) == 0
    assert main(arguments) == 2
    assert "already holds a run" in capsys.readouterr().err
    assert main([*arguments, "--resume", "--loss.weights.style", "3"]) == 2
    assert "--loss.weights.style is 3.0, the run was started with 10.0" in capsys.readouterr().err


def test_a_resumed_run_keeps_what_it_was_started_from(
    quick: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The card of a run resumed without --init-from said "random weights"."""
    start = tmp_path / "start"
    assert main(["train", *quick, "--steps", "1", "--output", str(start)]) == 0
    arguments = ["train", *quick, "--steps", "2", "--output", str(tmp_path / "run")]
    warm = [*arguments, "--init-from", str(start / "model.safetensors")]
    assert main(warm) == 0
    assert main([*arguments, "--resume"]) == 2
    assert "--init-from is None, the run was started with" in capsys.readouterr().err
    (start / "model.safetensors").unlink()  # the checkpoint needs it no more
    assert main([*warm, "--resume"]) == 0


def test_other_content_files_do_not_resume_a_run(
    quick: list[str], photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = tmp_path / "content"
    shutil.copytree(photographs, content)
    arguments = ["train", *quick, "--content", str(content), "--steps", "2", "--output"]
    assert main([*arguments, str(tmp_path / "run")]) == 0
    next(content.glob("*.png")).unlink()
    assert main([*arguments, str(tmp_path / "run"), "--resume"]) == 2
    assert "pictures were added to or taken from" in capsys.readouterr().err


def test_a_run_inside_its_content_folder_would_train_on_its_own_samples(
    quick: list[str], photographs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *quick, "--steps", "1", "--output", str(photographs / "runs" / "x")]) == 2
    assert "lies in the content folder" in capsys.readouterr().err
    assert not (photographs / "runs").exists()


def test_a_stopped_run_and_its_checkpoint_can_be_exported(quick: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert main(["train", *quick, "--steps", "2", "--log.samples", "1", "--output", str(folder)]) == 0
    finished = (folder / "model.onnx").read_bytes()
    checkpoint = folder / "checkpoint" / "step-00000002"
    assert main(["export", str(checkpoint)]) == 0
    assert (checkpoint / "model.onnx").read_bytes() == finished  # the averaged weights, the same header
    for name in ("model.onnx", "model.safetensors"):
        (folder / name).unlink()
    assert main(["export", str(folder)]) == 0
    assert (folder / "model.onnx").read_bytes() == finished


def test_a_run_with_workers_on_builtin_content_resumes_to_the_same_file(
    quick: list[str], tmp_path: Path
) -> None:
    more = [*quick, "--content", "builtin", "--data.workers", "2"]
    assert run(command(more, tmp_path / "whole")).returncode == 0
    stopped(signal.SIGTERM, command(more, tmp_path / "stopped"), "step-00000003")
    done = run(resumed(more, tmp_path / "stopped"))
    assert done.returncode == 0, done.stderr
    files = [tmp_path / name / "model.safetensors" for name in ("whole", "stopped")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_workers_and_the_spelling_of_a_path_may_change(
    quick: list[str], photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both were refused, though neither changes what is trained."""
    monkeypatch.chdir(photographs.parent)
    run = ["--output", str(tmp_path / "run"), "--steps", "2"]
    assert main(["train", *quick, *run]) == 0
    spelled = [f"./{photographs.name}/" if a == str(photographs) else a for a in quick]
    assert main(["train", *spelled, *run, "--resume", "--data.workers", "1"]) == 0
    assert main(["train", *spelled, *run, "--resume", "--data.batch", "1"]) == 2
