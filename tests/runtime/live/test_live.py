"""A video file as the camera: what is sent, at which size the network works."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from generated_clips import corners, make_clip

from fast_nst.errors import UserError
from fast_nst.runtime.live.camera import Camera
from fast_nst.runtime.live.run import run_live
from fast_nst.runtime.stylizer import Stylizer

SIZE = (360, 640)  # height, width


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three frames, without loss."""
    path = tmp_path_factory.mktemp("live") / "clip.mkv"
    make_clip(path, 3, SIZE, codec="ffv1", format="bgr0")
    return path


class Watched:
    """The negative of a picture; notes the size of each."""

    def __init__(self, model: Path) -> None:
        self._stylizer = Stylizer(model, threads=1)
        self.sides: list[int] = []

    def __call__(self, image: np.ndarray, *, strength: float) -> np.ndarray:
        self.sides.append(max(image.shape))
        return self._stylizer(image, strength=strength)


def enough(sent: list[np.ndarray], count: int) -> Callable[[], bool]:
    """Whether as many were sent; or in a minute nothing will come any more."""
    end = time.monotonic() + 60
    return lambda: len(sent) >= count or time.monotonic() > end


@pytest.mark.parametrize(("side", "worst"), [(640, 0), (2000, 0), (320, 2)])
def test_frames_are_painted_at_the_size_asked_for_and_sent_at_the_camera_s(
    clip: Path, tiny_model: Path, side: int, worst: int
) -> None:
    painter, sent = Watched(tiny_model), []
    with Camera(str(clip)) as camera:
        assert (camera.size, camera.rate) == ((640, 360), 25)
        run_live(painter, camera, sent.append, side=side, stop=enough(sent, 7))
    assert len(sent) == 7
    assert set(painter.sides) == {min(side, 640)}
    flat = slice(20, 160), slice(20, 300)  # of one color, which tells the frame's number
    colors = [255 - corners(*SIZE, index)[flat][0, 0].astype(int) for index in range(3)]
    off = np.array([[np.abs(frame[flat] - color).max() for color in colors] for frame in sent])
    assert off.min(axis=1).max() <= worst
    assert len(set(off.argmin(axis=1))) > 1  # it goes on, and begins again
    assert {frame.shape for frame in sent} == {(*SIZE, 3)}


def test_strength_mixes_the_camera_s_picture_in(clip: Path, tiny_model: Path) -> None:
    painter, sent = Stylizer(tiny_model, threads=1), []
    with Camera(str(clip)) as camera:
        run_live(painter, camera, sent.append, side=640, strength=0.0, stop=enough(sent, 1))
    assert any(np.array_equal(sent[0], corners(*SIZE, index)) for index in range(3))


def test_the_size_follows_the_time_that_frames_take(clip: Path, tiny_model: Path) -> None:
    """The time is told by a clock of ours: a second a frame, and later none."""
    painter, sent, slow = Watched(tiny_model), [], 20
    ticks = count()

    def clock() -> float:
        """It is asked before and after each frame."""
        tick = next(ticks)
        return float(min((tick + 1) // 2, slow))

    with Camera(str(clip)) as camera:
        run_live(painter, camera, sent.append, stop=enough(sent, slow + 35), clock=clock)
    assert painter.sides[0] == 384
    assert painter.sides[slow] == 256
    assert painter.sides[-1] > 256
    assert {frame.shape for frame in sent} == {(*SIZE, 3)}


def test_a_clip_turned_by_its_phone_is_upright(tmp_path: Path, tiny_model: Path) -> None:
    path = tmp_path / "turned.mp4"
    make_clip(path, 3, (48, 64), rotation=90)
    with Camera(str(path)) as camera:
        frame = camera.take(60)
        assert frame is not None
        assert camera.size == (48, 64)
        assert camera.pixels(frame, 32).shape == (32, 24, 3)


def test_a_file_that_is_no_video_is_said(tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("notes")
    with pytest.raises(UserError, match="not a video"):
        Camera(str(tmp_path / "notes.mp4"))
