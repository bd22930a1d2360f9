"""Less flicker, no ghosts."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("cv2", reason="OpenCV is an extra")

from fast_nst.runtime.video.smooth import Smoother


def film(count: int = 8, speed: int = 2, height: int = 80, width: int = 120) -> list[np.ndarray]:
    """A structured picture that moves sideways, uint8 [H, W, 3]."""
    rows, columns = np.mgrid[:height, : width + count * speed]
    gray = 128 + 60 * np.sin(columns / 5.0) * np.cos(rows / 7.0) + 40 * np.sin((rows + 2 * columns) / 11.0)
    wide = np.repeat(gray[..., None], 3, axis=2).clip(0, 255).astype(np.uint8)
    return [wide[:, index * speed : index * speed + width] for index in range(count)]


def flickering(frames: list[np.ndarray]) -> list[np.ndarray]:
    """The negatives, each with noise of its own."""
    random = np.random.default_rng(0)
    noisy = [255 - frame + random.normal(0, 20, frame.shape) for frame in frames]
    return [frame.clip(0, 255).astype(np.uint8) for frame in noisy]


def error(result: np.ndarray, clean: np.ndarray) -> float:
    return float(np.abs(result[:, 20:-20].astype(float) - clean[:, 20:-20]).mean())


@pytest.mark.parametrize("speed", [0, 2, 5])
def test_noise_is_averaged_along_the_motion(speed: int) -> None:
    frames = film(speed=speed)
    smooth = Smoother()
    results = [smooth(*pair) for pair in zip(frames, flickering(frames), strict=True)]
    before = error(flickering(frames)[-1], 255 - frames[-1])
    assert error(results[-1], 255 - frames[-1]) < 0.65 * before
    assert results[-1].dtype == np.uint8


def test_nothing_is_taken_over_a_cut() -> None:
    frames = film(4)
    other = np.random.default_rng(1).integers(0, 256, frames[0].shape, np.uint8)
    smooth = Smoother()
    for frame in frames:
        smooth(frame, frame)
    assert np.array_equal(smooth(other, 255 - other), 255 - other)


def test_nothing_stays_where_a_thing_was() -> None:
    """The square leaves the dark ground it stood on: a ghost of it would be bright."""
    frames = []
    for left in (10, 40, 70):
        frame = film(1, 0)[0] // 4
        frame[30:50, left : left + 20] = 250
        frames.append(frame)
    smooth = Smoother()
    results = [smooth(frame, frame) for frame in frames]
    assert np.abs(results[1][32:48, 12:28].astype(int) - frames[1][32:48, 12:28]).max() < 30


@pytest.mark.parametrize("size", [(1, 1), (8, 40), (12, 12), (16, 500), (3, 4000)])
def test_small_and_thin_frames_do_not_crash(size: tuple[int, int]) -> None:
    """OpenCV's optical flow kills the process on sides below 16."""
    smooth = Smoother()
    frame = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    for _ in range(3):
        assert smooth(frame, frame).shape == frame.shape
