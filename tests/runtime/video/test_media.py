"""Pictures and videos are told apart by what they hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from generated_clips import corners, look
from PIL import Image

from fast_nst.runtime.batch.options import StylizeOptions
from fast_nst.runtime.batch.stylize import stylize_files
from fast_nst.runtime.video.media import kind_of


@pytest.mark.parametrize("suffix", [".mjpeg", ".MJPG"])
def test_a_stream_of_jpegs_is_a_video(tiny_model: Path, tmp_path: Path, suffix: str) -> None:
    frames = []
    for index in range(4):
        Image.fromarray(corners(48, 64, index)).save(tmp_path / "frame.jpg", quality=95)
        frames.append((tmp_path / "frame.jpg").read_bytes())
    (tmp_path / f"in{suffix}").write_bytes(b"".join(frames))
    assert kind_of(tmp_path / "frame.jpg") == "picture"
    options = StylizeOptions(model=str(tiny_model), output=tmp_path / "out", strength=0.0, threads=1)
    report = stylize_files([str(tmp_path / f"in{suffix}")], options)
    assert report.written == [tmp_path / "out" / "in.mp4"]
    seen = look(tmp_path / "out" / "in.mp4").pixels
    assert len(seen) == 4
    assert np.abs(seen[3].astype(int) - corners(48, 64, 3)).mean() < 6


def test_a_photograph_named_as_a_video_is_a_picture(tmp_path: Path) -> None:
    Image.fromarray(corners(48, 64)).save(tmp_path / "a.mp4", "JPEG")
    assert kind_of(tmp_path / "a.mp4") == "picture"
