"""Color preservation and strength on plain arrays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fast_nst.runtime.color import blend, preserve_color

LUMA = np.array([0.299, 0.587, 0.114])
SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))
PAIRS = SHAPES.flatmap(lambda shape: st.tuples(*[arrays(np.uint8, shape)] * 2))


@given(PAIRS, st.floats(0, 1))
@settings(max_examples=100, deadline=None)
def test_blend_is_the_rounded_mix(pair: tuple[np.ndarray, np.ndarray], strength: float) -> None:
    content, stylized = pair
    exact = content + strength * (stylized.astype(float) - content)
    mixed = blend(content, stylized, strength)
    assert mixed.dtype == np.uint8
    assert np.abs(mixed - exact).max() <= 0.5 + 1e-4


@given(PAIRS)
@settings(max_examples=50, deadline=None)
def test_blend_ends_are_exact(pair: tuple[np.ndarray, np.ndarray]) -> None:
    assert np.array_equal(blend(*pair, 0.0), pair[0])
    assert np.array_equal(blend(*pair, 1.0), pair[1])


def test_blend_rounds_instead_of_truncating() -> None:
    black, gray = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 3, np.uint8)
    assert blend(black, gray, 0.6).flat[0] == 2  # 1.8


@given(PAIRS)
@settings(max_examples=100, deadline=None)
def test_preserve_color_takes_luminance_from_the_style_and_chroma_from_the_content(
    pair: tuple[np.ndarray, np.ndarray],
) -> None:
    content, stylized = pair
    result = preserve_color(content, stylized)
    assert result.dtype == np.uint8
    inside = ((result > 0) & (result < 255)).all(axis=-1)  # elsewhere the color left the gamut
    luma = (result @ LUMA - stylized @ LUMA)[inside]
    differences = np.diff(result.astype(int), axis=-1) - np.diff(content.astype(int), axis=-1)
    assert np.abs(luma).max(initial=0) <= 0.51
    assert np.abs(differences[inside]).max(initial=0) <= 1


def test_preserve_color_agrees_with_pillows_ycbcr() -> None:
    from PIL import Image

    rng = np.random.default_rng(0)
    content = rng.integers(90, 160, (20, 20, 3), np.uint8)
    stylized = rng.integers(90, 160, (20, 20, 3), np.uint8)
    y = Image.fromarray(stylized).convert("YCbCr").getchannel(0)
    _, cb, cr = Image.fromarray(content).convert("YCbCr").split()
    expected = np.asarray(Image.merge("YCbCr", (y, cb, cr)).convert("RGB")).astype(int)
    assert np.abs(preserve_color(content, stylized) - expected).max() <= 4  # Pillow quantizes twice


def test_a_picture_styled_by_itself_is_unchanged() -> None:
    content = np.random.default_rng(1).integers(0, 256, (2, 9, 7, 3), np.uint8)
    assert np.array_equal(preserve_color(content, content), content)


def test_batch_equals_its_pictures_one_by_one() -> None:
    content, stylized = np.random.default_rng(2).integers(0, 256, (2, 3, 5, 4, 3), np.uint8)
    for one, two, both in zip(content, stylized, preserve_color(content, stylized), strict=True):
        assert np.array_equal(preserve_color(one, two), both)
    for one, two, both in zip(content, stylized, blend(content, stylized, 0.3), strict=True):
        assert np.array_equal(blend(one, two, 0.3), both)


def test_different_shapes_and_strengths_outside_are_refused() -> None:
    small, large = np.zeros((2, 2, 3), np.uint8), np.zeros((4, 4, 3), np.uint8)
    with pytest.raises(ValueError, match="one shape"):
        preserve_color(small, large)
    with pytest.raises(ValueError, match="between 0 and 1"):
        blend(small, small, 1.5)
    with pytest.raises(ValueError, match="between 0 and 1"):
        blend(small, small, float("nan"))
