"""Stability: networks that stand still, that alias, that see noise, and that stick to the screen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from flow_files import sequence, write_flow, write_picture

from fast_nst.errors import UserError
from fast_nst.evaluation.flow import find_sequences
from fast_nst.evaluation.quality import builtin_pictures
from fast_nst.evaluation.stability import NOISE, stability, warped_error
from fast_nst.pictures import decode_picture


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return builtin_pictures()[0]


def negative(pixels: np.ndarray) -> np.ndarray:
    return 255 - pixels


def blocks(pixels: np.ndarray) -> np.ndarray:
    """Every 4x4 pixels become one color, as in a network that looks at every fourth pixel."""
    return pixels[::4, ::4].repeat(4, 0).repeat(4, 1)[: pixels.shape[0], : pixels.shape[1]]


def test_what_looks_at_pixels_one_by_one_moves_with_the_picture(picture: np.ndarray) -> None:
    found = stability(negative, [picture])
    assert found.shift == {1: 0, 2: 0, 4: 0}
    assert found.noise == pytest.approx(NOISE / 255, rel=0.05)
    assert found.brightness == pytest.approx(stability(np.copy, [picture]).brightness)


def test_aliasing_shows_at_one_pixel_and_not_at_the_stride(picture: np.ndarray) -> None:
    found = stability(blocks, [picture])
    assert found.shift[4] == 0
    assert found.shift[1] > 0.02
    assert found.shift[2] > found.shift[1]


def test_exact_normalization_is_blind_to_brightness(picture: np.ndarray) -> None:
    def normalized(pixels: np.ndarray) -> np.ndarray:
        return (127 + 30 * (pixels - pixels.mean()) / pixels.std()).clip(0, 255).round().astype(np.uint8)

    found = stability(normalized, [picture])
    assert found.brightness < 0.002
    assert found.noise > 0.002


def test_every_direction_and_picture_counts(picture: np.ndarray) -> None:
    """Columns alone are stuck to the screen here: a third of the shifts, those straight down, are exact."""

    def striped(pixels: np.ndarray) -> np.ndarray:
        return pixels // 2 + (np.arange(pixels.shape[1]) % 2 * 20).astype(np.uint8)[:, None]

    error = 20 / 255 * 2 / 3
    plain = np.full_like(picture, 100)
    assert stability(striped, [plain, plain]).shift == pytest.approx({1: error, 2: 0, 4: 0})


@pytest.fixture
def moving(tmp_path: Path) -> Path:
    """Three frames of a scene that moves 3 px across and 2 px down each."""
    wide = np.random.default_rng(2).integers(0, 256, (60, 80, 3), np.uint8)
    for number in range(3):
        top, left = 10 - 2 * number, 10 - 3 * number
        write_picture(tmp_path / f"frame_{number}.png", wide[top : top + 40, left : left + 60])
    for number in range(2):
        flow = np.full((40, 60, 2), (3, 2), np.float32)
        write_flow(tmp_path / f"flow_{number}_to_{number + 1}.flo", flow)
    return tmp_path


def test_a_pattern_on_the_screen_is_an_error_as_large_as_it_changes(moving: Path) -> None:
    (steps,) = find_sequences(moving)[0].values()
    assert warped_error(negative, steps) == 0

    def dirty(pixels: np.ndarray) -> np.ndarray:
        return pixels // 2 + (np.arange(pixels.shape[1]) % 2 * 50).astype(np.uint8)[:, None]

    assert warped_error(dirty, steps) == pytest.approx(50 / 255)  # 3 px are odd: it flips everywhere


def test_hidden_pixels_do_not_count(moving: Path) -> None:
    garbage = decode_picture(moving / "frame_1.png").pixels
    garbage[10:20, 10:30] = 0
    write_picture(moving / "frame_1.png", garbage)
    (moving / "flow_1_to_2.flo").unlink()
    (steps,) = find_sequences(moving)[0].values()
    assert warped_error(np.copy, steps) > 0.1
    hidden = np.zeros((40, 60), np.uint8)
    hidden[8:18, 7:27] = 255
    write_picture(moving / "occlusion_0.png", hidden)
    (steps,) = find_sequences(moving)[0].values()
    assert warped_error(np.copy, steps) == 0
    write_picture(moving / "invalid_0.png", np.full((40, 60), 255, np.uint8))
    (steps,) = find_sequences(moving)[0].values()
    with pytest.raises(UserError, match="no pixel is seen"):
        warped_error(np.copy, steps)


def test_every_frame_is_stylized_once(tmp_path: Path) -> None:
    sequence(tmp_path, range(1, 6))
    (steps,) = find_sequences(tmp_path)[0].values()
    painted = []

    def counted(pixels: np.ndarray) -> np.ndarray:
        painted.append(int(pixels[0, 0, 0]))
        return np.zeros_like(pixels)

    assert warped_error(counted, steps) == 0
    assert sorted(painted) == [1, 2, 3, 4, 5]
