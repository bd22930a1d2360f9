"""What is particular to GIF."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from generated_clips import corners, look, make_clip
from PIL import Image

from fast_nst import Stylizer
from fast_nst.runtime.video.gif import Delays, Shown
from fast_nst.runtime.video.stylize import VideoOptions, stylize_video

BLACK = np.zeros((4, 4, 3), np.uint8)


@pytest.mark.parametrize("suffix", [".webp", ".png"])
@pytest.mark.parametrize(("plays", "again"), [(0, 0), (1, None), (3, 2)])
def test_an_animated_picture_is_played_as_often_as_a_gif(
    tiny_model: Path, tmp_path: Path, suffix: str, plays: int, again: int | None
) -> None:
    frames = [Image.fromarray(corners(48, 64, 8 * index)) for index in range(3)]
    more = {"save_all": True, "append_images": frames[1:], "duration": 100, "loop": plays}
    frames[0].save(tmp_path / f"in{suffix}", **more)
    stylizer = Stylizer(tiny_model, threads=1)
    stylize_video(stylizer, tmp_path / f"in{suffix}", tmp_path / "out.gif", VideoOptions(strength=0.0))
    with Image.open(tmp_path / "out.gif") as image:
        assert (image.n_frames, image.info.get("loop")) == (3, again)


def test_a_frame_longer_than_a_delay_can_be_is_shown_again(tiny_model: Path, tmp_path: Path) -> None:
    times = [0, 40, 1_500_000, 1_500_040]
    clip = make_clip(tmp_path / "in.mkv", pts=times, time_base=Fraction(1, 1000))
    stylize_video(Stylizer(tiny_model, threads=1), clip, tmp_path / "out.gif", VideoOptions(strength=0.0))
    seen = look(tmp_path / "out.gif")
    assert [seen.seconds[0], seen.seconds[1], *seen.seconds[-2:]] == [0, 0.04, 1500, 1500.04]
    assert max(np.diff(seen.seconds)) < 655.36
    assert sum(round(second, 2) > 0.04 for second in seen.seconds) == 4


@pytest.mark.parametrize("length", [65_535, 65_536, 65_537, 200_000])
def test_delays_fit_into_sixteen_bits_and_are_none_that_viewers_lengthen(length: int) -> None:
    delays = Delays()
    shown = [*delays.add(Shown(0, length, BLACK)), *delays.add(Shown(length, 10, BLACK)), *delays.end()]
    assert sum(one.duration for one in shown) == length + 10
    assert all(2 <= one.duration <= 65_535 for one in shown)
    assert [one.pts for one in shown] == [0, *np.cumsum([one.duration for one in shown])[:-1]]
