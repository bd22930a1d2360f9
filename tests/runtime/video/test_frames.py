"""What a frame's values mean."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from generated_clips import look, make_clip
from made_pictures import saved
from PIL import Image

from fast_nst import Stylizer
from fast_nst.pictures import decode_picture
from fast_nst.runtime.video.stylize import VideoOptions, stylize_video

PQ, HLG = 16, 18


def one_color(path: Path, pixels: np.ndarray, format: str, tags: tuple[int, int, int, int]) -> Path:
    """Two frames of those pixels in FFV1."""
    with av.open(str(path), "w") as output:
        video = output.add_stream("ffv1", rate=25)
        video.height, video.width, video.pix_fmt = *pixels.shape[:2], format
        context = video.codec_context
        context.colorspace, context.color_range, context.color_primaries, context.color_trc = tags
        for index in range(2):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame = frame.reformat(format=format, dst_colorspace=tags[0] or None, dst_color_range=tags[1])
            frame.pts, frame.time_base = index, Fraction(1, 25)
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
    return path


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


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ((1, 1, 1, 1), (200, 60, 60)),
        ((9, 1, 9, 14), (247, 0, 53)),
        ((1, 1, 12, 1), (217, 42, 52)),
        ((1, 1, 1, 8), (229, 133, 133)),
    ],
)
@pytest.mark.parametrize("format", ["yuv444p10le", "yuva444p10le", "gbrp10le"])
def test_frames_and_gifs_have_the_colors_of_srgb(
    tiny_model: Path,
    tmp_path: Path,
    tags: tuple[int, int, int, int],
    expected: tuple[int, int, int],
    format: str,
) -> None:
    color = np.full((48, 64, 3), (200, 60, 60), np.uint8)
    stored = tags if format != "gbrp10le" else (0, 2, *tags[2:])
    clip = one_color(tmp_path / "in.mkv", color, format, stored)
    stylizer = Stylizer(tiny_model, threads=1)
    stylize_video(stylizer, clip, tmp_path / "frames", VideoOptions(strength=0.0))
    pixels = decode_picture(tmp_path / "frames" / "000001.png").pixels
    assert np.abs(pixels.astype(int) - expected).max() <= 4
    stylize_video(stylizer, clip, tmp_path / "out.gif", VideoOptions(strength=0.0))
    assert np.abs(look(tmp_path / "out.gif").pixels[0].astype(int) - expected).max() <= 6
    stylize_video(stylizer, clip, tmp_path / "out.mp4", VideoOptions(strength=0.0))  # has tags for them
    assert np.abs(look(tmp_path / "out.mp4").pixels[0].astype(int) - color).max() <= 4
    assert look(tmp_path / "out.mp4").tags[2:] == tags[2:]


@pytest.mark.parametrize("suffix", [".mov", ".avi"])
def test_a_palette_can_be_transparent(tiny_model: Path, tmp_path: Path, suffix: str) -> None:
    sides = Image.fromarray(np.repeat([[0, 1]], [32, 32], axis=1).repeat(64, axis=0).astype(np.uint8), "P")
    sides.putpalette([0, 0, 255, 255, 0, 0])
    for name, opacities, expected in (("in", [0, 255], (255, 255, 255)), ("opaque", [255, 255], (0, 0, 255))):
        clip = tmp_path / f"{name}{suffix}"
        with av.open(str(clip), "w") as output:
            video = output.add_mux_stream("png", rate=25, width=64, height=64)
            video.time_base = Fraction(1, 25)
            for index in range(3):
                packet = av.Packet(saved(sides, transparency=bytes(opacities)))
                packet.stream, packet.time_base, packet.pts, packet.dts = video, Fraction(1, 25), index, index
                packet.is_keyframe = True
                output.mux(packet)
        stylizer = Stylizer(tiny_model, threads=1)
        stylize_video(stylizer, clip, tmp_path / "out.mp4", VideoOptions(strength=0.0))
        pixels = look(tmp_path / "out.mp4").pixels[0].astype(int)
        assert np.abs(pixels[32, 8] - expected).max() < 8
        assert np.abs(pixels[32, 56] - (255, 0, 0)).max() < 8
        stylize_video(stylizer, clip, tmp_path / "out.mov", VideoOptions(strength=0.0, alpha="keep"))
        kept = "video/prores" if name == "in" else "video/h264"
        assert look(tmp_path / "out.mov").kinds == [kept]
