"""Animated WebP, PNG and AVIF pictures stay animated, or become videos."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, features

from fast_nst.errors import UserError
from fast_nst.pictures import decode_picture
from fast_nst.runtime.batch.options import Report, StylizeOptions
from fast_nst.runtime.batch.stylize import stylize_files
from fast_nst.runtime.video.animation import Animation, is_animated

AVIF = pytest.param("avif", marks=pytest.mark.skipif(not features.check("avif"), reason="no AVIF"))
SUFFIXES = ["webp", "png", AVIF]
DELAYS = [40, 80, 120, 200, 500]  # ms
LEVELS = [20, 60, 110, 170, 230]  # gray of each frame


def frames(alpha: bool = False) -> list[Image.Image]:
    made = []
    for index, level in enumerate(LEVELS):
        pixels = np.full((40, 48, 4), level, np.uint8)
        pixels[..., 3] = 255
        if alpha:
            pixels[8:20, 4 + index : 30 + index, 3] = 0
        made.append(Image.fromarray(pixels if alpha else pixels[..., :3]))
    return made


def animation(path: Path, alpha: bool = False, delays: list[int] = DELAYS, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    first, *rest = frames(alpha)
    if path.suffix == ".webp":
        options["lossless"] = True
    if path.suffix != ".avif":
        options.setdefault("loop", 3)
    first.save(path, save_all=True, append_images=rest, duration=delays, **options)
    return path


def stylize(source: Path, model: Path, output: Path, **options: object) -> Report:
    return stylize_files([str(source)], StylizeOptions(model=str(model), output=output, threads=1, **options))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_frames_times_and_repeats_are_those_of_the_source(
    tmp_path: Path, tiny_model: Path, suffix: str
) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    source = animation(tmp_path / f"in/a.{suffix}", exif=exif)
    report = stylize(source.parent, tiny_model, tmp_path / "out")
    assert report.written == [tmp_path / "out" / f"a.{suffix}"]
    assert is_animated(report.written[0])
    result = Animation(report.written[0])
    shown = list(result)
    assert [frame.milliseconds for frame in shown] == DELAYS
    assert [255 - int(frame.pixels[20, 20, 0]) for frame in shown] == pytest.approx(LEVELS, abs=3)
    assert result.loop == (0 if suffix == "avif" else 3)
    with Image.open(report.written[0]) as image:
        image.load()
        assert image.getexif()[0x010F] == "Camera"
        assert image.info["icc_profile"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_size_and_alpha_count_for_every_frame(tmp_path: Path, tiny_model: Path, suffix: str) -> None:
    source = animation(tmp_path / f"a.{suffix}", alpha=True)
    [kept] = stylize(source, tiny_model, tmp_path / "keep", alpha="keep").written
    for before, after in zip(
        Animation(source, alpha="keep"), Animation(Path(kept), alpha="keep"), strict=True
    ):
        assert before.opacity is not None
        assert after.opacity is not None
        assert np.abs(before.opacity.astype(int) - after.opacity).max() <= 6
    [small] = stylize(source, tiny_model, tmp_path / "small", size=24).written
    for frame in Animation(Path(small), alpha="keep"):
        assert frame.pixels.shape == (20, 24, 3)
        assert frame.opacity is None


def test_one_format_becomes_another(tmp_path: Path, tiny_model: Path) -> None:
    source = animation(tmp_path / "a.webp")
    [made] = stylize(source, tiny_model, tmp_path / "out", format="png").written
    assert [frame.milliseconds for frame in Animation(Path(made))] == DELAYS


@pytest.mark.parametrize(("loop", "plays"), [(None, 1), (0, 0), (2, 3)])
def test_a_gif_becomes_an_animated_picture_where_the_output_is_one(
    tmp_path: Path, tiny_model: Path, loop: int | None, plays: int
) -> None:
    first, *rest = frames()
    more = {} if loop is None else {"loop": loop}
    first.save(tmp_path / "a.gif", save_all=True, append_images=rest, duration=DELAYS, **more)
    stylize(tmp_path / "a.gif", tiny_model, tmp_path / "a.webp")
    made = Animation(tmp_path / "a.webp")
    assert [frame.milliseconds for frame in made] == DELAYS
    assert made.loop == plays


def test_a_format_that_cannot_move_gets_the_first_frame_and_that_is_said(
    tmp_path: Path, tiny_model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = animation(tmp_path / "a.webp")
    [made] = stylize(source, tiny_model, tmp_path / "a.jpg").written
    assert decode_picture(made).pixels[0, 0, 0] == pytest.approx(235, abs=2)
    assert "only the first of the 5 frames" in caplog.text


def test_the_picture_for_old_viewers_is_not_of_the_animation(tmp_path: Path, tiny_model: Path) -> None:
    source = animation(tmp_path / "a.png", default_image=True, delays=DELAYS[1:])
    [made] = stylize(source, tiny_model, tmp_path / "out").written
    assert [frame.milliseconds for frame in Animation(Path(made))] == DELAYS[1:]


def test_a_damaged_animation_is_skipped_and_named(tmp_path: Path, tiny_model: Path) -> None:
    buffer = io.BytesIO()
    noise = [
        Image.fromarray(np.random.default_rng(seed).integers(0, 256, (40, 48, 3), np.uint8))
        for seed in range(4)
    ]
    noise[0].save(buffer, "PNG", save_all=True, append_images=noise[1:], duration=100)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(buffer.getvalue()[:-6000])
    animation(tmp_path / "in" / "b.png")
    report = stylize(tmp_path / "in", tiny_model, tmp_path / "out")
    assert [path.name for path, _ in report.skipped] == ["a.png"]
    assert [path.name for path in report.written] == ["b.png"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.png"]


# --- to a video ----------------------------------------------------------------------------------


def shown(path: Path) -> list[tuple[float, int]]:
    """Time in seconds and gray of each frame of a video."""
    with av.open(path) as container:
        decoded = list(container.decode(video=0))
        return [(frame.time or 0.0, int(frame.to_ndarray(format="rgb24")[20, 20, 0])) for frame in decoded]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_video_of_it_has_its_times(tmp_path: Path, tiny_model: Path, suffix: str) -> None:
    source = animation(tmp_path / f"a.{suffix}")
    stylize(source, tiny_model, tmp_path / "a.mp4")
    times, levels = zip(*shown(tmp_path / "a.mp4"), strict=True)
    assert list(times) == pytest.approx([0, 0.04, 0.12, 0.24, 0.44], abs=0.001)
    assert [255 - level for level in levels] == pytest.approx(LEVELS, abs=5)
    with av.open(tmp_path / "a.mp4") as container:
        assert container.duration == pytest.approx(940_000, abs=2000)


def test_delays_that_viewers_do_not_believe_are_a_tenth_of_a_second(tmp_path: Path, tiny_model: Path) -> None:
    source = animation(tmp_path / "a.webp", delays=[0, 10, 11, 100, 100])
    stylize(source, tiny_model, tmp_path / "a.mp4")
    assert [time for time, _ in shown(tmp_path / "a.mp4")] == pytest.approx(
        [0, 0.1, 0.2, 0.211, 0.311], abs=0.001
    )


def test_parts_and_rates_of_a_video_count(tmp_path: Path, tiny_model: Path) -> None:
    source = animation(tmp_path / "a.png")
    stylize(source, tiny_model, tmp_path / "part.mp4", start=0.1, end=0.4)
    assert [time for time, _ in shown(tmp_path / "part.mp4")] == pytest.approx([0, 0.12], abs=0.001)
    stylize(source, tiny_model, tmp_path / "rate.mp4", fps=10)
    with av.open(tmp_path / "rate.mp4") as container:
        assert container.streams.video[0].average_rate == Fraction(10)
    assert len(shown(tmp_path / "rate.mp4")) == 5
    with pytest.raises(UserError, match="--end"):
        stylize(source, tiny_model, tmp_path / "none.mp4", start=5)


def test_alpha_goes_into_a_video_that_carries_it(tmp_path: Path, tiny_model: Path) -> None:
    source = animation(tmp_path / "a.png", alpha=True)
    stylize(source, tiny_model, tmp_path / "a.webm", alpha="keep")
    with av.open(tmp_path / "a.webm") as container:
        assert container.streams.video[0].metadata.get("alpha_mode") == "1"
    stylize(source, tiny_model, tmp_path / "a.mp4", alpha="#204060")
    with av.open(tmp_path / "a.mp4") as container:
        first = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert first[14, 15].tolist() == pytest.approx([255 - 32, 255 - 64, 255 - 96], abs=6)
