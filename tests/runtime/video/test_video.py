"""Videos: what comes out is the source in another style, and nothing else about it is changed."""

from __future__ import annotations

import logging
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from generated_clips import corners, look, make_clip
from PIL import Image

from fast_nst import Stylizer
from fast_nst.errors import UserError
from fast_nst.pictures import decode_picture, encode_picture
from fast_nst.runtime.stylizer import OutOfMemory
from fast_nst.runtime.video.containers import UnreadableVideo
from fast_nst.runtime.video.stylize import VideoOptions, VideoReport, stylize_video

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def negative(tiny_model: Path) -> Stylizer:
    return Stylizer(tiny_model, threads=1)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds with B-frames and sound."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    return make_clip(path, 50, options={"bf": "2", "preset": "fast"}, audio=True)


def run(stylizer: Stylizer, source: Path | list[Path], target: Path, **options: object) -> VideoReport:
    report = stylize_video(stylizer, source, target, VideoOptions(**options))
    assert not list(target.parent.glob(".*.tmp"))
    return report


def same(pixels: np.ndarray, expected: np.ndarray, tolerance: float = 6) -> bool:
    """Whether the quarters agree, a few pixels from the borders where chroma is shared."""
    assert pixels.shape == expected.shape
    height, width, _ = pixels.shape
    spots = np.ix_([height // 4, height * 3 // 4], [width // 4, width * 3 // 4])
    return bool(np.abs(pixels[spots].astype(int) - expected[spots]).max() <= tolerance)


# --- what is kept --------------------------------------------------------------------------------


def test_frames_times_sound_and_title_are_those_of_the_source(
    film: Path, negative: Stylizer, tmp_path: Path
) -> None:
    report = run(negative, film, tmp_path / "out.mp4")
    before, after = look(film), look(tmp_path / "out.mp4")
    assert (report.frames, report.seconds, report.problem) == (50, 2.0, None)
    assert (after.pts, after.time_base) == (before.pts, before.time_base)
    assert after.durations[-1] == before.durations[-1]
    assert after.kinds == ["video/h264", "audio/aac"]
    assert len(after.packets[1]) > 80
    assert after.packets == before.packets  # bytes, times from the negative first one on, and durations
    for index, pixels in enumerate(after.pixels):
        assert same(pixels, 255 - corners(48, 64, index))
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.metadata["title"] == "A film"


@pytest.mark.parametrize("size", [(47, 63), (48, 63), (47, 64), (1, 1), (2, 2), (1, 300)])
@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_any_size_stays(negative: Stylizer, tmp_path: Path, size: tuple[int, int], suffix: str) -> None:
    clip = make_clip(tmp_path / "in.mkv", 3, size, codec="ffv1", format="bgr0")
    run(negative, clip, tmp_path / f"out{suffix}")
    after = look(tmp_path / f"out{suffix}")
    assert [pixels.shape for pixels in after.pixels] == [(*size, 3)] * 3
    if min(size) > 40:
        assert same(after.pixels[0], 255 - corners(*size), 12)


def test_a_variable_frame_rate_stays(negative: Stylizer, tmp_path: Path) -> None:
    times = [0, 100, 1300, 1400, 5000, 5001, 90000]
    clip = make_clip(tmp_path / "in.mp4", pts=times, time_base=Fraction(1, 12345), options={"bf": "0"})
    for target in (tmp_path / "out.mp4", tmp_path / "out.mov"):
        run(negative, clip, target)
        after = look(target)
        assert (after.pts, after.time_base) == (times, Fraction(1, 12345))
        with av.open(str(clip)) as source, av.open(str(target)) as result:
            lasts = [float(c.streams.video[0].duration * after.time_base) for c in (source, result)]  # type: ignore[operator]
            assert lasts[1] >= times[-1] / 12345
            assert lasts[1] == pytest.approx(result.duration / av.time_base, abs=0.001)  # type: ignore[operator]
    run(negative, clip, tmp_path / "out.mkv")
    assert look(tmp_path / "out.mkv").seconds == pytest.approx([t / 12345 for t in times], abs=0.0006)


def test_a_clip_that_begins_late_keeps_its_lead(negative: Stylizer, tmp_path: Path) -> None:
    """Shown by an edit list, whose ticks are a millisecond unless told otherwise."""
    clip = make_clip(tmp_path / "in.mp4", pts=[9000 + 512 * n for n in range(12)], audio=True)
    run(negative, clip, tmp_path / "out.mp4")
    before, after = look(clip), look(tmp_path / "out.mp4")
    assert (after.pts, after.packets) == (before.pts, before.packets)
    assert before.pts[0] == pytest.approx(9000, abs=13)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_turned_clip_is_made_upright(
    negative: Stylizer, tmp_path: Path, rotation: int, mirrored: bool
) -> None:
    aspect = Fraction(4, 3)
    clip = make_clip(tmp_path / "in.mp4", 3, rotation=rotation, mirrored=mirrored, aspect=aspect)
    run(negative, clip, tmp_path / "out.mp4")
    shown = np.rot90(corners(48, 64), rotation // 90)  # counter-clockwise, as PyAV has it
    if mirrored:
        shown = shown[:, ::-1]
    after = look(tmp_path / "out.mp4")
    assert same(after.pixels[0], 255 - shown)
    assert after.rotation == 0
    assert after.aspect == (aspect if rotation in (0, 180) else 1 / aspect)


@pytest.mark.parametrize(
    "tags", [(1, 1, 1, 1), (1, 2, 1, 13), (9, 1, 9, 14), (6, 1, 6, 6), (5, 2, 5, 6), (2, 0, 2, 2)]
)
def test_color_is_read_and_written_as_the_file_says(
    negative: Stylizer, tmp_path: Path, tags: tuple[int, int, int, int]
) -> None:
    clip = make_clip(tmp_path / "in.mp4", 3, tags=tags, format="yuv444p")
    run(negative, clip, tmp_path / "out.mp4")
    after = look(tmp_path / "out.mp4")
    assert after.tags == look(clip).tags == tags
    assert same(after.pixels[0], 255 - corners(48, 64), 5)


@pytest.mark.parametrize(
    ("codec", "options"),
    [
        ("libx264", {"qp": "1"}),
        ("libx264", {"qp": "1", "x264-params": "chromaloc=0"}),
        ("libx264", {"qp": "1", "x264-params": "chromaloc=1"}),  # between two luma samples
        ("libvpx-vp9", {"lossless": "1"}),
        ("ffv1", {}),
    ],
)
def test_chroma_stays_where_it_was(
    negative: Stylizer, tmp_path: Path, codec: str, options: dict[str, str]
) -> None:
    """It moved by a quarter of a sample: read where the file said, written between two luma samples."""
    rows, columns = np.mgrid[:64, :96]
    waves = 128 + 50 * np.sin(columns / 6) * np.cos(rows / 7)
    planes = [np.full((128, 192), 128.0), waves, 128 + 50 * np.cos(columns / 7) * np.sin(rows / 6)]
    flat = np.concatenate([plane.ravel() for plane in planes]).round().astype(np.uint8)
    with av.open(str(tmp_path / "in.mkv"), "w") as output:
        video = output.add_stream(codec, rate=25, options=options)
        video.width, video.height, video.pix_fmt = 192, 128, "yuv420p"
        context = video.codec_context
        context.colorspace, context.color_range, context.color_primaries, context.color_trc = 1, 1, 1, 1
        frame = av.VideoFrame.from_ndarray(flat.reshape(192, 192), format="yuv420p")
        output.mux([*video.encode(frame), *video.encode(None)])
    run(negative, tmp_path / "in.mkv", tmp_path / "out.mp4", strength=0.0, quality=100)
    with av.open(str(tmp_path / "out.mp4")) as container:
        out = next(container.decode(video=0)).to_ndarray().ravel()[128 * 192 :].reshape(2, 64, 96)
    moved = 0.25 if options.get("x264-params") == "chromaloc=1" else 0.0  # to where players look for it
    inside = np.s_[8:-8, 8:-8]
    for before, after in zip(planes[1:], out.astype(float), strict=True):
        for axis, expected in ((1, moved), (0, 0.0)):
            slope, gap = np.gradient(before, axis=axis)[inside], (before - after)[inside]
            assert (slope * gap).sum() / (slope * slope).sum() == pytest.approx(expected, abs=0.05)


def test_a_color_matrix_left_to_players_is_said_where_they_would_change_their_mind(
    negative: Stylizer, tmp_path: Path
) -> None:
    """Of an untagged clip players take BT.709 for HD, BT.601 for less: small, it changed its colors."""
    clip = make_clip(tmp_path / "in.mp4", 2, (720, 1280), tags=(2, 0, 2, 2))
    run(negative, clip, tmp_path / "out.mp4", size=64)
    assert look(tmp_path / "out.mp4").tags[0] == 1


@pytest.mark.parametrize("format", ["yuv420p10le", "yuv422p10le", "yuv444p"])
def test_other_pixel_formats_than_the_usual_one(negative: Stylizer, tmp_path: Path, format: str) -> None:
    clip = make_clip(tmp_path / "in.mp4", 4, format=format)
    run(negative, clip, tmp_path / "out.mp4")
    after = look(tmp_path / "out.mp4")
    assert len(after.pixels) == 4
    assert same(after.pixels[3], 255 - corners(48, 64, 3))
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"  # plays everywhere


def test_one_frame(negative: Stylizer, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mp4", 1)
    for suffix in (".mp4", ".mkv", ".webm", ".gif"):
        assert run(negative, clip, tmp_path / f"out{suffix}").frames == 1
        assert len(look(tmp_path / f"out{suffix}").pixels) == 1


SUBTITLES = [(b"Hello", 100, 300), (b"World", 200, 900), (b"both", 200, 100)]


def test_subtitles_are_copied_or_said_to_be_left_out(
    negative: Stylizer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clip = make_clip(tmp_path / "in.mkv", 30, audio=True, subtitles=SUBTITLES)
    with caplog.at_level(logging.INFO, "fast_nst"):
        run(negative, clip, tmp_path / "out.mkv")
        assert not caplog.messages
        run(negative, clip, tmp_path / "out.mp4")
    before, after = look(clip), look(tmp_path / "out.mkv")
    assert after.packets == before.packets
    assert [text for text, _, _ in after.packets[2]] == [b"Hello", b"World", b"both"]
    assert caplog.messages == [
        f"{tmp_path / 'out.mp4'}: the subtitle stream 2 (srt) is left out: mp4 cannot hold it"
    ]
    assert look(tmp_path / "out.mp4").kinds == ["video/h264", "audio/aac"]


def test_a_transport_stream_begins_at_zero_with_its_sound_in_step(negative: Stylizer, tmp_path: Path) -> None:
    late = {"output_ts_offset": "5000"}
    clip = make_clip(tmp_path / "in.ts", 25, audio=True, options={"bf": "2"}, muxing=late)
    run(negative, clip, tmp_path / "out.mp4")
    before, after = look(clip), look(tmp_path / "out.mp4")
    assert before.seconds[0] >= 5000
    assert after.seconds[0] < 0.1
    lead = [float(seen.packets[1][0][1]) - seen.seconds[0] for seen in (before, after)]
    assert lead[0] == pytest.approx(lead[1], abs=1e-3)


# --- GIF, WebM and folders -----------------------------------------------------------------------


def write_gif(path: Path, delays: list[int], **more: object) -> Path:
    """Delays in milliseconds."""
    images = [Image.fromarray(corners(48, 64, index * 4)) for index in range(len(delays))]
    images[0].save(path, save_all=True, append_images=images[1:], duration=delays, **more)
    return path


def test_gif_keeps_its_delays_and_how_often_it_plays(negative: Stylizer, tmp_path: Path) -> None:
    delays = [100, 30, 250, 70]
    for loop, more in ((None, {}), (0, {"loop": 0}), (3, {"loop": 3})):
        run(negative, write_gif(tmp_path / "in.gif", delays, **more), tmp_path / "out.gif")
        with Image.open(tmp_path / "out.gif") as image:
            assert image.info.get("loop") == loop
            seen = []
            for index in range(image.n_frames):
                image.seek(index)
                seen.append(image.info["duration"])
                assert same(np.asarray(image.convert("RGB")), 255 - corners(48, 64, index * 4), 10)
        assert seen == delays


def test_gif_of_a_fast_clip_has_no_frame_that_viewers_would_slow_down(
    negative: Stylizer, tmp_path: Path
) -> None:
    clip = make_clip(tmp_path / "in.mp4", pts=[n * 100 for n in range(60)], time_base=Fraction(1, 12000))
    run(negative, clip, tmp_path / "out.gif")  # 120 frames per second, half a second
    after = look(tmp_path / "out.gif")
    assert min(np.diff(after.pts)) >= 2
    assert after.seconds[-1] == pytest.approx(0.49, abs=0.03)


def test_transparent_gif_is_laid_over_white_as_pictures_are(negative: Stylizer, tmp_path: Path) -> None:
    images = [Image.new("RGBA", (32, 32), (0, 0, 0, 0)) for _ in range(2)]
    images[1].putpixel((0, 0), (255, 0, 0, 255))
    images[0].save(tmp_path / "in.gif", save_all=True, append_images=images[1:], disposal=2)
    run(negative, tmp_path / "in.gif", tmp_path / "out.mp4")
    assert look(tmp_path / "out.mp4").pixels[0].max() < 8


@pytest.mark.parametrize("codec", ["vp9", "av1"])
def test_webm_and_its_pixels_made_square(
    negative: Stylizer, tmp_path: Path, codec: str, capfd: pytest.CaptureFixture[str]
) -> None:
    clip = make_clip(tmp_path / "in.mp4", 5, (64, 96), aspect=Fraction(4, 3), audio=True)
    run(negative, clip, tmp_path / "out.webm", codec=codec)
    after = look(tmp_path / "out.webm")
    assert after.kinds == [f"video/{'libdav1d' if codec == 'av1' else codec}", "audio/opus"]
    assert len(after.pixels) == 5
    assert same(after.pixels[0], 255 - corners(64, 128), 10)
    assert tuple(capfd.readouterr()) == ("", "")  # SVT-AV1 would tell of itself


def test_frames_out_and_in_again(negative: Stylizer, film: Path, tmp_path: Path) -> None:
    run(negative, film, tmp_path / "frames", end=0.4)
    frames = sorted((tmp_path / "frames").iterdir())
    assert [path.name for path in frames] == [f"{n:06}.png" for n in range(1, 11)]
    assert same(decode_picture(frames[9]).pixels, 255 - corners(48, 64, 9))
    report = run(negative, frames, tmp_path / "back.mp4", fps="30000/1001")
    back = look(tmp_path / "back.mp4")
    assert report.seconds == pytest.approx(10 * 1001 / 30000)
    assert (back.pts, back.time_base) == ([1001 * n for n in range(10)], Fraction(1, 30000))
    assert same(back.pixels[9], corners(48, 64, 9), 12)


def test_frames_that_cannot_be_used_leave_the_one_before_on_screen(
    negative: Stylizer, tmp_path: Path
) -> None:
    paths = [tmp_path / f"{n}.png" for n in range(5)]
    for path in paths:
        encode_picture(path, corners(48, 64))
    paths[1].write_bytes(b"broken")
    encode_picture(paths[3], corners(40, 64))
    report = run(negative, paths, tmp_path / "out.mp4", fps=25)
    assert report.problem is not None
    assert report.problem.startswith("left out 2 frames: 1.png (")
    assert report.problem.endswith(", 3.png (it is 64x40, the film 64x48 as 0.png)")
    assert look(tmp_path / "out.mp4").seconds == pytest.approx([0, 0.08, 0.16])


def test_broken_frames_at_the_ends_leave_no_gap_and_do_not_cut_the_film(
    negative: Stylizer, tmp_path: Path
) -> None:
    paths = [tmp_path / f"{n}.png" for n in range(6)]
    for path in paths:
        encode_picture(path, corners(48, 64))
    for path in (*paths[:2], *paths[4:]):
        path.write_bytes(b"broken")
    report = run(negative, paths, tmp_path / "out.mp4", fps=25)
    after = look(tmp_path / "out.mp4")
    assert after.seconds == pytest.approx([0, 0.12])
    assert after.durations[-1] * after.time_base == Fraction(3, 25)
    assert report.seconds == pytest.approx(6 / 25)


# --- a part, a size, colors ----------------------------------------------------------------------


def test_a_part_is_cut_with_its_sound_and_subtitles(negative: Stylizer, tmp_path: Path) -> None:
    texts = [(b"before", 0, 500), (b"across", 800, 600), (b"over the end", 1500, 900), (b"after", 1900, 90)]
    clip = make_clip(tmp_path / "in.mkv", 60, audio=True, subtitles=texts, options={"bf": "2", "g": "20"})
    run(negative, clip, tmp_path / "out.mkv", start="0:01", end=1.8)
    before, after = look(clip), look(tmp_path / "out.mkv")
    assert after.seconds == pytest.approx([0.04 * n for n in range(20)], abs=0.0011)
    assert same(after.pixels[0], 255 - corners(48, 64, 25))
    shown = [(text, float(begin), float(begin + length)) for text, begin, length in after.packets[2]]
    assert shown == [(b"across", 0, pytest.approx(0.4)), (b"over the end", 0.5, pytest.approx(0.8))]
    sound = [data for data, _, _ in after.packets[1]]
    at = [data for data, _, _ in before.packets[1]].index(sound[0])
    assert sound == [data for data, _, _ in before.packets[1][at : at + len(sound)]]
    assert float(before.packets[1][at][1]) == pytest.approx(1.0, abs=0.025)
    assert float(after.packets[1][0][1]) == pytest.approx(float(before.packets[1][at][1]) - 1.0, abs=0.002)
    assert float(after.packets[1][-1][1]) == pytest.approx(0.8, abs=0.05)


def test_a_part_behind_the_end_is_refused_with_the_length(
    negative: Stylizer, film: Path, tmp_path: Path
) -> None:
    with pytest.raises(UnreadableVideo, match=r"nothing comes after --start 90; it lasts 2.0"):
        run(negative, film, tmp_path / "out.mp4", start="1:30")
    assert not list(tmp_path.iterdir())


def test_a_part_that_ends_while_a_frame_stands_is_not_taken_for_truncated(
    negative: Stylizer, tmp_path: Path
) -> None:
    for suffix in (".mp4", ".mkv"):
        times = [0, 40, 80, 5000, 5040]
        clip = make_clip(tmp_path / f"in{suffix}", pts=times, time_base=Fraction(1, 1000))
        report = run(negative, clip, tmp_path / f"out{suffix}", end=4)
        assert (report.frames, report.problem) == (3, None)


def test_a_smaller_size_has_an_even_other_side(negative: Stylizer, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mp4", 2, (46, 64))
    run(negative, clip, tmp_path / "out.mp4", size=30)
    assert look(tmp_path / "out.mp4").pixels[0].shape == (22, 30, 3)  # 21.6 exactly


def test_strength_and_color_reach_the_model(negative: Stylizer, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mp4", 2)
    run(negative, clip, tmp_path / "out.mp4", strength=0.0)
    assert same(look(tmp_path / "out.mp4").pixels[1], corners(48, 64, 1))
    run(negative, clip, tmp_path / "out.mp4", preserve_color=True)
    pixels = look(tmp_path / "out.mp4").pixels[0]
    assert pixels[12, 16, 0] > pixels[12, 16, 1] + 50  # still red, where the negative is cyan


def test_quality_is_the_size_of_the_file(negative: Stylizer, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mp4", 20, (96, 128))
    for suffix, codec in ((".mp4", "h264"), (".webm", "vp9"), (".mp4", "av1")):
        sizes = []
        for quality in (1, 60, 100):
            run(negative, clip, tmp_path / f"out{suffix}", quality=quality, codec=codec)
            sizes.append((tmp_path / f"out{suffix}").stat().st_size)
        assert sizes == sorted(sizes)


# --- what is damaged or no video -----------------------------------------------------------------


def test_a_truncated_file_is_done_as_far_as_it_goes(negative: Stylizer, film: Path, tmp_path: Path) -> None:
    run(negative, film, tmp_path / "whole.mp4")  # its index is in front
    run(negative, film, tmp_path / "whole.mkv")
    for suffix in (".mp4", ".mkv"):
        data = (tmp_path / f"whole{suffix}").read_bytes()
        (tmp_path / f"cut{suffix}").write_bytes(data[: len(data) * 6 // 10])
        report = run(negative, tmp_path / f"cut{suffix}", tmp_path / f"out{suffix}")
        assert report.problem is not None
        assert "the file ends after" in report.problem
        after = look(tmp_path / f"out{suffix}")
        assert 10 < report.frames == len(after.pixels) < 50
        assert same(after.pixels[5], corners(48, 64, 5), 12)


def test_a_file_with_flipped_bytes_never_stops_the_job(
    negative: Stylizer, film: Path, tmp_path: Path
) -> None:
    run(negative, film, tmp_path / "whole.mkv")
    whole = (tmp_path / "whole.mkv").read_bytes()
    random = np.random.default_rng(3)
    frames = problems = 0
    for _ in range(8):
        data = np.frombuffer(whole, np.uint8).copy()
        data[random.integers(700, len(data), 40)] ^= random.integers(1, 256, 40, np.uint8)
        (tmp_path / "in.mkv").write_bytes(data.tobytes())
        try:
            report = run(negative, tmp_path / "in.mkv", tmp_path / "out.mp4")
        except UnreadableVideo:
            continue
        assert len(look(tmp_path / "out.mp4").pixels) == report.frames
        frames, problems = frames + report.frames, problems + bool(report.problem)
    assert frames > 100
    assert problems


def test_a_damaged_packet_of_sound_does_not_cost_the_video(negative: Stylizer, tmp_path: Path) -> None:
    """Out of a transport stream libav rewrites AAC packets, and fails where one announces too much."""
    data = make_clip(tmp_path / "in.ts", 50, audio=True).read_bytes()
    header = data.index(b"\xff\xf1\x50", len(data) // 2)
    damaged = data[: header + 1] + b"\xf0" + data[header + 2 : header + 6] + b"\xff" + data[header + 7 :]
    (tmp_path / "in.ts").write_bytes(damaged)
    report = run(negative, tmp_path / "in.ts", tmp_path / "out.mp4")
    assert report.frames == 50
    assert report.problem == "1 damaged packet of sound or subtitles left out"


def test_a_file_without_a_frame_is_one_clear_line(negative: Stylizer, tmp_path: Path) -> None:
    with av.open(str(tmp_path / "sound.mp4"), "w") as output:
        stream = output.add_stream("aac", rate=44100)
        tone = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), format="fltp", layout="mono")
        tone.sample_rate = 44100
        output.mux([*stream.encode(tone), *stream.encode(None)])
    make_clip(tmp_path / "whole.mp4")
    (tmp_path / "head.mp4").write_bytes((tmp_path / "whole.mp4").read_bytes()[:300])
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no video\n" * 100)
    # libav would follow what a playlist names.
    (tmp_path / "list.mp4").write_text(f"#EXTM3U\n#EXTINF:1,\n{tmp_path / 'whole.mp4'}\n#EXT-X-ENDLIST\n")
    (tmp_path / "concat.mp4").write_text("ffconcat version 1.0\nfile whole.mp4\n")
    expected = {
        "sound.mp4": "holds no video stream",
        "empty.mp4": "the file is empty",
        "missing.mp4": "no such file",
        **dict.fromkeys(("head.mp4", "text.mp4", "list.mp4", "concat.mp4"), "not a video, or damaged"),
    }
    for name, reason in expected.items():
        with pytest.raises(UnreadableVideo, match=reason) as caught:
            run(negative, tmp_path / name, tmp_path / "out" / "out.mp4")
        assert str(caught.value).startswith(f"{tmp_path / name}: ")
    assert not (tmp_path / "out").exists()


def test_a_name_with_a_colon_is_a_file_not_an_address(
    negative: Stylizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_clip(tmp_path / "in.mp4", 2).rename(tmp_path / "http:in.mp4")
    assert run(negative, Path("http:in.mp4"), Path("tcp:out.mp4")).frames == 2


def test_too_large_frames_are_refused_naming_the_flag(negative: Stylizer, film: Path, tmp_path: Path) -> None:
    with pytest.raises(UnreadableVideo, match="--max-pixels"):
        run(negative, film, tmp_path / "out.mp4", max_pixels=3000)


# --- trouble on the way --------------------------------------------------------------------------


def test_frames_too_large_for_the_memory_leave_no_file(hungry_model: Path, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mp4", 3, (4000, 16))
    with pytest.raises(OutOfMemory):
        run(Stylizer(hungry_model, threads=1), clip, tmp_path / "out" / "out.mp4")
    assert not list((tmp_path / "out").iterdir())


def test_stopping_leaves_a_file_that_plays(negative: Stylizer, film: Path, tmp_path: Path) -> None:
    for name in ("out.mp4", "out.mkv", "out.webm", "out.gif"):
        asked = iter(range(50))
        report = stylize_video(
            negative,
            film,
            tmp_path / name,
            stop=lambda asked=asked: next(asked) > 20,  # type: ignore[misc]
        )
        assert not (tmp_path / name).exists()
        assert report.stopped
        assert 10 < report.frames < 50
        assert report.path.name == name.replace(".", ".partial.")
        assert len(look(report.path).pixels) == report.frames
        assert report.problem is None


FULL_DISK = """
import resource, sys
from fast_nst import Stylizer
from fast_nst.errors import UserError
from fast_nst.runtime.video.stylize import stylize_video
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
try:
    stylize_video(Stylizer(sys.argv[1], threads=1), sys.argv[2], sys.argv[3])
except UserError as error:
    sys.exit(str(error))
"""


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".gif"])
def test_a_full_disk_is_one_line_and_leaves_nothing(tiny_model: Path, tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (8, 96, 96, 3), np.uint8)
    for index, pixels in enumerate(noise):
        encode_picture(tmp_path / f"{index}.png", pixels)
    clip = tmp_path / "in.mkv"
    frames = [tmp_path / f"{index}.png" for index in range(8)]
    stylize_video(Stylizer(tiny_model, threads=1), frames, clip, VideoOptions(fps=25))
    target = tmp_path / "out" / f"out{suffix}"
    command = [sys.executable, "-c", FULL_DISK, str(tiny_model), str(clip), str(target)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stderr == f"cannot write {target}: file too large\n"
    assert done.returncode == 1
    assert not list(target.parent.iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": "abc"}, "--start must be seconds or hh:mm:ss"),
        ({"start": -1}, "--start must be seconds"),
        ({"end": 0}, "--end 0 must come after --start 0"),
        ({"start": "1:00", "end": 30}, "must come after"),
        ({"fps": "fast"}, "--fps must be"),
        ({"fps": "0"}, "--fps must be"),
        ({"fps": "1/0"}, "--fps must be"),
        ({"codec": "mpeg2"}, "--codec must be one of h264, vp9, av1"),
    ],
)
def test_a_wrong_option_names_its_flag(options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        VideoOptions(**options)


def test_a_codec_the_container_cannot_hold_is_refused(negative: Stylizer, film: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="webm holds vp9 or av1"):
        run(negative, film, tmp_path / "out.webm", codec="h264")
    assert not list(tmp_path.iterdir())
