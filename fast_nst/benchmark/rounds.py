"""Timing things against each other: each in a process of its own, in turns, so that drift hits all alike.

A worker is a command that reads one request from stdin (a line of JSON) and writes one answer to stdout
(`fast_nst.benchmark.worker.serve`). Every round starts every worker anew: what differs from
process to process, such as where memory comes to lie, is then part of the spread and not of the result.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

_PACKAGES = str(Path(__file__).parents[2])
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Subject:
    """Something to time."""

    name: str
    command: tuple[str, ...]
    """Arguments of Python that start its worker: ("-m", MODULE) or (FILE,)."""
    request: Mapping[str, Any]
    """What the worker is told, beside the condition and the seconds."""


@dataclass
class Cell:
    """One subject under one condition."""

    name: str
    condition: dict[str, Any]
    """What those have in common that are compared: size, threads, ..."""
    rounds: list[list[float]] = field(default_factory=list)
    """Seconds of each run, by round."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What else the worker told; of numbers the largest of all rounds."""
    failure: str | None = None
    """Why there is no result."""

    @property
    def medians(self) -> list[float]:
        """Median seconds of each round."""
        return [float(np.median(seconds)) for seconds in self.rounds]

    @property
    def median(self) -> float:
        """Seconds of a run: the median of the rounds' medians."""
        return float(np.median(self.medians))

    @property
    def p95(self) -> float:
        """Seconds that 95 % of all runs stay below."""
        return float(np.quantile(np.concatenate(self.rounds), 0.95))

    @property
    def least(self) -> float:
        """Seconds of the fastest run of all."""
        return min(map(min, self.rounds))

    @property
    def spread(self) -> float:
        """Range of the rounds' medians as a share of the median."""
        return (max(self.medians) - min(self.medians)) / self.median


@dataclass(frozen=True)
class Ratio:
    """Time of one subject as a share of another's."""

    median: float
    """Of the ratios taken round by round."""
    low: float
    high: float


def measure(
    subjects: Sequence[Subject],
    conditions: Sequence[Mapping[str, Any]],
    *,
    rounds: int = 6,
    seconds: float = 1.0,
) -> list[Cell]:
    """Time every subject under every condition.

    Args:
        subjects: compared under each condition; in every round they take turns.
        conditions: plain values, told to the workers.
        rounds: times each worker is started.
        seconds: of measured runs that a worker is asked for each time.

    Returns:
        Cells in the order of conditions, then subjects. One whose worker failed has ``failure`` set.
    """
    pairs = [(subject, dict(condition)) for condition in conditions for subject in subjects]
    cells = [Cell(subject.name, condition) for subject, condition in pairs]
    with tqdm(total=rounds * len(cells), unit="cell", disable=None, leave=False) as bar:
        for _ in range(rounds):
            for (subject, condition), cell in zip(pairs, cells, strict=True):
                bar.set_postfix_str(cell.name, refresh=False)
                if cell.failure is None:
                    _run(subject, condition, seconds, cell)
                bar.update()
    return cells


def _run(subject: Subject, condition: dict[str, Any], seconds: float, cell: Cell) -> None:
    answer = ask_worker(subject.command, {**subject.request, **condition, "seconds": seconds})
    if "failure" in answer:
        cell.failure = answer["failure"]
        return
    cell.rounds.append(answer.pop("seconds"))
    for key, value in answer.items():
        before = cell.facts.get(key)
        larger = isinstance(value, int | float) and before is not None
        cell.facts[key] = max(before, value) if larger else value


def ask_worker(command: Sequence[str], request: Mapping[str, Any]) -> dict[str, Any]:
    """One worker's answer; {"failure": reason} if it ends without one.

    The worker does not outlive this process, however that ends: it watches its stdin.
    """
    known = os.environ.get("PYTHONPATH")
    paths = os.pathsep.join([_PACKAGES, *([known] if known else [])])
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as lifeline:
        with os.fdopen(reading) as stdin:
            lifeline.write(json.dumps(request) + "\n")
            lifeline.flush()
            worker = subprocess.Popen(
                [sys.executable, "-P", *command],
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": paths},
            )
        with worker:
            try:
                output, errors = worker.communicate()
            finally:
                worker.kill()
    try:
        return json.loads(output)
    except ValueError:
        return {"failure": _last_words(worker.returncode, errors.decode(errors="replace"))}


def _last_words(code: int, errors: str) -> str:
    if code < 0:
        name = signal.Signals(-code).name
        return f"its process was ended by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    lines = errors.strip().splitlines()
    return f"its process ended with code {code}" + (f": {lines[-1]}" if lines else "")


def base_of(cell: Cell, cells: Sequence[Cell]) -> Cell:
    """The first cell under the same condition: what ``cell`` is compared with."""
    return next(other for other in cells if other.condition == cell.condition)


def ratio(cell: Cell, base: Cell) -> Ratio | None:
    """Time of ``cell`` as a share of that of ``base``; None where one of them failed."""
    if cell.failure is not None or base.failure is not None:
        return None
    ratios = [a / b for a, b in zip(cell.medians, base.medians, strict=True)]
    return Ratio(float(np.median(ratios)), *median_interval(ratios))


def median_interval(values: Sequence[float]) -> tuple[float, float]:
    """The narrowest pair of values that holds the population's median with 95 % confidence.

    By order statistics, without assuming a distribution (the sign test's interval). Fewer than six
    values cannot give 95 %: then the smallest and the largest.
    """
    ordered, count = sorted(values), len(values)
    outside = 0
    while 2 * _at_most(outside + 1, count) <= 1 - CONFIDENCE:
        outside += 1
    return ordered[outside], ordered[-1 - outside]


def _at_most(successes: int, count: int) -> float:
    """Chance of at most so many heads in ``count`` throws of a coin."""
    return sum(math.comb(count, k) for k in range(successes + 1)) / 2**count
