"""What encoders take."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from generated_clips import look, make_clip

from fast_nst import Stylizer
from fast_nst.errors import UserError
from fast_nst.runtime.video.stylize import VideoOptions, stylize_video

APART = """
import sys
from pathlib import Path
from fast_nst import Stylizer
from fast_nst.errors import UserError
from fast_nst.runtime.video.stylize import VideoOptions, stylize_video
model, source, target = sys.argv[1:]
try:
    stylize_video(Stylizer(model, threads=1), source, target, VideoOptions(strength=0.0, codec="av1"))
except UserError as error:
    sys.exit(str(error))
"""


def hdr(path: Path, frames: int, size: tuple[int, int]) -> Path:
    return make_clip(path, frames, size, codec="ffv1", format="yuv444p10le", tags=(9, 1, 9, 16))


@pytest.mark.parametrize(("height", "width"), [(16, 320), (66, 24)])
def test_a_size_that_an_encoder_would_hang_on_is_refused_by_name(
    tiny_model: Path, tmp_path: Path, height: int, width: int
) -> None:
    """In a process of its own: one that hangs cannot be stopped from within."""
    clip, target = make_clip(tmp_path / "in.mp4", 6, (height, width)), tmp_path / "out.mkv"
    command = [sys.executable, "-c", APART, str(tiny_model), str(clip), str(target)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert run.stderr == (
        f"cannot write {target}: av1 does not take {width}x{height} pixels at 25 frames per second\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


@pytest.mark.parametrize("width", [34, 48])
def test_a_width_that_the_encoder_of_hdr_crashes_on_is_refused_by_name(
    tiny_model: Path, tmp_path: Path, width: int
) -> None:
    clip = hdr(tmp_path / "in.mkv", 6, (64, width))
    code = APART.replace('codec="av1"', 'hdr="keep"')
    command = [sys.executable, "-c", code, str(tiny_model), str(clip), str(tmp_path / "out.mp4")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert f"hevc does not take {width}x64 pixels" in run.stderr


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_hdr_of_a_few_frames_is_written(tiny_model: Path, tmp_path: Path, frames: int) -> None:
    clip = hdr(tmp_path / "in.mkv", frames, (48, 64))
    for name in ("out.mkv", "out.mp4"):
        options = VideoOptions(strength=0.0, hdr="keep")
        stylize_video(Stylizer(tiny_model, threads=1), clip, tmp_path / name, options)
        assert look(tmp_path / name).seconds == pytest.approx([index / 25 for index in range(frames)])


@pytest.mark.parametrize(("height", "width"), [(24, 64), (26, 66), (8, 8)])
def test_small_sizes_that_it_takes_are_written(
    tiny_model: Path, tmp_path: Path, height: int, width: int
) -> None:
    clip = make_clip(tmp_path / "in.mp4", 6, (height, width))
    options = VideoOptions(strength=0.0, codec="av1")
    assert stylize_video(Stylizer(tiny_model, threads=1), clip, tmp_path / "out.mkv", options).frames == 6
    assert look(tmp_path / "out.mkv").pixels[5].shape == (height, width, 3)


@pytest.mark.parametrize(
    ("target", "codec", "holds"),
    [
        ("out.mov", "vp9", "h264"),
        ("out.mov", "av1", "h264"),
        ("out.webm", "h264", "vp9 or av1"),
        ("out.gif", "av1", "nothing but its own codec"),
    ],
)
def test_a_codec_that_a_container_does_not_hold_is_refused_by_name(
    tiny_model: Path, tmp_path: Path, target: str, codec: str, holds: str
) -> None:
    clip = make_clip(tmp_path / "in.mp4", 2)
    with pytest.raises(UserError, match=f"--codec {codec}: {Path(target).suffix[1:]} holds {holds}"):
        stylize_video(Stylizer(tiny_model, threads=1), clip, tmp_path / target, VideoOptions(codec=codec))
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


@pytest.mark.parametrize("target", ["out.webm", "out.mp4"])
def test_ticks_finer_than_an_encoder_counts_keep_their_times(
    tiny_model: Path, tmp_path: Path, target: str
) -> None:
    ticks = 2**31 - 1
    times = [round(ticks * seconds) for seconds in (0, 0.04, 0.5, 0.54)]
    more = {"video_track_timescale": str(ticks)}
    clip = make_clip(tmp_path / "in.mov", pts=times, time_base=Fraction(1, ticks), muxing=more)
    assert look(clip).time_base == Fraction(1, ticks)
    options = VideoOptions(strength=0.0, codec="vp9")
    stylize_video(Stylizer(tiny_model, threads=1), clip, tmp_path / target, options)
    assert look(tmp_path / target).seconds == pytest.approx([0, 0.04, 0.5, 0.54], abs=0.001)
