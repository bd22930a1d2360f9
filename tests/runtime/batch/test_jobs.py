"""Which picture goes where, and what is refused before any work."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from fast_nst.errors import UserError
from fast_nst.pictures import encode_picture
from fast_nst.runtime.batch.jobs import plan_jobs
from fast_nst.runtime.batch.options import StylizeOptions
from fast_nst.runtime.batch.stylize import stylize_files


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    encode_picture(path, np.zeros((3, 4, 3), np.uint8))
    return path


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The test runs in a fresh folder, as a user in theirs."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal(inputs: list[str], output: str = "out", **options: object) -> str:
    """The one line said; the model does not exist, so nothing can have been loaded before it."""
    with pytest.raises(UserError) as caught:
        stylize_files(inputs, StylizeOptions(model="none", output=Path(output), **options))
    assert "\n" not in str(caught.value)
    assert "no model file" not in str(caught.value)
    assert not Path("out").exists()
    return str(caught.value)


def test_inputs_that_are_not_there_stop_before_any_work(inside: Path) -> None:
    picture(inside / "a.png")
    (inside / "empty").mkdir()
    assert "missing.png does not exist" in refusal(["a.png", "missing.png"])
    assert "*.tiff holds no picture" in refusal(["a.png", "*.tiff"])
    assert "empty holds no picture" in refusal(["empty"])
    assert "no input" in refusal([])


def test_output_that_does_not_fit_stops_before_any_work(inside: Path) -> None:
    for name in ("in/a.png", "in/b.png"):
        picture(inside / name)
    (inside / "file").touch()
    assert "is one file" in refusal(["in/a.png", "in/b.png"], "c.png")
    assert "is one file" in refusal(["in"], "c.png")
    assert "contradict" in refusal(["in/a.png"], "c.png", format="jpg")
    assert "cannot write the picture format '.jp2'" in refusal(["in/a.png"], "c.jp2")
    assert "file is a file" in refusal(["in"], "file")


def test_results_that_would_collide_stop_before_any_work(inside: Path) -> None:
    for name in ("x/a.png", "y/a.png"):
        picture(inside / name)
    message = refusal(["x/a.png", "y/a.png"])
    assert "x/a.png" in message
    assert "y/a.png" in message


def test_an_input_is_never_overwritten(inside: Path) -> None:
    picture(inside / "in" / "a.png")
    assert "overwrite an input" in refusal(["in/a.png"], "in")
    assert "overwrite an input" in refusal(["in/a.png"], "in/a.png")
    assert "choose another folder" in refusal(["in"], "in")
    assert "choose another folder" in refusal(["in"], ".")


def test_planning_opens_no_picture_and_writes_nothing(inside: Path) -> None:
    (inside / "in").mkdir()
    os.mkfifo(inside / "in" / "a.png")  # opening it would wait for ever
    [job] = plan_jobs(["in"], Path("out")).jobs
    assert job.target == Path("out/a.png")
    assert not Path("out").exists()


def test_links_that_lead_in_a_circle_are_skipped_and_named(inside: Path, tiny_model: Path) -> None:
    picture(inside / "in" / "a.png")
    for name, other in (("x.png", "y.png"), ("y.png", "x.png"), ("x", "y"), ("y", "x")):
        (inside / "in" / name).symlink_to(other)
    options = StylizeOptions(model=str(tiny_model), output=inside / "done", threads=1)
    report = stylize_files(["in"], options)
    assert report.written == [inside / "done" / "a.png"]
    assert [path.name for path, _ in report.skipped] == ["x.png", "y.png"]
    assert "does not exist" in refusal(["in/x.png"], "new")
    target = StylizeOptions(model=str(tiny_model), output=Path("in/x.png"), threads=1)
    assert stylize_files(["in/a.png"], target).written == [Path("in/x.png")]
    with pytest.raises(UserError, match="cannot write into in/x"):
        stylize_files(["in/a.png"], StylizeOptions(model=str(tiny_model), output=Path("in/x"), threads=1))
