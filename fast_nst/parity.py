"""How far two runs of one network may differ, measured on the same pictures; without torch."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

TOLERANCE = 1  # gray levels
# [N, H, W]. Not of one or two pixels: instance norms make a picture of rounding errors where all is flat.
SHAPES = ((1, 2, 3), (1, 7, 5), (3, 64, 64), (2, 97, 130), (1, 333, 517))


@dataclass(frozen=True)
class Parity:
    """One run against the other, over all values of all shapes tried."""

    worst: int
    """Largest difference in gray levels."""
    share_equal: float
    """Share of values that are exactly equal."""
    shapes: tuple[tuple[int, int, int], ...]
    """[N, H, W] of the inputs."""

    def in_words(self, both: str) -> str:
        """For people; `both` says what was run."""
        return f"{both} differ by at most {self.worst} gray level over {len(self.shapes)} sizes"

    def to_json(self) -> str:
        """As a file's metadata holds it."""
        fields = {"worst_grey_levels": self.worst, "share_equal": round(self.share_equal, 6)}
        return json.dumps({**fields, "shapes": [list(shape) for shape in self.shapes]})


def noise_on_gradient(rng: np.random.Generator, n: int, height: int, width: int) -> np.ndarray:
    """Pictures to compare on, uint8 [N, H, W, 3]."""
    ramp = np.linspace(0, 200, height)[:, None, None] * np.linspace(0.2, 1, width)[:, None]
    return (ramp + rng.integers(0, 56, (n, height, width, 3))).astype(np.uint8)


def compare(
    results: Iterable[tuple[np.ndarray, np.ndarray]], shapes: Sequence[tuple[int, int, int]]
) -> Parity:
    """The parity of pairs of results, uint8 [N, H, W, 3] each, one pair for each of ``shapes``."""
    worst, equal, count = 0, 0, 0
    for one, other in results:
        difference = np.abs(one.astype(np.int16) - other)
        worst = max(worst, int(difference.max()))
        equal += int((difference == 0).sum())
        count += difference.size
    return Parity(worst, equal / count, tuple(shapes))
