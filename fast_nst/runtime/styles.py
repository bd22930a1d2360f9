"""Which of a file's styles, and how much of each: as users write it to the rows of `style_weights`."""

from __future__ import annotations

import difflib
import itertools
import math
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from fast_nst.errors import UserError

Style: TypeAlias = str | Mapping[str, float]
"""A name, "name:0.6,name:0.4" (or with + between) or {"name": weight}; a part without a weight has 1."""

Styles: TypeAlias = Style | Sequence[Style] | Sequence[float] | np.ndarray
"""A `Style` for all pictures, a list with one for each, or weights [K] or [N, K] in the file's order."""

_TIMED = re.compile(r"@\s*[\d.:]+\s*(,|$)")


def style_rows(style: Styles, names: Sequence[str], source: str) -> np.ndarray:
    """Shares of the styles called `names`, float32 [1 or N, K], rows of sum 1; `source` is for messages.

    Raises UserError for a name that is not among them, a weight that is negative or not finite, weights
    that are all zero, and as many weights as there are no styles.
    """
    if isinstance(style, str):
        return _shares([_parse(style, names, source)], names, source)
    if isinstance(style, Mapping):
        return _shares([style], names, source)
    try:
        each = [_parse(one, names, source) if isinstance(one, str) else one for one in style]
        if each and all(isinstance(one, Mapping) for one in each):
            return _shares([one for one in each if isinstance(one, Mapping)], names, source)
        rows = np.atleast_2d(np.asarray(style, np.float64))
    except (TypeError, ValueError, OverflowError):
        raise UserError(f"{style!r} is no style: give a name, a mixture or weights") from None
    if rows.ndim != 2 or rows.shape[1] != len(names):
        raise UserError(
            f"{rows.shape[-1]} style weights were given, {source} has {_count(names)}: {', '.join(names)}"
        )
    return _shares([dict(zip(names, map(float, row), strict=True)) for row in rows], names, source)


def style_over_time(style: Styles, names: Sequence[str], source: str) -> Callable[[float], np.ndarray]:
    """Seconds to shares, float32 [K]: "waves@0,udnie@10" goes from one to the other, linearly in between.

    Each point is a style or a mixture with + between; anything else is the same at all times. Raises
    UserError as `style_rows` does, and for times that do not increase.
    """
    if not is_timed(style):
        rows = style_rows(style, names, source)
        if len(rows) != 1:
            raise UserError("a list of styles, one for each picture, goes with a batch of pictures alone")
        return lambda seconds: rows[0]
    times: list[float] = []
    points: list[np.ndarray] = []
    for part in str(style).split(","):
        mixture, _, time = part.rpartition("@")
        if not mixture:
            raise UserError(f"style {part.strip()!r} has no time; give one to each, as in waves@0,udnie@10")
        times.append(_seconds(time, part))
        points.append(style_rows(mixture.strip(), names, source)[0])
    if any(later <= earlier for earlier, later in itertools.pairwise(times)):
        raise UserError(f"style {style!r}: its times must increase")
    shares = np.stack(points)

    def at(seconds: float) -> np.ndarray:
        return np.array([np.interp(seconds, times, column) for column in shares.T], np.float32)

    return at


def is_timed(style: object) -> bool:
    """Whether a style changes over time, as in "waves@0,udnie@10"."""
    return isinstance(style, str) and bool(_TIMED.search(style))


def choose_one(names: Sequence[str], source: str) -> UserError:
    """What to say where a style of a file of many is needed and none is named."""
    example = f"{names[0]}, or a mixture, {names[0]}:0.6,{names[1]}:0.4"
    return UserError(f"{source} holds {_count(names)}; name one with --style ({example}): {', '.join(names)}")


def similar(name: str, names: Sequence[str]) -> str:
    """ " (did you mean waves?)" for what is nearest to a name, or "" where nothing is near."""
    near = difflib.get_close_matches(name, names, n=2)
    return f" (did you mean {' or '.join(near)}?)" if near else ""


def _parse(text: str, names: Sequence[str], source: str) -> dict[str, float]:
    if text in names:  # first of all: a name may hold any sign
        return {text: 1.0}
    weights: dict[str, float] = {}
    for part in re.split(r"[,+]", text):
        name, weight = part.strip(), "1"
        if name not in names and ":" in name:
            name, _, weight = (piece.strip() for piece in name.rpartition(":"))
        if name in weights:
            raise UserError(f"style {text!r} names {name} twice")
        try:
            weights[name] = float(weight)
        except ValueError:
            raise UserError(f"style {text!r}: {weight!r} is no weight, a number such as 0.6") from None
    return weights


def _shares(each: Sequence[Mapping[str, float]], names: Sequence[str], source: str) -> np.ndarray:
    rows = np.zeros((len(each), len(names)))
    for row, weights in zip(rows, each, strict=True):
        for name, weight in weights.items():
            if name not in names:
                have = f"its styles are {', '.join(names)}" if len(names) > 1 else f"its style is {names[0]}"
                raise UserError(f"{source} has no style {name!r}{similar(name, names)}; {have}")
            row[names.index(name)] = _weight(name, weight)
        if not row.any():
            raise UserError("the weights of the styles are all zero; at least one must be above 0")
    rows /= rows.max(axis=1, keepdims=True)  # their sum could overflow
    return (rows / rows.sum(axis=1, keepdims=True)).astype(np.float32)


def _weight(name: str, weight: object) -> float:
    if isinstance(weight, int | float | np.number) and 0 <= weight <= sys.float_info.max:
        return float(weight)
    raise UserError(f"the weight of style {name} must be a number from 0 up, not {weight}")


def _seconds(text: str, part: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise UserError(f"style {part.strip()!r}: {text.strip()!r} is no time; give seconds, as in waves@7.5")
    return seconds


def _count(names: Sequence[str]) -> str:
    return f"{len(names)} styles" if len(names) > 1 else "1 style"
