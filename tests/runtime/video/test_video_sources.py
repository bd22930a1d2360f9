"""What cameras, editors and recorders put into files: nothing of it is lost, moved or changed in silence."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from generated_clips import corners, look, make_clip
from PIL import Image, ImageSequence

from fast_nst import Stylizer
from fast_nst.errors import UserError
from fast_nst.pictures import UnsuitableFormat
from fast_nst.runtime.video.stylize import VideoOptions, VideoReport, stylize_video

RATE = 48000


@pytest.fixture(scope="module")
def negative(tiny_model: Path) -> Stylizer:
    return Stylizer(tiny_model, threads=1)


def run(stylizer: Stylizer, source: Path, target: Path, **options: object) -> VideoReport:
    """Through the pipeline with the pixels as they were, unless a strength is given."""
    return stylize_video(stylizer, source, target, VideoOptions(**{"strength": 0.0} | options))


def beeps(seconds: float, at: list[float]) -> np.ndarray:
    """Silence with tones of a twentieth of a second, float32 [1, samples]."""
    samples = np.zeros((1, round(seconds * RATE)), np.float32)
    for begin in at:
        first, length = round(begin * RATE), RATE // 20
        samples[0, first : first + length] = 0.8 * np.sin(np.arange(length) * 2 * np.pi * 1000 / RATE)
    return samples


def heard(path: Path) -> list[float]:
    """When tones begin."""
    onsets: list[float] = []
    last, end = -1.0, 0.0
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            values = frame.to_ndarray().astype(float)
            values /= 32768 if frame.format.name.startswith("s16") else 1
            loud = np.flatnonzero(np.abs(values).max(0) > 0.3)
            begin = end if frame.pts is None else float(frame.pts * frame.time_base)
            end = begin + frame.samples / frame.sample_rate
            for moment in begin + loud / frame.sample_rate:
                if moment > last + 0.05:
                    onsets.append(moment)
                last = moment
    return onsets


def film(
    path: Path,
    frames: int = 50,
    *,
    first: int = 0,
    at: list[float] = [0.4, 1.2],  # noqa: B006
    sound: str = "aac",
    bit_rate: int = 96_000,
    sound_first: bool = False,
    without: tuple[float, float] = (0, 0),
    time_base: Fraction = Fraction(1, 25),
    **muxing: str,
) -> Path:
    """25 numbered frames a second with B-frames, and tones; sound packets `without` a span are left out."""
    samples = beeps(frames / 25, at)
    with av.open(str(path), "w", container_options=muxing) as output:
        settings = {"crf": "4", "preset": "ultrafast", "bf": "2", "g": "25"}

        def add_sound() -> Any:
            return output.add_stream(sound, rate=RATE, layout="mono", bit_rate=96_000)

        audio = add_sound() if sound_first else None
        video = output.add_stream("libx264", rate=25, options=settings)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.codec_context.time_base = time_base
        audio = audio or add_sound()

        def mux_sound(packets: list[av.Packet]) -> None:
            for packet in packets:
                if not without[0] <= float(packet.pts * packet.time_base) < without[1]:
                    output.mux(packet)

        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(numbered(first + index), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            output.mux(video.encode(frame))
            part = samples[:, index * RATE // 25 : (index + 1) * RATE // 25]
            kind = audio.codec_context.format.name
            if kind == "s16":
                part = (part * 32767).astype(np.int16)
            tone = av.AudioFrame.from_ndarray(np.ascontiguousarray(part), format=kind, layout="mono")
            tone.sample_rate, tone.pts = RATE, index * RATE // 25
            tone.time_base = Fraction(1, RATE)
            mux_sound(audio.encode(tone))
        output.mux(video.encode(None))
        mux_sound(audio.encode(None))
    return path


def numbered(index: int) -> np.ndarray:
    """A frame whose gray tells its number."""
    return np.full((48, 64, 3), 20 + 4 * index, np.uint8)


def numbers(path: Path) -> list[int]:
    """Those of the frames."""
    return [round((float(pixels.mean()) - 20) / 4) for pixels in look(path).pixels]


# --- all frames ----------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".ts"])
@pytest.mark.parametrize("frames", [3, 30])
def test_a_clip_whose_sound_comes_first_keeps_its_last_frames(
    negative: Stylizer, tmp_path: Path, suffix: str, frames: int
) -> None:
    clip = film(tmp_path / f"in{suffix}", frames, sound_first=True, at=[])
    report = run(negative, clip, tmp_path / "out.mkv")
    assert (report.frames, report.problem) == (frames, None)
    assert numbers(tmp_path / "out.mkv") == list(range(frames))


def test_frames_that_never_come_are_counted(negative: Stylizer, tmp_path: Path) -> None:
    """A cut before a keyframe: the decoder passes over what it has no beginning of."""
    make_clip(tmp_path / "whole.mp4", 40, options={"g": "20", "bf": "0", "x264-params": "open-gop=0"})
    with av.open(str(tmp_path / "whole.mp4")) as whole, av.open(str(tmp_path / "in.mp4"), "w") as cut:
        stream = cut.add_stream_from_template(whole.streams.video[0], opaque=True)
        for packet in list(whole.demux(video=0))[15:]:
            if packet.size:
                packet.pts, packet.dts, packet.stream = packet.pts - 7680, packet.dts - 7680, stream
                cut.mux(packet)
    report = run(negative, tmp_path / "in.mp4", tmp_path / "out.mp4")
    assert report.frames < 25
    assert report.problem is not None
    assert re.fullmatch(r"\d of its 25 frames did not decode", report.problem)


# --- clocks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [0, 6, 5000, -1])
def test_joined_transport_streams_play_one_after_the_other(
    negative: Stylizer, tmp_path: Path, offset: int
) -> None:
    """The second one's clock restarts or leaps, or the first one's is the later."""
    late = {"output_ts_offset": str(abs(offset))}
    parts = [
        film(tmp_path / "a.ts", at=[0.4, 1.6], **(late if offset < 0 else {})),
        film(tmp_path / "b.ts", 25, at=[0.2, 0.8], **(late if offset > 0 else {})),
    ]
    joined = tmp_path / "in.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    report = run(negative, joined, tmp_path / "out.mp4")
    assert (report.frames, report.problem) == (75, None)
    after = look(tmp_path / "out.mp4")
    assert after.seconds[0] < 0.03
    assert np.diff(after.seconds) == pytest.approx(np.full(74, 0.04), abs=0.002)
    expected = [after.seconds[0] + moment for moment in (0.4, 1.6, 2.2, 2.8)]
    assert heard(tmp_path / "out.mp4") == pytest.approx(expected, abs=0.045)  # two AAC packets at the joint


def test_sound_and_picture_stay_in_step_over_many_joints(negative: Stylizer, tmp_path: Path) -> None:
    """Packets of pictures state no duration where the encoder's ticks are not its frames."""
    part = film(tmp_path / "part.ts", 30, at=[0.4, 0.8], time_base=Fraction(1, 90_000))
    (tmp_path / "in.ts").write_bytes(part.read_bytes() * 6)
    report = run(negative, tmp_path / "in.ts", tmp_path / "out.mp4")
    assert (report.frames, report.problem) == (180, None)
    seconds = look(tmp_path / "out.mp4").seconds
    expected = [seconds[30 * index] + begin for index in range(6) for begin in (0.4, 0.8)]
    assert heard(tmp_path / "out.mp4") == pytest.approx(expected, abs=0.03)


def test_a_part_of_joined_transport_streams_is_cut_by_the_time_they_play(
    negative: Stylizer, tmp_path: Path
) -> None:
    parts = [film(tmp_path / f"{index}.ts", 25, first=5 * index, at=[]) for index in range(3)]
    (tmp_path / "in.ts").write_bytes(b"".join(part.read_bytes() for part in parts))
    run(negative, tmp_path / "in.ts", tmp_path / "out.mp4", start=1.9, end=2.3)
    assert len(look(tmp_path / "out.mp4").pixels) == 10
    first = numbers(tmp_path / "out.mp4")
    assert first[:2] == [5 + 22, 5 + 23]
    assert first[-3:] == [10 + 4, 10 + 5, 10 + 6]


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".flv", ".ts"])
def test_a_start_far_from_zero_is_the_results_zero(negative: Stylizer, tmp_path: Path, suffix: str) -> None:
    clip = film(tmp_path / f"in{suffix}", output_ts_offset="3000")
    for target in (tmp_path / "out.mkv", tmp_path / "out.mp4"):
        report = run(negative, clip, target)
        assert (report.frames, report.problem) == (50, None)
        assert look(target).seconds[0] < 0.06
        lead = heard(target)[0] - look(target).seconds[0]
        assert lead == pytest.approx(0.4, abs=0.03)


@pytest.mark.parametrize("options", [{}, {"hdr": "keep"}])
def test_a_rate_that_the_file_claims_does_not_shorten_it(
    negative: Stylizer, tmp_path: Path, options: dict[str, str]
) -> None:
    """MKV says 25 frames per second whatever its frames' times are; MP4 then said that it ends early."""
    times = [0, 100, 1300, 1400, 5000, 5001, 9000]
    make_clip(tmp_path / "in.mkv", pts=times, time_base=Fraction(1, 1000), tags=(9, 1, 9, 16))
    run(negative, tmp_path / "in.mkv", tmp_path / "out.mp4", **options)
    assert look(tmp_path / "out.mp4").seconds == pytest.approx([ticks / 1000 for ticks in times])
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.duration / av.time_base == pytest.approx(9.04, abs=0.05)


def test_sound_stored_after_the_pictures_is_no_clock_that_restarts(
    negative: Stylizer, tmp_path: Path
) -> None:
    """Low rates of sound fill a transport stream's packet only after some pictures."""
    clip = film(tmp_path / "in.ts", sound="ac3", max_delay="3000000")
    lead = heard(clip)[0] - look(clip).seconds[0]
    run(negative, clip, tmp_path / "out.mp4")
    assert heard(tmp_path / "out.mp4")[0] - look(tmp_path / "out.mp4").seconds[0] == pytest.approx(
        lead, abs=0.01
    )


def test_avi_has_no_times_of_showing(negative: Stylizer, tmp_path: Path) -> None:
    """libav guesses them from the order of decoding: B-frames came late and at uneven times."""
    clip = film(tmp_path / "in.avi", sound="pcm_s16le", at=[0.4, 1.2])
    run(negative, clip, tmp_path / "out.mkv")
    after = look(tmp_path / "out.mkv")
    assert after.seconds == pytest.approx([0.04 * index for index in range(50)], abs=0.001)
    assert numbers(tmp_path / "out.mkv") == list(range(50))
    assert heard(tmp_path / "out.mkv") == pytest.approx([0.4, 1.2], abs=0.005)


def test_other_files_joined_as_they_are(negative: Stylizer, tmp_path: Path) -> None:
    """Matroska goes on by its second clock; where libav stops at the joint, that is said."""
    for suffix in (".mkv", ".flv"):
        parts = [film(tmp_path / f"{index}{suffix}", at=[0.4]) for index in range(2)]
        (tmp_path / f"in{suffix}").write_bytes(b"".join(part.read_bytes() for part in parts))
    assert run(negative, tmp_path / "in.mkv", tmp_path / "out.mp4").problem is None
    assert look(tmp_path / "out.mp4").seconds == pytest.approx([0.04 * n for n in range(100)], abs=0.01)
    assert heard(tmp_path / "out.mp4") == pytest.approx([0.4, 2.4], abs=0.03)
    report = run(negative, tmp_path / "in.flv", tmp_path / "out.mp4")
    assert report.problem is not None
    assert re.match(r"reading stops at \d\d % of the file", report.problem)


# --- GIF -----------------------------------------------------------------------------------------


def delays(path: Path) -> list[int]:
    with Image.open(path) as image:
        return [int(frame.info["duration"]) for frame in ImageSequence.Iterator(image)]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ([10] * 6, [100] * 6),
        ([0] * 3, [100] * 3),
        ([300, 10, 700], [300, 100, 700]),
        ([20, 20, 500], [20, 20, 500]),
        ([500, 50, 10, 10, 2500], [500, 50, 100, 100, 2500]),
        ([500, 0, 0, 700], [500, 100, 100, 700]),  # Pillow leaves the delay of 0 out
    ],
)
def test_a_gif_lasts_as_long_as_viewers_show_it(
    negative: Stylizer, tmp_path: Path, given: list[int], shown: list[int]
) -> None:
    images = [Image.fromarray(corners(48, 64, 3 * index)) for index in range(len(given))]
    images[0].save(tmp_path / "in.gif", save_all=True, append_images=images[1:], duration=given, loop=0)
    run(negative, tmp_path / "in.gif", tmp_path / "out.gif")
    assert delays(tmp_path / "out.gif") == shown
    run(negative, tmp_path / "in.gif", tmp_path / "out.mp4")
    after = look(tmp_path / "out.mp4")
    assert after.seconds == pytest.approx(np.cumsum([0, *shown[:-1]]) / 1000)
    assert float(after.durations[-1] * after.time_base) == pytest.approx(shown[-1] / 1000)


def test_a_frame_of_a_gif_is_not_dropped_for_its_neighbour(negative: Stylizer, tmp_path: Path) -> None:
    """A screen recording: two frames a millisecond apart, of which the second stays for a while."""
    times = [0, 500, 501, 1200, 1201, 1202]
    clip = make_clip(tmp_path / "in.webm", pts=times, time_base=Fraction(1, 1000), codec="libvpx-vp9")
    run(negative, clip, tmp_path / "out.gif")
    pixels = look(tmp_path / "out.gif").pixels
    shown = [round((float(one[-8:, :, 2].mean()) - 40) / 5) for one in pixels]
    assert shown == [0, 1, 2, 3, 5]  # no time is left for 4, but the last one is kept
    assert sum(delays(tmp_path / "out.gif")[:3]) == pytest.approx(1200, abs=20)


# --- sound ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "codec", "target", "expected"),
    [
        ("in.mov", "pcm_s16le", "out.mp4", "aac"),
        ("in.avi", "pcm_s16le", "out.mp4", "aac"),
        ("in.mkv", "mp2", "out.webm", "opus"),
        ("in.mkv", "flac", "out.webm", "opus"),
        ("in.mp4", "aac", "out.webm", "opus"),
        ("in.avi", "adpcm_ms", "out.mov", "aac"),
    ],
)
def test_sound_that_the_container_does_not_take_is_converted_in_step(
    negative: Stylizer,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    source: str,
    codec: str,
    target: str,
    expected: str,
) -> None:
    clip = film(tmp_path / source, sound=codec)
    run(negative, clip, tmp_path / target)
    after = look(tmp_path / target)
    assert after.kinds[1:] == [f"audio/{expected}"]
    moments = [moment - after.seconds[0] for moment in heard(tmp_path / target)]
    assert moments == pytest.approx([0.4, 1.2], abs=0.01)
    kind = target.split(".")[1]
    assert caplog.messages == [
        f"{tmp_path / target}: the audio stream 1 ({codec}) becomes {expected}: {kind} does not take it"
    ]


def test_converted_sound_stays_in_step_over_a_gap(negative: Stylizer, tmp_path: Path) -> None:
    clip = film(tmp_path / "in.mkv", sound="pcm_s16le", without=(0.6, 1.0))
    run(negative, clip, tmp_path / "out.mp4")
    assert heard(tmp_path / "out.mp4") == pytest.approx([0.4, 1.2], abs=0.03)
    run(negative, clip, tmp_path / "out.mp4", start=0.2, end=1.5)
    assert heard(tmp_path / "out.mp4") == pytest.approx([0.2, 1.0], abs=0.03)


@pytest.mark.parametrize(("target", "kind"), [("out.mov", "pcm_s16le"), ("out.mkv", "pcm_s16le")])
def test_sound_that_the_container_takes_is_not_touched(
    negative: Stylizer, tmp_path: Path, target: str, kind: str
) -> None:
    clip = film(tmp_path / "in.avi", sound="pcm_s16le")
    run(negative, clip, tmp_path / target)
    assert look(tmp_path / target).kinds[1:] == [f"audio/{kind}"]


# --- captions, 360 degrees, interlaced ------------------------------------------------------------------


def with_captions(path: Path) -> Path:
    """H.264 with CEA-708 captions in every frame's SEI (ATSC A/53), which no muxer knows of."""
    with av.open(str(path), "w") as output:
        video = output.add_stream("libx264", rate=25, options={"bf": "0", "preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for index in range(11):
            frame = None
            if index < 10:
                frame = av.VideoFrame.from_ndarray(numbered(index), format="rgb24")
                frame.pts, frame.time_base = index, Fraction(1, 25)
            for packet in video.encode(frame):
                letters = bytes((0xFC, 0x80 | (65 + index), 0x80))
                user_data = b"\xb5\x00\x31GA94\x03\x41\xff" + letters + b"\xff"
                sei = b"\0\0\0\1\x06\x04" + bytes((len(user_data),)) + user_data + b"\x80"
                data = bytes(packet)
                starts = [found.start() for found in re.finditer(b"\0\0\1", data)]
                slice_at = next(at for at in starts if data[at + 3] & 31 in (1, 5))
                new = av.Packet(data[:slice_at] + sei[1:] + data[slice_at:])
                new.pts, new.dts, new.time_base = packet.pts, packet.dts, packet.time_base
                new.stream, new.is_keyframe = video, packet.is_keyframe
                output.mux(new)
    return path


def captions(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(frame.side_data.get("A53_CC") or b"") for frame in container.decode(video=0)]


def test_captions_in_the_pictures_are_kept_or_named(
    negative: Stylizer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clip = with_captions(tmp_path / "in.ts")
    assert all(captions(clip))
    for target in (tmp_path / "out.mp4", tmp_path / "out.mkv"):
        for size in (None, 32):
            run(negative, clip, target, size=size)
            assert captions(target) == captions(clip)
        assert numbers(target) == list(range(10))
    assert not caplog.messages
    run(negative, clip, tmp_path / "out.webm")
    assert caplog.messages == [f"{tmp_path / 'out.webm'}: closed captions are left out: vp9 carries none"]


SPHERICAL = b"""<?xml version="1.0"?><rdf:SphericalVideo xmlns:GSpherical="x">
<GSpherical:Spherical>true</GSpherical:Spherical><GSpherical:Stitched>true</GSpherical:Stitched>
<GSpherical:StitchingSoftware>any</GSpherical:StitchingSoftware>
<GSpherical:ProjectionType>equirectangular</GSpherical:ProjectionType></rdf:SphericalVideo>"""


def test_a_360_degree_video_that_becomes_flat_is_named(
    negative: Stylizer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = bytearray(make_clip(tmp_path / "in.mp4").read_bytes())
    box = b"uuid" + bytes.fromhex("ffcc8263f8554a938814587a02521fdd") + SPHERICAL
    box = (len(box) + 4).to_bytes(4, "big") + box
    for name in (b"trak", b"moov"):
        at = data.index(name) - 4
        size = int.from_bytes(data[at : at + 4], "big")
        if name == b"trak":
            data[at + size : at + size] = box
        data[at : at + 4] = (size + len(box)).to_bytes(4, "big")
    (tmp_path / "in.mp4").write_bytes(data)
    run(negative, tmp_path / "in.mp4", tmp_path / "out.mp4")
    assert caplog.messages == [
        f"{tmp_path / 'out.mp4'}: what makes it a 360-degree video is left out: players show it flat"
    ]


def test_a_stereo_video_that_becomes_flat_is_named(
    negative: Stylizer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clip = make_clip(tmp_path / "in.mp4", options={"x264-params": "frame-packing=3"})  # side by side
    run(negative, clip, tmp_path / "out.mp4")
    assert caplog.messages == [
        f"{tmp_path / 'out.mp4'}: what makes it a 3D video is left out: players show it flat"
    ]


def interlaced(path: Path, codec: str, order: str, options: dict[str, str]) -> Path:
    """A bar that moves from field to field."""
    with av.open(str(path), "w") as output:
        video = output.add_stream(codec, rate=25, options=options)
        video.width, video.height, video.pix_fmt, video.bit_rate = 128, 64, "yuv420p", 4_000_000
        graph = av.filter.Graph()
        kind = av.VideoFormat("rgb24")
        source = graph.add_buffer(width=128, height=64, format=kind, time_base=Fraction(1, 25))
        filters = [graph.add("format", "yuv420p"), graph.add("setfield", order), graph.add("buffersink")]
        graph.link_nodes(source, *filters).configure()
        for index in range(20):
            pixels = np.full((64, 128, 3), 30, np.uint8)
            for field in (0, 1):
                at = 4 * (2 * index + field) % 100
                pixels[field if order == "tff" else 1 - field :: 2, at : at + 16] = 220
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            graph.vpush(frame)
            output.mux(video.encode(graph.vpull()))
        output.mux(video.encode(None))
    return path


def combing(path: Path) -> float:
    """How much each row differs from its neighbours."""
    grays = [pixels[..., 1].astype(float) for pixels in look(path).pixels[2:-2]]
    return float(np.mean([np.abs(2 * gray[1:-1] - gray[:-2] - gray[2:]).mean() for gray in grays]))


@pytest.mark.parametrize(
    ("name", "codec", "order", "options"),
    [
        ("in.ts", "mpeg2video", "tff", {"flags": "+ildct+ilme"}),
        ("in.mp4", "libx264", "tff", {"x264-params": "interlaced=1", "crf": "5"}),
        ("in.mp4", "libx264", "bff", {"x264-params": "interlaced=1:bff=1", "crf": "5"}),
    ],
)
def test_interlaced_frames_are_made_whole_by_their_field_order(
    negative: Stylizer, tmp_path: Path, name: str, codec: str, order: str, options: dict[str, str]
) -> None:
    clip = interlaced(tmp_path / name, codec, order, options)
    report = run(negative, clip, tmp_path / "out.mp4", quality=100)
    after = look(tmp_path / "out.mp4")
    assert (report.frames, len(after.pixels), report.problem) == (20, 20, None)
    assert after.seconds == pytest.approx([0.04 * index for index in range(20)])
    assert float(after.durations[-1] * after.time_base) == pytest.approx(0.04)
    assert combing(tmp_path / "out.mp4") < 1 < 20 < combing(clip)
    run(negative, clip, tmp_path / "out.mp4", quality=100, deinterlace="off")
    assert combing(tmp_path / "out.mp4") > 20


# --- limits of encoders --------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["out.webm", "out.mp4"])
@pytest.mark.parametrize("codec", ["vp9", "av1"])
def test_more_frames_a_second_than_an_encoder_takes_keep_their_times(
    negative: Stylizer, tmp_path: Path, target: str, codec: str
) -> None:
    times = [n * 25 for n in range(24)]  # 480 a second
    clip = make_clip(tmp_path / "in.mp4", pts=times, time_base=Fraction(1, 12000), options={"bf": "0"})
    run(negative, clip, tmp_path / target, codec=codec)
    after = look(tmp_path / target)
    assert after.seconds == pytest.approx([n / 480 for n in range(24)], abs=0.0006)


def test_a_size_that_an_encoder_does_not_take_is_named_with_all_it_was_asked(
    negative: Stylizer, tmp_path: Path
) -> None:
    clip = make_clip(tmp_path / "in.mkv", 2, (20, 16400), codec="ffv1", format="bgr0")
    with pytest.raises(UnsuitableFormat, match=r"av1 does not take 16400x20 pixels at 25 frames per second"):
        run(negative, clip, tmp_path / "out.webm", codec="av1")


def test_a_slower_preset_finds_a_smaller_file(negative: Stylizer, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mp4", 30, (96, 128))
    sizes = []
    for preset in ("ultrafast", "slow"):
        run(negative, clip, tmp_path / "out.mp4", preset=preset)
        sizes.append((tmp_path / "out.mp4").stat().st_size)
    assert sizes[1] < sizes[0]


# --- transparency --------------------------------------------------------------------------------

SIDES = np.zeros((64, 64, 4), np.uint8)  # nothing is seen of the left half, which is blue beneath
SIDES[:, :32] = (0, 0, 255, 0)
SIDES[:, 32:] = (255, 0, 0, 255)


def transparent(path: Path, codec: str, kind: str) -> Path:
    with av.open(str(path), "w") as output:
        options = {"auto-alt-ref": "0"} if codec.startswith("libvpx") else {}
        video = output.add_stream(codec, rate=10, options=options)
        video.width, video.height, video.pix_fmt, video.bit_rate = 64, 64, kind, 2_000_000
        for index in range(4):
            frame = av.VideoFrame.from_ndarray(SIDES, format="rgba").reformat(format=kind)
            frame.pts, frame.time_base = index, Fraction(1, 10)
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
    return path


def with_alpha(path: Path) -> np.ndarray:
    """The first frame, RGBA, as a player that knows of transparency shows it."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        decoder: Any = stream.codec_context
        if stream.metadata.get("alpha_mode") == "1":
            decoder = av.CodecContext.create("libvpx-vp9", "r")
        for packet in container.demux(stream):
            for frame in decoder.decode(packet if packet.size else None):
                return np.asarray(frame.reformat(format="rgba").to_ndarray())
    raise AssertionError("no frame")


TRANSPARENT = [
    ("in.webm", "libvpx-vp9", "yuva420p"),
    ("in.webm", "libvpx", "yuva420p"),
    ("in.mov", "prores_ks", "yuva444p10le"),
    ("in.mov", "qtrle", "argb"),
]


@pytest.mark.parametrize(("name", "codec", "kind"), TRANSPARENT)
def test_what_is_transparent_lies_over_a_color_or_is_kept(
    negative: Stylizer, tmp_path: Path, name: str, codec: str, kind: str
) -> None:
    clip = transparent(tmp_path / name, codec, kind)
    for alpha, color in (("white", (255, 255, 255)), ("#204060", (0x20, 0x40, 0x60)), ("lime", (0, 255, 0))):
        run(negative, clip, tmp_path / "out.mp4", alpha=alpha)
        pixels = look(tmp_path / "out.mp4").pixels
        assert len(pixels) == 4
        assert np.abs(pixels[0][32, 8].astype(int) - color).max() < 8
        assert np.abs(pixels[0][32, 56].astype(int) - (255, 0, 0)).max() < 8
    for target in ("out.webm", "out.mov", "out.mkv", "out.gif"):
        run(negative, clip, tmp_path / target, alpha="keep")
        seen = with_alpha(tmp_path / target)
        assert (seen[32, 8, 3], seen[32, 56, 3]) == (0, 255)
        assert np.abs(seen[32, 56, :3].astype(int) - (255, 0, 0)).max() < 8
        if target != "out.gif":  # no blue fringe: what is seen goes on beneath
            assert seen[32, 28, 2] < 30


def test_transparency_that_cannot_be_kept_is_refused_by_name(negative: Stylizer, tmp_path: Path) -> None:
    clip = transparent(tmp_path / "in.mov", "qtrle", "argb")
    for target, options in (("out.mp4", {}), ("out.mkv", {"codec": "h264"})):
        with pytest.raises(UnsuitableFormat, match=r"--alpha keep: .*; write mov, webm or gif"):
            run(negative, clip, tmp_path / target, alpha="keep", **options)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mov"]
    opaque = make_clip(tmp_path / "in.mp4", 3)
    assert run(negative, opaque, tmp_path / "out.mp4", alpha="keep").frames == 3


def test_frames_keep_their_transparency_both_ways(negative: Stylizer, tmp_path: Path) -> None:
    clip = transparent(tmp_path / "in.mov", "qtrle", "argb")
    run(negative, clip, tmp_path / "frames", alpha="keep")
    frames = sorted((tmp_path / "frames").iterdir())
    with Image.open(frames[0]) as image:
        assert (image.mode, image.getpixel((8, 32))[3], image.getpixel((56, 32))[3]) == ("RGBA", 0, 255)
    options = VideoOptions(strength=0.0, fps=10, alpha="keep")
    stylize_video(negative, frames, tmp_path / "back.webm", options)
    assert with_alpha(tmp_path / "back.webm")[32, [8, 56], 3].tolist() == [0, 255]
    with pytest.raises(UnsuitableFormat, match="JPEG carries no transparency"):
        run(negative, clip, tmp_path / "more", alpha="keep", format="jpg")


# --- HDR -----------------------------------------------------------------------------------------

PQ, HLG = 16, 18
CODES = {  # of 1, 100, 203, 1000 and 10000 cd/m²; of 10, 50, 75 and 100 % of the signal
    PQ: (0.150, 0.508, 0.581, 0.752, 1.0),
    HLG: (0.1, 0.5, 0.75, 1.0),
}


def hdr(path: Path, transfer: int) -> Path:
    """Gray patches of 64 pixels each; FFV1, since not every libav has an encoder for HEVC."""
    codes = CODES[transfer]
    with av.open(str(path), "w") as output:
        video = output.add_stream("ffv1", rate=25)
        video.width, video.height, video.pix_fmt = 64 * len(codes), 64, "yuv444p10le"
        context = video.codec_context
        tags = (9, 1, 9, transfer)
        context.colorspace, context.color_range, context.color_primaries, context.color_trc = tags
        luma = np.repeat([round(64 + 876 * code) for code in codes], 64).astype(np.uint16)
        for index in range(3):
            frame = av.VideoFrame(video.width, video.height, "yuv444p10le")
            gray = np.full_like(luma, 512)
            for plane, row in zip(frame.planes, (luma, gray, gray), strict=True):
                padded = np.pad(np.tile(row, (64, 1)), ((0, 0), (0, plane.line_size // 2 - row.size)))
                plane.update(np.ascontiguousarray(padded).tobytes())
            frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc = tags
            frame.pts, frame.time_base = index, Fraction(1, 25)
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
    return path


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_hdr_becomes_sdr_and_says_so(
    negative: Stylizer, tmp_path: Path, caplog: pytest.LogCaptureFixture, transfer: int
) -> None:
    clip = hdr(tmp_path / "in.mkv", transfer)
    run(negative, clip, tmp_path / "out.mp4")
    after = look(tmp_path / "out.mp4")
    assert after.tags == (1, 1, 1, 1)
    grays = [int(after.pixels[0][32, 32 + 64 * index, 1]) for index in range(len(CODES[transfer]))]
    assert grays == sorted(set(grays))  # highlights keep their steps
    assert grays[0] < 40
    assert 140 < grays[2] < 200  # reference white: 175 by ITU-R BT.2446, method A, for 1000 cd/m²
    assert grays[-1] >= 250
    for patch in after.pixels[0][32, 32::64].astype(int):
        assert np.ptp(patch) <= 3  # gray stays gray
    assert caplog.messages == [f"{tmp_path / 'out.mp4'}: HDR is tone-mapped to SDR (--hdr keep leaves it)"]


@pytest.mark.parametrize("transfer", [PQ, HLG])
@pytest.mark.parametrize("target", ["out.mp4", "out.mkv", "out.webm"])
def test_hdr_is_kept_in_ten_bits_with_its_tags(
    negative: Stylizer, tmp_path: Path, target: str, transfer: int
) -> None:
    clip = hdr(tmp_path / "in.mkv", transfer)
    run(negative, clip, tmp_path / target, hdr="keep")
    with av.open(str(tmp_path / target)) as container:
        frame = next(container.decode(video=0))
        tags = (frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc)
        assert (tags, frame.format.name) == ((9, 1, 9, transfer), "yuv420p10le")
        luma = frame.to_ndarray()[32, 32 : frame.width : 64]
    assert luma == pytest.approx([64 + 876 * code for code in CODES[transfer]], abs=4)


@pytest.mark.parametrize(
    ("target", "options"), [("out.gif", {}), ("out.mp4", {"codec": "h264"}), ("out", {})]
)
def test_hdr_that_cannot_be_kept_is_refused_by_name(
    negative: Stylizer, tmp_path: Path, target: str, options: dict[str, str]
) -> None:
    clip = hdr(tmp_path / "in.mkv", PQ)
    with pytest.raises(UserError, match=r"--hdr keep: "):
        run(negative, clip, tmp_path / target, hdr="keep", **options)
    assert not (tmp_path / target).exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": "nocolor"}, "--alpha must be keep, white or a color"),
        ({"hdr": "off"}, "--hdr must be tonemap or keep"),
        ({"deinterlace": "on"}, "--deinterlace must be auto or off"),
        ({"preset": "quick"}, "--preset must be one of ultrafast"),
    ],
)
def test_a_wrong_option_names_its_flag(options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        VideoOptions(**options)
