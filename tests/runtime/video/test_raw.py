"""Raw frames: how many are underway, and what their times mean."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from generated_clips import corners

from fast_nst import Stylizer
from fast_nst.errors import UserError
from fast_nst.runtime.video.options import VideoOptions
from fast_nst.runtime.video.raw import stylize_raw

SIZE = (30, 20)
FRAME = 30 * 20 * 3  # bytes


def test_a_few_frames_are_underway_however_many_there_are(tiny_model: Path) -> None:
    """So the memory is flat: a source that never waits is not read further than that."""
    wrote, furthest = 0, 0

    class Source(io.FileIO):
        read_so_far = 0

        def readinto(self, room: memoryview) -> int:  # type: ignore[override]
            self.read_so_far += len(room)
            return super().readinto(room)

    class Target(io.BytesIO):
        def write(self, data: memoryview) -> int:  # type: ignore[override]
            nonlocal wrote, furthest
            furthest = max(furthest, source.read_so_far // FRAME - wrote)
            wrote += 1
            return len(data)

    with Source("/dev/zero") as source:
        done, problem = stylize_raw(
            *(Stylizer(tiny_model, threads=1), SIZE, source, Target(), VideoOptions()),
            stop=lambda: wrote >= 300,
        )
    assert problem is None
    assert done.stopped
    assert 300 <= wrote == done.frames <= 320
    assert 2 <= furthest <= 12


def test_a_style_that_changes_needs_a_rate(gallery_model: Path, tmp_path: Path) -> None:
    stylizer = Stylizer(gallery_model, threads=1)
    (tmp_path / "raw").write_bytes(corners(20, 30).tobytes() * 3)
    target = io.BytesIO()
    options = VideoOptions(style="waves@0,udnie@1", fps=2)
    with (tmp_path / "raw").open("rb", buffering=0) as source:
        stylize_raw(stylizer, SIZE, source, target, options)
    styles = ["waves", "waves:0.5,udnie:0.5", "udnie"]
    expected = [stylizer(corners(20, 30), style=style) for style in styles]
    frames = np.frombuffer(target.getvalue(), np.uint8).reshape(3, 20, 30, 3)
    assert np.array_equal(frames, expected)
    with pytest.raises(UserError, match="changes over time: say how fast, with --fps"):
        stylize_raw(stylizer, SIZE, source, target, VideoOptions(style="waves@0,udnie@1"))
