"""Sharpness: a blur of known width takes from each band what it must, noise adds to the finest."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fast_nst.evaluation.quality import builtin_pictures
from fast_nst.evaluation.sharpness import BANDS, OCTAVES, as_markdown, mean_octaves, octaves


def wave(period: float, amplitude: float = 40, shape: tuple[int, int] = (192, 256)) -> np.ndarray:
    """A diagonal wave of luma."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    values = 128 + amplitude * np.sin(2 * np.pi * (rows * 0.6 + columns * 0.8) / period)
    return np.repeat(values[..., None], 3, axis=2)


@settings(max_examples=30, deadline=None)
@given(band=st.integers(0, 3), at=st.floats(0.3, 0.7), height=st.integers(150, 230))
def test_a_wave_lies_in_its_band_with_its_own_rms(band: int, at: float, height: int) -> None:
    low, high = OCTAVES[band]
    period = 1 / ((1 - at) / low + at / high)
    found = octaves(wave(period, 40, (height, 256)))
    assert found[band] == pytest.approx(40 / np.sqrt(2), rel=0.02)
    assert np.delete(found, band).max() < 3


def blurred(pixels: np.ndarray, deviation: float) -> np.ndarray:
    """Gaussian blur by its transfer function, on a torus."""
    rows, columns = (np.fft.fftfreq(side)[:, None] for side in pixels.shape[:2])
    transfer = np.exp(-2 * (np.pi * deviation) ** 2 * (rows**2 + (columns**2).T))
    return np.fft.ifft2(np.fft.fft2(pixels, axes=(0, 1)) * transfer[..., None], axes=(0, 1)).real


@pytest.mark.parametrize("deviation", [0.5, 1.0, 2.0])
def test_a_gaussian_blur_takes_from_each_band_what_its_transfer_function_takes(deviation: float) -> None:
    noise = np.repeat(np.random.default_rng(0).normal(128, 30, (256, 320, 1)), 3, axis=2)
    shares = octaves(blurred(noise, deviation)) / octaves(noise)
    for share, (low, high) in zip(shares, OCTAVES, strict=True):
        most, least = (np.exp(-2 * (np.pi * deviation / period) ** 2) for period in (high, low))
        assert least * 0.95 <= share + 0.02
        assert share <= most * 1.05
    assert all(np.diff(shares) > -0.01)  # the finest band loses most


def test_noise_raises_the_finest_band_most_and_the_coarsest_hardly() -> None:
    picture = builtin_pictures()[0].astype(float)
    grain = np.random.default_rng(1).normal(0, 10, picture.shape[:2])[..., None]
    gained = octaves(picture + grain) ** 2 - octaves(picture) ** 2
    assert gained[0] > 10 * abs(gained[3])
    assert gained.sum() == pytest.approx(100, rel=0.1)  # nearly all of white noise lies in the four bands


def test_colors_of_one_luma_are_no_detail() -> None:
    stripes = np.zeros((64, 64, 3))
    stripes[::2] = (100, -100 * 0.299 / 0.587, 0)
    assert octaves(128 + stripes).max() < 1e-6


def test_any_size_and_several_pictures() -> None:
    assert np.array_equal(octaves(np.full((1, 1, 3), 7, np.uint8)), np.zeros(4))
    assert octaves(np.random.default_rng(0).integers(0, 256, (2, 5, 3), np.uint8)).shape == (4,)
    one, other = octaves(wave(3)), octaves(wave(12))
    assert mean_octaves([wave(3), wave(12)]) == pytest.approx(np.sqrt((one**2 + other**2) / 2))


def test_the_table_shows_shares_of_both_references() -> None:
    rows = {"photograph": np.full(4, 10.0), "style": np.full(4, 20.0), "soft": np.array([1.0, 5, 10, 10])}
    text = as_markdown(rows, "photograph", "style")
    assert "| " + " | ".join(["", *BANDS]) + " |" in text
    assert "| soft | 1.0 (0.10, 0.05) | 5.0 (0.50, 0.25) | 10.0 (1.00, 0.50) | 10.0 (1.00, 0.50) |" in text
    assert "| style | 20.0 | 20.0 | 20.0 | 20.0 |" in text
