"""`fast-nst benchmark`: latency, throughput and memory of networks beside each other.

Measured is what a user waits for: decoded pixels in, painted pixels out, through `Stylizer`.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fast_nst.benchmark.report import BenchmarkReport
from fast_nst.benchmark.rounds import Subject, measure
from fast_nst.errors import UserError, one_line
from fast_nst.files import check_writable
from fast_nst.lists import picture_size
from fast_nst.machine.description import describe_machine, doubts
from fast_nst.runtime.graph import weights_precision
from fast_nst.runtime.listing import describe_model
from fast_nst.runtime.models import Model, find_model, unique_names
from fast_nst.runtime.providers import choose_providers

logger = logging.getLogger("fast_nst")
WORKER = ("-m", "fast_nst.benchmark.worker")


@dataclass
class RoundsOptions:
    """How long is measured, and where the result goes."""

    rounds: int = 6
    """Times everything is measured anew, in turns. Six are the fewest that give a 95 % interval."""
    seconds: float = 1.0
    """Seconds of measured runs per cell and round, at least three runs."""
    output: Path | None = None
    """Folder for benchmark.json and benchmark.md. Default: none is written."""
    json: bool = False
    """JSON on stdout in place of Markdown."""

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise UserError(f"--rounds must be at least 1, not {self.rounds}")
        if not 0 < self.seconds < float("inf"):
            raise UserError(f"--seconds must be above 0, not {self.seconds}")
        if self.output is not None:
            self.output = Path(self.output)


@dataclass
class BenchmarkOptions(RoundsOptions):
    """What networks are measured on."""

    sizes: int | str = "256,512,720p"
    """Picture sizes with commas between: 512 (square), 640x360, or 720p, 1080p, ... (16:9)."""
    threads: int | str | None = None
    """Numbers of CPU threads with commas between. Default: one per core."""
    providers: str | None = None
    """What to run on with commas between, each measured by itself: cpu, cuda, tensorrt, ...
    Default: cuda if this onnxruntime has it, else cpu."""
    batch: int = 1
    """Pictures per run."""

    def __post_init__(self) -> None:
        super().__post_init__()
        parse_sizes(self.sizes)
        parse_threads(self.threads)
        if self.batch < 1:
            raise UserError(f"--batch must be at least 1, not {self.batch}")

    def conditions(self) -> list[dict[str, Any]]:
        """Every combination of size, provider and threads, as the worker takes it."""
        providers = [None] if self.providers is None else [name.strip() for name in self.providers.split(",")]
        combinations = itertools.product(parse_sizes(self.sizes), providers, parse_threads(self.threads))
        return [
            {"width": width, "height": height, "batch": self.batch, "provider": provider, "threads": threads}
            for (width, height), provider, threads in combinations
        ]


def parse_sizes(text: int | str) -> list[tuple[int, int]]:
    """ "512,640x360,720p" to [(width, height), ...]; raises UserError for anything else."""
    return [picture_size(part.strip(), "--sizes") for part in str(text).split(",")]


def parse_threads(text: int | str | None) -> list[int | None]:
    """ "1,2" to [1, 2], None to [None]; raises UserError for anything else."""
    if text is None:
        return [None]
    parts = [part.strip() for part in str(text).split(",")]
    wrong = [part for part in parts if not part.isdecimal() or int(part) < 1]
    if wrong:
        raise UserError(f"--threads: {wrong[0]!r} is no number of threads; give 1 or more, as in 1,2")
    return [int(part) for part in parts]


def model_subjects(models: Sequence[Model], names: Sequence[str]) -> list[Subject]:
    """Models as `measure` takes them."""
    return [
        Subject(name, WORKER, {"path": str(model.path), "style": model.style})
        for name, model in zip(names, models, strict=True)
    ]


def benchmark(models: Sequence[str], options: BenchmarkOptions) -> BenchmarkReport:
    """Measure ``models``, ONNX files, run folders or names; compared with the first of them.

    Raises UserError before any measurement for a model or provider that is not there, or an output
    that cannot be written. What fails in a worker is told by the report.
    """
    found = [find_model(name) for name in models]
    described = [describe_model(model) for model in found]
    conditions = options.conditions()
    for condition in conditions:
        choose_providers([condition["provider"]] if condition["provider"] is not None else None)
    report = start_report(options, [c["threads"] for c in conditions if c["threads"]])
    names = unique_names(found)
    report.cells = measure(
        model_subjects(found, names), conditions, rounds=options.rounds, seconds=options.seconds
    )
    told = {
        name: model["metadata"].get("precision") or weights_precision(model["path"])
        for name, model in zip(names, described, strict=True)
    }
    for cell in report.cells:
        cell.facts["precision"] = told[cell.name]
    return report


def start_report(options: RoundsOptions, threads: list[int]) -> BenchmarkReport:
    """An empty report of this machine; says at once what will make its times unsure.

    Raises UserError for an output that cannot be written.
    """
    if options.output is not None:
        try:
            check_writable(options.output / "benchmark.json")
        except OSError as error:
            why = error.strerror or one_line(error)
            raise UserError(f"cannot write --output {options.output}: {why}") from error
    machine = describe_machine()
    report = BenchmarkReport(machine, doubts(machine, threads), options.rounds, options.seconds)
    for doubt in report.doubts:
        logger.warning("warning: %s", doubt)
    return report
