"""A folder that is watched: when a picture is taken, and when it is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from generated_clips import corners, make_clip

from fast_nst.pictures import decode_picture, encode_picture, picture_bytes
from fast_nst.runtime.batch.options import Result, StylizeOptions
from fast_nst.runtime.batch.watch import watch_folder

PICTURE = picture_bytes(corners(20, 30), "png")


@pytest.fixture
def watched(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Result]]:
    """Watches tmp_path/in while steps are done, each between two looks, and returns what was told."""
    (tmp_path / "in").mkdir()

    def watch(*steps: Callable[[], object], output: str = "out", **options: object) -> list[Result]:
        told: list[Result] = []
        left = iter(steps)
        ended = False

        def pause(seconds: float) -> None:
            nonlocal ended
            step = next(left, None)
            ended = step is None
            if step is not None:
                step()

        monkeypatch.setattr("fast_nst.runtime.batch.watch.time.sleep", pause)
        settings = StylizeOptions(str(tiny_model), output=tmp_path / output, threads=1, **options)
        watch_folder([str(tmp_path / "in")], settings, told.append, stop=lambda: ended)
        return told

    return watch


def nothing() -> None:
    """A look later."""


def test_a_picture_is_taken_when_it_stands_still(
    watched: Callable[..., list[Result]], tmp_path: Path
) -> None:
    """Half of it, or the whole of a size it had a moment ago, would be read before."""
    path = tmp_path / "in" / "a.png"
    seen: list[bool] = []

    def write(data: bytes) -> Callable[[], None]:
        def step() -> None:
            seen.append((tmp_path / "out" / "a.png").exists())
            path.write_bytes(data)

        return step

    parts = [PICTURE[:length] for length in (100, 300, 500)]
    told = watched(*map(write, [*parts, PICTURE]), nothing, nothing, nothing)
    assert seen == [False] * 4
    assert [(one.input, one.output, one.skipped) for one in told] == [(path, tmp_path / "out/a.png", None)]
    assert np.array_equal(decode_picture(tmp_path / "out/a.png").pixels, 255 - corners(20, 30))


def test_results_that_exist_are_kept_and_changed_pictures_done_again(
    watched: Callable[..., list[Result]], tmp_path: Path
) -> None:
    for path in (tmp_path / "in/old.png", tmp_path / "out/old.png", tmp_path / "in/new.png"):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(PICTURE)

    def change() -> None:
        encode_picture(tmp_path / "in/new.png", corners(10, 10))

    told = watched(nothing, nothing, nothing, change, nothing, nothing)
    assert [(one.input.name, one.skipped) for one in told] == [
        ("new.png", None),
        ("old.png", "it is there already"),
        ("new.png", None),
    ]
    assert decode_picture(tmp_path / "out/new.png").pixels.shape == (10, 10, 3)
    assert (tmp_path / "out/old.png").read_bytes() == PICTURE
    assert [one.skipped for one in watched(nothing, overwrite=True)] == [None, None]


def test_an_output_inside_is_not_taken_for_new_pictures(
    watched: Callable[..., list[Result]], tmp_path: Path
) -> None:
    (tmp_path / "in" / "below").mkdir()
    (tmp_path / "in" / "below" / "a.png").write_bytes(PICTURE)
    told = watched(*[nothing] * 6, output="in/out")
    assert [one.output for one in told] == [tmp_path / "in/out/below/a.png"]


def test_bad_pictures_videos_and_other_files(watched: Callable[..., list[Result]], tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "bad.png").write_bytes(PICTURE[:300])
    (folder / "notes.txt").write_text("mine")
    make_clip(folder / "clip.mp4", 2)
    told = watched(nothing, nothing, lambda: (folder / "bad.png").write_bytes(PICTURE), nothing, nothing)
    assert [one.input.name for one in told] == ["bad.png", "clip.mp4", "bad.png"]
    assert "corrupt PNG" in told[0].skipped
    assert told[1].skipped == "is a video; --watch takes pictures"
    assert told[2].output == tmp_path / "out/bad.png"


def test_two_that_would_have_one_name_get_two(watched: Callable[..., list[Result]], tmp_path: Path) -> None:
    """The second was passed over: its result seemed to be there."""
    (tmp_path / "in/a.png").write_bytes(PICTURE)

    def second() -> None:
        encode_picture(tmp_path / "in/a.jpg", corners(10, 10))

    told = watched(nothing, nothing, second, nothing, nothing, nothing, format="webp")
    assert [(one.input.name, one.output.name) for one in told] == [
        ("a.png", "a.webp"),
        ("a.jpg", "a.jpg.webp"),
    ]
