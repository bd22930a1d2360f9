"""What libav tells of a file is taken as it is meant."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from generated_clips import look, make_clip

from fast_nst import Stylizer
from fast_nst.runtime.video.containers import decoder_of, open_container
from fast_nst.runtime.video.stylize import VideoOptions, stylize_video


@pytest.mark.parametrize("tag", ["alpha_mode", "ALPHA_MODE"])
@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
def test_alpha_beside_the_picture_is_decoded_however_its_tag_is_spelled(
    tmp_path: Path, codec: str, tag: str
) -> None:
    options = {"auto-alt-ref": "0"}
    make_clip(tmp_path / "in.webm", 2, codec=codec, format="yuva420p", options=options)
    with open_container(tmp_path / "in.webm") as container:
        stream = container.streams.video[0]
        stream.metadata.pop("alpha_mode", None)
        stream.metadata[tag] = "1"
        decoder = decoder_of(stream)
        frames = [frame for packet in container.demux(stream) for frame in decoder.decode(packet)]
    assert {frame.format.name for frame in frames} == {"yuva420p"}


@pytest.mark.parametrize("before", [1.0, 0.2])
def test_no_frame_is_lost_where_the_clock_of_a_transport_stream_wraps(
    tiny_model: Path, tmp_path: Path, before: float
) -> None:
    tick = Fraction(1, 90_000)
    begin = 2**33 - round(before / tick)
    times = [begin + 3600 * index for index in range(40)]
    make_clip(tmp_path / "in.ts", 40, pts=times, time_base=tick)
    stylizer = Stylizer(tiny_model, threads=1)
    report = stylize_video(stylizer, tmp_path / "in.ts", tmp_path / "out.mp4", VideoOptions(strength=0.0))
    assert (report.frames, report.problem) == (40, None)
    seen = look(tmp_path / "out.mp4")
    assert seen.seconds == pytest.approx([index / 25 for index in range(40)], abs=0.001)


@pytest.mark.parametrize("tags", [(9, 1, 9, 16), (1, 1, 1, 4)])
def test_a_decoder_for_alpha_knows_the_colors_that_the_container_tells(
    tmp_path: Path, tags: tuple[int, int, int, int]
) -> None:
    options = {"auto-alt-ref": "0"}
    make_clip(tmp_path / "in.webm", 2, codec="libvpx-vp9", format="yuva420p", options=options, tags=tags)
    with open_container(tmp_path / "in.webm") as container:
        stream = container.streams.video[0]
        decoder = decoder_of(stream)
        assert decoder.name == "libvpx-vp9"
        [frame, _] = [frame for packet in container.demux(stream) for frame in decoder.decode(packet)]
    assert (frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc) == tags
