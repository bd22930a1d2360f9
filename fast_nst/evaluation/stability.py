"""How still stylized pictures stand: shifts, noise, brightness, and video with known optical flow.

Pure numpy. All errors are RMSE over pixels and channels, divided by 255: 0 = nothing flickers, 0.01 is
barely seen, 0.1 boils.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fast_nst.errors import UserError
from fast_nst.evaluation.flow import Transition, read_transition, warp

Stylize = Callable[[np.ndarray], np.ndarray]
"""uint8 [H, W, 3] to uint8 [H, W, 3]."""

SHIFTS = (1, 2, 4)  # px; johnson networks hardly notice 4, their stride; fast ones have 8
DIRECTIONS = ((0, 1), (1, 0), (1, 1))  # across, down, diagonal
WINDOW = 256  # px, the side of what is stylized
MARGIN = 32  # px at the windows' borders that are not compared: other pixels lie beyond them
NOISE = 2.0  # gray levels, a quiet sensor
BRIGHTNESS = 0.97


@dataclass
class Stability:
    """Errors of one method of stylizing."""

    shift: dict[int, float]
    """By px: the picture moves, the stylized picture must move with it."""
    noise: float
    """Gaussian noise of deviation `NOISE`; the stylized picture must stay."""
    brightness: float
    """The picture `BRIGHTNESS` times as bright; the stylized picture must stay."""
    e_stab: dict[str, float] = field(default_factory=dict)
    """By sequence: `warped_error`."""


def stability(stylize: Stylize, pictures: Sequence[np.ndarray]) -> Stability:
    """Mean errors on ``pictures``, uint8 [H, W, 3] with sides of at least `WINDOW` + 4 px.

    For a shift two windows of one picture are stylized, and what both show is compared: the same pixels,
    so that a network without aliasing would paint the same.
    """
    shift: dict[int, list[float]] = {by: [] for by in SHIFTS}
    noise, brightness = [], []
    for index, picture in enumerate(pictures):
        here = np.ascontiguousarray(picture[:WINDOW, :WINDOW])
        painted = stylize(here)
        for by in SHIFTS:
            for down, across in DIRECTIONS:
                shift[by].append(shift_error(stylize, picture, painted, by * down, by * across))
        grain = np.random.default_rng([0, index]).normal(0, NOISE, here.shape)
        noise.append(rmse(stylize(_pixels(here + grain)), painted))
        brightness.append(rmse(stylize(_pixels(here * BRIGHTNESS)), painted))
    return Stability(
        {by: float(np.mean(errors)) for by, errors in shift.items()},
        float(np.mean(noise)),
        float(np.mean(brightness)),
    )


def shift_error(stylize: Stylize, picture: np.ndarray, painted: np.ndarray, down: int, across: int) -> float:
    """Error between ``painted``, the stylized first window of ``picture``, and a later window stylized."""
    moved = stylize(np.ascontiguousarray(picture[down : down + WINDOW, across : across + WINDOW]))
    inner = slice(MARGIN, WINDOW - MARGIN - max(SHIFTS))
    rows, columns = (slice(inner.start + by, inner.stop + by) for by in (down, across))
    return rmse(painted[rows, columns], moved[inner, inner])


def warped_error(stylize: Stylize, transitions: Iterable[Transition]) -> float:
    """e_stab of a sequence: what changes between stylized frames that does not in the scene.

    The later stylized frame is warped back by the true flow and compared with the earlier one where the pixel
    is seen in both: the temporal loss of Ruder et al. 2016, section 4, as Huang et al. 2017 report it, its
    square root. Unstylized frames have one too: light changes, and the warp blurs.

    Raises UserError where a file cannot be read.
    """
    total, count = 0.0, 0
    painted: dict[Path, np.ndarray] = {}
    for transition in transitions:
        first, second, flow, compared = read_transition(transition)
        earlier = painted.get(transition.first)  # the later frame of the transition before
        if earlier is None:
            earlier = stylize(first)
        later = stylize(second)
        painted = {transition.second: later}
        back, inside = warp(later, flow)
        seen = compared & inside
        total += float(np.square(back - earlier)[seen].sum(dtype=np.float64))
        count += 3 * int(seen.sum())
    if not count:
        raise UserError("no pixel is seen in two frames")
    return float(np.sqrt(total / count) / 255)


def rmse(first: np.ndarray, second: np.ndarray) -> float:
    """Root of the mean squared difference of two pictures 0 to 255, over 255."""
    return float(np.sqrt(np.square(first.astype(np.float32) - second).mean()) / 255)


def _pixels(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
