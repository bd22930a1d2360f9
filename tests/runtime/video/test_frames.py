"""What a frame's values mean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from generated_clips import look, make_clip

from fast_nst import Stylizer
from fast_nst.runtime.video.stylize import VideoOptions, stylize_video

PQ, HLG = 16, 18


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_hdr_stored_as_rgb_is_hdr(
    tiny_model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, transfer: int
) -> None:
    stylizer = Stylizer(tiny_model, threads=1)
    clip = make_clip(
        tmp_path / "in.mkv", 2, (64, 128), codec="ffv1", format="gbrp10le", tags=(0, 2, 9, transfer)
    )
    stored = look(clip).pixels[0].astype(int)
    stylize_video(stylizer, clip, tmp_path / "out.mp4", VideoOptions(strength=0.0))
    seen = look(tmp_path / "out.mp4")
    assert seen.tags == (1, 1, 1, 1)
    assert np.abs(seen.pixels[0] - stored).mean() > 4
    assert caplog.messages == [f"{tmp_path / 'out.mp4'}: HDR is tone-mapped to SDR (--hdr keep leaves it)"]
    stylize_video(stylizer, clip, tmp_path / "kept.mkv", VideoOptions(strength=0.0, hdr="keep", codec="av1"))
    kept = look(tmp_path / "kept.mkv")
    assert kept.tags == (9, 1, 9, transfer)
    assert np.abs(kept.pixels[0] - stored).mean() < 4
