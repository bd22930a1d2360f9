"""Where the tiles of a picture lie, and what of a tensor belongs to one."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

_TO_THE_END = 2**31 - 1  # OpenVINO takes an end of 2**63 - 1 for -1


@dataclass(frozen=True)
class Span:
    """Pixels of a picture along one axis, `start` to `end`, of `length` there are."""

    start: int
    end: int
    length: int

    def grown(self, halo: int) -> Span:
        """With `halo` pixels more at both ends, as far as the picture goes."""
        return Span(max(0, self.start - halo), min(self.length, self.end + halo), self.length)

    def at(self, scale: float) -> slice:
        """The same part of a tensor with one pixel for `scale` of the picture's.

        At the picture's end it goes to the tensor's, which is larger where the graph pads.
        """
        return slice(int(self.start / scale), None if self.end == self.length else int(self.end / scale))

    def within(self, around: Span, scale: float) -> tuple[int, int]:
        """Where in such a part of `around` this one begins and ends."""
        start = int((self.start - around.start) / scale)
        length = int((self.end - self.start) / scale)
        return start, _TO_THE_END if self.end == self.length else start + length


@dataclass(frozen=True)
class Tile:
    """A rectangle of a picture."""

    rows: Span
    columns: Span

    def grown(self, halo: int) -> Tile:
        """With `halo` pixels more on all sides, as far as the picture goes."""
        return Tile(self.rows.grown(halo), self.columns.grown(halo))

    def at(self, scale: float) -> tuple[slice, slice]:
        """The same part of a tensor with one pixel for `scale` x `scale` of the picture's."""
        return self.rows.at(scale), self.columns.at(scale)

    def within(self, around: Tile, scale: float) -> tuple[np.ndarray, np.ndarray]:
        """Where in such a part of `around` this one begins and ends, each int64 (row, column)."""
        rows = self.rows.within(around.rows, scale)
        columns = self.columns.within(around.columns, scale)
        starts, ends = zip(rows, columns, strict=True)
        return np.array(starts), np.array(ends)


def make_tiles(height: int, width: int, side: int, step: int) -> list[Tile]:
    """Tiles that cover a picture, row by row, of nearly equal sizes up to about `side`.

    They begin at multiples of `step` pixels.
    """
    return [Tile(*pair) for pair in itertools.product(_spans(height, side, step), _spans(width, side, step))]


def _spans(length: int, side: int, step: int) -> list[Span]:
    count = math.ceil(length / side)
    starts = [index * length // count // step * step for index in range(count)]
    return [Span(start, end, length) for start, end in itertools.pairwise([*starts, length])]
