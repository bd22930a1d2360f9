"""What is wrong with a file is said, and nothing else."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest
from generated_clips import corners

from fast_nst import Stylizer
from fast_nst.runtime.video.stylize import VideoOptions, VideoReport, stylize_video


def run(model: Path, source: Path, target: Path, **options: object) -> VideoReport:
    settings = VideoOptions(**{"strength": 0.0} | options)
    return stylize_video(Stylizer(model, threads=1), source, target, settings)


def two_videos(path: Path) -> Path:
    """The first and larger one 1 second long, the second one 3."""
    with av.open(str(path), "w") as output:
        streams = [output.add_stream("libx264", rate=25, options={"preset": "ultrafast"}) for _ in range(2)]
        for (width, height), stream in zip(((64, 48), (32, 16)), streams, strict=True):
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(75):
            for stream in streams if index < 25 else streams[1:]:
                frame = av.VideoFrame.from_ndarray(
                    corners(stream.height, stream.width, index), format="rgb24"
                )
                frame.pts, frame.time_base = index, Fraction(1, 25)
                output.mux(stream.encode(frame))
        for stream in streams:
            output.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_second_longer_video_beside_it_is_no_damage(tiny_model: Path, tmp_path: Path, suffix: str) -> None:
    clip = two_videos(tmp_path / f"in{suffix}")
    report = run(tiny_model, clip, tmp_path / "out.mkv")
    assert (report.frames, report.problem) == (25, None)
    report = run(tiny_model, clip, tmp_path / "out.mkv", start=0.2, end=0.6)
    assert (report.frames, report.problem) == (10, None)


def test_a_file_cut_in_the_second_video_is_still_called_damaged(tiny_model: Path, tmp_path: Path) -> None:
    clip = two_videos(tmp_path / "whole.mkv")
    (tmp_path / "in.mkv").write_bytes(clip.read_bytes()[: clip.stat().st_size // 3])
    report = run(tiny_model, tmp_path / "in.mkv", tmp_path / "out.mkv")
    assert report.problem is not None
