"""The built-in pictures: the same for the same seed, of any size, all different, free to use."""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fast_nst.data.builtin import heldout_photographs, make_picture, mixtures, photographs
from fast_nst.data.builtin.noise import cells, cloud
from fast_nst.errors import UserError


def pictures(count: int, size: int, seed: int = 0) -> np.ndarray:
    """Pictures uint8 [count, size, size, 3], each from a generator of its own."""
    return np.stack([make_picture(np.random.default_rng([seed, i]), size) for i in range(count)])


def test_the_same_generator_gives_the_same_picture():
    assert np.array_equal(pictures(12, 80), pictures(12, 80))


def test_a_picture_does_not_depend_on_what_was_drawn_before():
    alone = make_picture(np.random.default_rng(5), 64)
    pictures(3, 64, seed=9)
    assert np.array_equal(make_picture(np.random.default_rng(5), 64), alone)


@settings(max_examples=40, deadline=None)
@given(size=st.integers(16, 300), seed=st.integers(0, 2**32 - 1))
def test_any_size_and_seed_gives_a_uint8_picture(size: int, seed: int):
    picture = make_picture(np.random.default_rng(seed), size)
    assert picture.shape == (size, size, 3)
    assert picture.dtype == np.uint8
    assert picture.flags["C_CONTIGUOUS"]


@pytest.mark.parametrize("size", [1, 2, 5])
def test_tiny_pictures_work(size: int):
    assert make_picture(np.random.default_rng(1), size).shape == (size, size, 3)


def test_a_size_below_one_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        make_picture(np.random.default_rng(0), 0)


@pytest.mark.parametrize("recipe", mixtures.RECIPES, ids=lambda recipe: recipe.__name__)
def test_every_recipe_gives_finite_colors(recipe):
    for seed in range(6):
        for size in (48, 101):
            image = recipe(np.random.default_rng(seed), size)
            assert image.shape == (size, size, 3)
            assert np.isfinite(image).all()


def test_the_chances_of_the_recipes_add_up():
    assert mixtures.WEIGHTS.sum() == pytest.approx(1)
    assert (mixtures.WEIGHTS > 0).all()


def test_pictures_are_all_different_and_seldom_flat():
    small = pictures(80, 64).reshape(80, -1).astype(np.float32)
    deviations = small.std(axis=1)
    assert np.median(deviations) > 35
    assert (deviations > 8).mean() > 0.97
    likeness = np.corrcoef(small)
    np.fill_diagonal(likeness, 0)
    assert likeness.max() < 0.995
    assert np.abs(likeness).mean() < 0.4


def test_pictures_have_the_brightness_and_color_of_photographs():
    batch = pictures(120, 64, seed=3).astype(np.float32) / 255
    assert 0.35 < batch.mean() < 0.55
    assert 0.05 < (batch.max(axis=3) - batch.min(axis=3)).mean() < 0.3


def test_held_out_photographs_are_color_pictures_that_training_never_sees():
    held = heldout_photographs()
    assert 2 <= len(held) <= 3
    for name, pixels in held:
        assert pixels.dtype == np.uint8
        assert pixels.ndim == 3
        assert pixels.shape[2] == 3
        assert name not in {photograph.name for photograph in photographs.TRAINING}
    files = {photograph.file for photograph in photographs.TRAINING}
    assert files.isdisjoint(photograph.file for photograph in photographs.HELDOUT)


def test_drawing_reads_only_training_photographs(monkeypatch):
    seen = set()
    real = photographs.load.__wrapped__
    photographs.levels.cache_clear()
    photographs.mirrored.cache_clear()
    monkeypatch.setattr(photographs, "load", lambda photo: (seen.add(photo), real(photo))[1])
    pictures(60, 48, seed=2)
    assert seen
    assert seen <= set(photographs.TRAINING)


def test_held_out_pixels_may_be_written_to():
    heldout_photographs()[0][1][:] = 0
    assert heldout_photographs()[0][1].any()


def test_every_photograph_is_free_to_use():
    for photograph in photographs.TRAINING + photographs.HELDOUT:
        assert photograph.license in {"public domain", "CC0"}
        assert (photographs.folder() / photograph.file).is_file()


def test_no_network_is_touched(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("the built-in pictures must not use the network")

    monkeypatch.setattr(socket, "socket", refuse)
    for cached in (photographs.load, photographs.levels, photographs.mirrored, cloud, cells):
        cached.cache_clear()
    assert pictures(10, 48).shape == (10, 48, 48, 3)


def test_without_scikit_image_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(photographs, "find_spec", lambda _name: None)
    photographs.load.cache_clear()
    with pytest.raises(UserError, match=r"pip install 'fast-nst\[train\]'"):
        heldout_photographs()


def test_a_missing_photograph_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(photographs, "folder", lambda: tmp_path)
    photographs.load.cache_clear()
    with pytest.raises(UserError, match=r"chelsea\.png"):
        heldout_photographs()


def test_scikit_image_itself_is_not_imported():
    assert importlib.util.find_spec("skimage") is not None
    code = (
        "import sys, numpy as np; from fast_nst.data.builtin import make_picture;"
        "make_picture(np.random.default_rng(0), 48);"
        "assert not {'skimage', 'torch', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("slope", [0.5, 1.9])
def test_clouds_tile_and_are_normalised(slope: float):
    field = cloud(slope)
    assert abs(float(field.mean())) < 1e-3
    assert float(field.std()) == pytest.approx(1, abs=1e-3)
    seam = np.abs(field[0] - field[-1]).mean()
    inside = np.abs(np.diff(field, axis=0)).mean()
    assert seam < 1.3 * inside
