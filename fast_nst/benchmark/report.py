"""A benchmark's result as Markdown and JSON; either says all there is."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fast_nst.benchmark.rounds import Cell, Ratio, base_of, ratio
from fast_nst.files import whole_file
from fast_nst.machine.description import in_words

FORMAT = 1
LEAST_FOR_95 = 6  # rounds; see `median_interval`


@dataclass
class BenchmarkReport:
    """Cells measured in one run of one machine."""

    machine: dict[str, Any]
    """As `describe_machine` gives it."""
    doubts: list[str]
    """What makes the times unsure."""
    rounds: int
    seconds: float
    cells: list[Cell] = field(default_factory=list)
    kind: str = "networks"
    """Which columns the table has: "networks" or "training"."""

    @property
    def skipped(self) -> list[str]:
        """Cells without a result, each with the reason."""
        return [f"{cell.name} at {_where(cell)}: {cell.failure}" for cell in self.cells if cell.failure]

    def to_json(self) -> str:
        """With all runs' seconds; what `from_json` needs, and the figures of the table for other programs."""
        told = {**vars(self), "cells": [self._cell(cell) for cell in self.cells]}
        return json.dumps({"fast_nst_benchmark": FORMAT, **told}, indent=1)

    def _cell(self, cell: Cell) -> dict[str, Any]:
        base = base_of(cell, self.cells)
        compared = ratio(cell, base)
        return {
            **vars(cell),
            "figures": self._figures(cell) if cell.failure is None else None,
            "time_ratio": {"to": base.name, **vars(compared)} if compared else None,
        }

    def _figures(self, cell: Cell) -> dict[str, float]:
        figures = {
            "median_seconds": cell.median,
            "p95_seconds": cell.p95,
            "min_seconds": cell.least,
            "spread": cell.spread,
            "pictures_per_second": _rate(cell),
            "megapixels_per_second": _rate(cell) * _megapixels(cell),
        }
        if self.kind == "training":
            figures |= {"flop_per_second": _flops(cell), "share_of_peak": _flops(cell) / _peak(cell, self)}
        return figures

    @classmethod
    def from_json(cls, text: str) -> BenchmarkReport:
        """The report that `to_json` wrote."""
        values = json.loads(text)
        del values["fast_nst_benchmark"]
        cells = [
            Cell(**{key: value for key, value in cell.items() if key not in ("figures", "time_ratio")})
            for cell in values.pop("cells")
        ]
        return cls(**values, cells=cells)

    def to_markdown(self) -> str:
        """Machine, table, how to read it; what was skipped and what is unsure."""
        columns = COLUMNS[self.kind]
        done = [cell for cell in self.cells if cell.failure is None]
        heads = [head.format(base=self.cells[0].name) for head in columns]
        lines = [in_words(self.machine) + ".", *(f"\n**Unsure:** {doubt}." for doubt in self.doubts)]
        if done:
            rows = [[show(cell, self) for show in columns.values()] for cell in done]
            lines += ["", _row(heads), "|" + "---|" * len(heads), *map(_row, rows)]
        lines += ["", READING[self.kind](self)]
        lines += [f"\nSkipped: {reason}." for reason in self.skipped]
        return "\n".join(lines)

    def write(self, folder: Path) -> None:
        """benchmark.json and benchmark.md."""
        for name, text in (("benchmark.json", self.to_json()), ("benchmark.md", self.to_markdown())):
            with whole_file(folder / name) as unfinished:
                unfinished.write_text(text + "\n")


Column = Callable[[Cell, BenchmarkReport], str]


def _row(values: list[str]) -> str:
    return "| " + " | ".join(value.replace("|", "\\|") for value in values) + " |"


def _short(value: float) -> str:
    """Three digits, all of those before the point."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _where(cell: Cell) -> str:
    """A condition in words, for a line of its own."""
    condition = cell.condition
    parts = [_size(cell)]
    if condition.get("batch", 1) > 1:
        parts.append(f"batch {condition['batch']}")
    if condition.get("provider"):
        parts.append(condition["provider"])
    if condition.get("threads"):
        parts.append(f"{condition['threads']} thread{'s' if condition['threads'] > 1 else ''}")
    return ", ".join(parts)


def _size(cell: Cell) -> str:
    return f"{cell.condition['width']}x{cell.condition['height']}"


def _threads(cell: Cell) -> str:
    return str(cell.condition["threads"] or "all")


def _rate(cell: Cell) -> float:
    """Pictures a second."""
    return cell.condition["batch"] / cell.median


def _megapixels(cell: Cell) -> float:
    return cell.condition["width"] * cell.condition["height"] / 1e6


def _memory(cell: Cell) -> str:
    peak = cell.facts.get("peak_memory")
    return _short(peak / 1e6) if peak is not None else ""


def _peaks(report: BenchmarkReport) -> str:
    """The peaks that shares are taken of, in words."""
    done = {cell.facts["precision"]: cell for cell in report.cells if cell.failure is None}
    return ", ".join(f"{name} {_short(_peak(cell, report) / 1e9)} GFLOP/s" for name, cell in done.items())


def _compared(found: Ratio | None) -> str:
    if found is None:
        return ""
    bounds = (
        f" ({_short(found.low)}-{_short(found.high)})" if found.low < found.high else ""
    )  # equal: one round
    return _short(found.median) + bounds


def _ratio(cell: Cell, report: BenchmarkReport, speed: bool = False) -> str:
    base = base_of(cell, report.cells)
    return "1" if base is cell else _compared(ratio(base, cell) if speed else ratio(cell, base))


def _flops(cell: Cell) -> float:
    """FLOP/s."""
    return cell.facts["flop"] / cell.median


def _peak(cell: Cell, report: BenchmarkReport) -> float:
    """FLOP/s that the hardware reached in the cell's precision, in any cell and round."""
    alike = [other.facts for other in report.cells if other.failure is None]
    return max(facts["peak_flops"] for facts in alike if facts["precision"] == cell.facts["precision"])


COLUMNS: dict[str, dict[str, Column]] = {
    "networks": {
        "size": lambda cell, _: _size(cell),
        "batch": lambda cell, _: str(cell.condition["batch"]),
        "network": lambda cell, _: cell.name,
        "weights": lambda cell, _: cell.facts.get("precision") or "",
        "on": lambda cell, _: cell.facts["provider"],
        "threads": lambda cell, _: _threads(cell),
        "median ms": lambda cell, _: _short(cell.median * 1e3),
        "p95 ms": lambda cell, _: _short(cell.p95 * 1e3),
        "min ms": lambda cell, _: _short(cell.least * 1e3),
        "spread": lambda cell, _: f"{cell.spread:.0%}",
        "pictures/s": lambda cell, _: _short(_rate(cell)),
        "MP/s": lambda cell, _: _short(_rate(cell) * _megapixels(cell)),
        "memory MB": lambda cell, _: _memory(cell),
        "time / {base}": _ratio,
    },
    "training": {
        "step": lambda cell, _: cell.name,
        "images/s": lambda cell, _: _short(_rate(cell)),
        "ms per step": lambda cell, _: _short(cell.median * 1e3),
        "spread": lambda cell, _: f"{cell.spread:.0%}",
        "GFLOP per step": lambda cell, _: _short(cell.facts["flop"] / 1e9),
        "GFLOP/s": lambda cell, _: _short(_flops(cell) / 1e9),
        "share of peak": lambda cell, report: f"{_flops(cell) / _peak(cell, report):.0%}",
        "memory MB": lambda cell, _: _memory(cell),
        "first step s": lambda cell, _: _short(cell.facts["first_step"]),
        "times as fast": lambda cell, report: _ratio(cell, report, speed=True),
    },
}


def _read_networks(report: BenchmarkReport) -> str:
    return (
        f"Decoded pixels in, painted pixels out. {_turns('networks', report)} Median: of the rounds' medians;"
        " p95 and min: of all runs; spread: range of the rounds' medians. Memory: the process's largest"
        f" resident set, Python included. The last column: {_interval(report)}."
    )


def _read_training(report: BenchmarkReport) -> str:
    first = report.cells[0]
    return (
        f"A step on {first.condition['batch']} pictures of {_size(first)}, noise in memory: no decoding."
        f" {_turns('variants', report)} FLOP as torch counts them. Peak: the fastest product of two large"
        f" matrices in the same processes, {_peaks(report)}. Memory: the process's largest resident set, on a"
        " GPU what torch held there. First step: compilation included. The last column:"
        f" {_interval(report)} to {first.name}."
    )


def _turns(what: str, report: BenchmarkReport) -> str:
    rounds = "One round" if report.rounds == 1 else f"{report.rounds} rounds"
    return (
        f"{rounds} in which the {what} took turns, each time in a new process, for {report.seconds:g} s"
        " after a warm-up."
    )


def _interval(report: BenchmarkReport) -> str:
    bounds = "its 95 % interval" if report.rounds >= LEAST_FOR_95 else "their range"
    return f"the median of the rounds' ratios ({bounds})"


READING = {"networks": _read_networks, "training": _read_training}
