"""Tile-able noise, made once per process from fixed seeds, and the ways to sample it."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.floating[Any]]

TILE = 512
SLOPES = (0.5, 1.0, 1.4, 1.9)
COPIES = 3


@cache
def cloud(slope: float, copy: int = 0) -> Floats:
    """Tile-able noise, amplitude frequency**-slope: [512, 512], mean 0, deviation 1."""
    seeds = np.random.default_rng([11, round(slope * 100), copy])
    white = np.fft.rfft2(seeds.standard_normal((TILE, TILE)))
    fy, fx = np.fft.fftfreq(TILE)[:, None], np.fft.rfftfreq(TILE)[None, :]
    frequency = np.hypot(fy, fx)
    frequency[0, 0] = np.inf
    # The lowest frequencies are held back so that one tile does not become one single blob.
    field = np.fft.irfft2(white * np.maximum(frequency, 2.0 / TILE) ** -slope, s=(TILE, TILE))
    return ((field - field.mean()) / field.std()).astype(np.float32)


@cache
def cells(copy: int = 0) -> tuple[Floats, Floats, Floats]:
    """Worley cells about 32 px wide, tile-able: distance to the seed, to the border, and a value.

    Each [512, 512]; the two distances in cell widths, the value uniform in [0, 1].
    """
    count = TILE // 32
    seeds = np.random.default_rng([12, copy])
    jitter = seeds.uniform(0.08, 0.92, (count, count, 2)).astype(np.float32)
    values = seeds.uniform(0, 1, (count, count)).astype(np.float32)
    at = np.arange(TILE, dtype=np.float32) / 32
    row, column = np.meshgrid(at, at, indexing="ij")
    i, j = row.astype(np.int64), column.astype(np.int64)
    nearest = np.full((TILE, TILE), 9.0, np.float32)
    second = nearest.copy()
    value = np.zeros((TILE, TILE), np.float32)
    for di in (-1, 0, 1):
        for dj in (-1, 0, 1):
            spot = jitter[(i + di) % count, (j + dj) % count]
            distance = np.hypot(row - i - di - spot[..., 0], column - j - dj - spot[..., 1])
            closer = distance < nearest
            second = np.where(closer, nearest, np.minimum(second, distance))
            value = np.where(closer, values[(i + di) % count, (j + dj) % count], value)
            nearest = np.minimum(nearest, distance)
    return nearest, second - nearest, value


def sample(field: NDArray, v: Floats, u: Floats) -> NDArray:
    """The nearest entries of a tile-able field [H, W, ...] at rows v and columns u, both [h, w]."""
    height, width = field.shape[:2]
    rows = v.astype(np.int32) % height
    columns = u.astype(np.int32) % width
    return np.take(field.reshape(height * width, *field.shape[2:]), rows * width + columns, axis=0)


def window(rng: np.random.Generator, slope: float, height: int, width: int) -> Floats:
    """A random piece [height, width] of a cloud, at its own scale."""
    field = cloud(slope, int(rng.integers(COPIES)))
    top, left = rng.integers(TILE, size=2)
    rows = (top + np.arange(height)) % TILE
    columns = (left + np.arange(width)) % TILE
    return field[rows[:, None], columns[None, :]]


def smooth(rng: np.random.Generator, height: int, width: int, grid: int) -> Floats:
    """A smooth field [height, width], deviation near 1, some `grid` bumps along a side."""
    coarse = rng.standard_normal((grid + 3, grid + 3)).astype(np.float32)
    step_y, step_x = (grid + 1) / (grid + 3), (grid + 1) / (grid + 3)
    shift = rng.uniform(0, 1, 2)
    box = (shift[0], shift[1], shift[0] + (grid + 3) * step_x, shift[1] + (grid + 3) * step_y)
    picture = Image.fromarray(coarse)
    return np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC, box=box))
