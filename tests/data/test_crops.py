"""Crops: any picture, any size, never enlarged without need."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fast_nst.data.crops import center_crop, load_image, random_crop


def pixels(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@given(height=st.integers(1, 90), width=st.integers(1, 90), size=st.integers(1, 64), scale=st.floats(0.01, 1))
@settings(max_examples=80, deadline=None)
def test_crops_of_any_picture_have_the_size_asked_for(
    height: int, width: int, size: int, scale: float
) -> None:
    rng = np.random.default_rng(0)
    assert random_crop(pixels(height, width), size, scale, rng).shape == (3, size, size)
    assert center_crop(pixels(height, width), size).shape == (3, size, size)


def test_crops_are_not_enlarged_where_the_picture_has_the_pixels() -> None:
    """Noise stays as sharp as it was: no side under the crop size is taken."""
    source = pixels(100, 100)
    for seed in range(20):
        crop = random_crop(source, 90, 0.1, np.random.default_rng(seed)).float()
        assert crop.std() > 55  # enlarged noise would be smooth


def test_the_shorter_side_of_a_style_picture_is_scaled(tmp_path: Path) -> None:
    Image.fromarray(pixels(30, 90)).save(tmp_path / "wide.png")
    assert load_image(tmp_path / "wide.png", 60).shape == (1, 3, 60, 180)
    assert load_image(tmp_path / "wide.png").shape == (1, 3, 30, 90)
