"""Where tiles lie, and what of a tensor belongs to one."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fast_nst.runtime.tiled.grid import make_tiles
from fast_nst.runtime.tiled.moments import Moments


@given(st.integers(1, 700), st.integers(1, 700), st.integers(64, 200), st.sampled_from([1, 4, 8, 64]))
@settings(max_examples=60, deadline=None)
def test_tiles_cover_every_pixel_once(height: int, width: int, side: int, step: int) -> None:
    count = np.zeros((height, width), int)
    for tile in make_tiles(height, width, side, step):
        count[tile.at(1)] += 1
        assert tile.rows.start % step == tile.columns.start % step == 0
        assert tile.rows.end - tile.rows.start < side + step
    assert (count == 1).all()


@given(st.integers(1, 400), st.integers(0, 64), st.sampled_from([1, 2, 4]))
@settings(max_examples=60, deadline=None)
def test_tile_is_found_again_in_its_surroundings(length: int, halo: int, scale: int) -> None:
    padded = -(-length // 4) * 4 // scale  # the tensor, of a picture padded to a multiple of four
    tensor = np.arange(padded * padded).reshape(padded, padded)
    for tile in make_tiles(length, length, 64, 4):
        around = tile.grown(halo // 4 * 4)
        starts, ends = tile.within(around, scale)
        part = tensor[around.at(scale)][starts[0] : ends[0], starts[1] : ends[1]]
        assert np.array_equal(part, tensor[tile.at(scale)])


@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(1, 9)), min_size=1, max_size=5), st.floats(-1e6, 1e6)
)
@settings(max_examples=60, deadline=None)
def test_moments_of_parts_are_those_of_the_whole(parts: list[tuple[int, int]], offset: float) -> None:
    rng = np.random.default_rng(len(parts))
    moments, values = Moments(), []
    for rows, length in parts:
        part = rng.normal(offset, 1, (2, rows, length))
        moments.add(part.mean(-1), part.var(-1), length)
        values.append(part.reshape(2, -1))
    whole = np.concatenate(values, axis=1)
    mean, variance = moments.result()
    assert np.allclose(mean, whole.mean(1), rtol=1e-12)
    assert np.allclose(variance, whole.var(1), rtol=1e-6, atol=1e-9)
