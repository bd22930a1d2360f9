"""Every picture of a file comes out of its decoder."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from generated_clips import look, make_clip

from fast_nst import Stylizer
from fast_nst.runtime.video.stylize import VideoOptions, stylize_video


@pytest.mark.parametrize(
    ("codec", "suffix"), [("mpeg2video", ".ts"), ("mpeg1video", ".mpg"), ("libx264", ".ts")]
)
def test_no_frame_is_lost_where_the_size_changes(
    tiny_model: Path, tmp_path: Path, codec: str, suffix: str
) -> None:
    more = {"codec": codec, "options": {"bf": "2", "b": "900000"}, "time_base": Fraction(1, 25)}
    sizes = ((48, 64), (32, 96), (48, 64))
    parts = [make_clip(tmp_path / f"{size[0]}{suffix}", 12, size, **more) for size in sizes]
    clip = tmp_path / f"in{suffix}"
    clip.write_bytes(b"".join(part.read_bytes() for part in parts))
    stylizer = Stylizer(tiny_model, threads=1)
    report = stylize_video(stylizer, clip, tmp_path / "out.mp4", VideoOptions(strength=0.0))
    assert (report.frames, report.problem) == (36, None)
    seen = look(tmp_path / "out.mp4")
    assert {pixels.shape for pixels in seen.pixels} == {(48, 64, 3)}
    assert np.diff(seen.seconds) == pytest.approx(np.full(35, 0.04), abs=0.005)
