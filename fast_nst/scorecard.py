"""A scorecard as JSON, Markdown and a contact sheet; without torch, which not all measures need."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from fast_nst import quality
from fast_nst.evaluate_options import EvaluateOptions
from fast_nst.files import whole_file
from fast_nst.pictures import encode_picture
from fast_nst.quality import UNCHANGED, QualityCard
from fast_nst.runtime.machine import cpu_name

if TYPE_CHECKING:
    from fast_nst.networks.features import LossNetwork

GAP = 4  # px between the pictures of a contact sheet


@dataclass
class Way:
    """One way of stylizing on all photographs."""

    terms: list[dict[str, float]] = field(default_factory=list)
    """Loss terms of each result."""
    equals: list[float] = field(default_factory=list)
    """Iterations of the baseline that reach each total; inf = more than it was given."""
    seconds: float | None = None
    """A picture's time, median over runs."""

    def mean(self, name: str) -> float:
        """Of a loss term over the photographs."""
        return float(np.mean([terms[name] for terms in self.terms]))


@dataclass
class Scorecard:
    """All ways of stylizing beside each other."""

    ways: dict[str, Way]
    photographs: list[str]
    sheet: list[list[np.ndarray]]
    """Rows of pictures, in the order of ``ways``."""
    style: np.ndarray
    loss_network: LossNetwork
    iteration_seconds: float | None
    """A baseline iteration's time, median."""
    options: EvaluateOptions
    skipped: list[str] = field(default_factory=list)
    """Photographs that could not be read, and why."""


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Lower quartile, median, upper quartile, each one of the values, so that inf may be among them."""
    lower, median, upper = np.quantile(values, [0.25, 0.5, 0.75], method="inverted_cdf")
    return float(lower), float(median), float(upper)


def write_scorecard(options: EvaluateOptions, losses: Scorecard | None, measured: QualityCard | None) -> Path:
    """scorecard.json, scorecard.md and contact-sheet.jpg in ``options.output``; returns the Markdown."""
    folder = options.output
    folder.mkdir(parents=True, exist_ok=True)
    found = as_dict(losses) if losses is not None else {}
    if measured is not None:
        found["quality"] = quality.as_dict(measured)
    for name, text in (
        ("scorecard.json", json.dumps(found, indent=1)),
        ("scorecard.md", as_markdown(losses, measured)),
    ):
        with whole_file(folder / name) as unfinished:
            unfinished.write_text(text + "\n")
    if losses is not None and losses.sheet:
        encode_picture(folder / "contact-sheet.jpg", contact_sheet(losses), quality=90)
    return folder / "scorecard.md"


def as_dict(card: Scorecard) -> dict[str, Any]:
    """Plain values; iterations that the baseline did not reach are null."""
    options = card.options
    return {
        "style": Path(str(options.style)).name,
        "loss_network": card.loss_network.info.name,
        "loss_network_sha256": card.loss_network.weights_sha256,
        "weights": vars(options.loss.weights),
        "size": options.size,
        "style_size": options.style_size,
        "photographs": card.photographs,
        "baseline_iterations": options.baseline,
        "baseline_seconds_per_iteration": card.iteration_seconds,
        "hardware": hardware(),
        "ways": {name: _way(way, card) for name, way in card.ways.items()},
    }


def _way(way: Way, card: Scorecard) -> dict[str, Any]:
    found: dict[str, Any] = {"mean": {name: way.mean(name) for name in way.terms[0]}, "each": way.terms}
    if way.equals:
        lower, median, upper = (_finite(value) for value in quartiles(way.equals))
        found["equals_iterations"] = {
            "lower_quartile": lower,
            "median": median,
            "upper_quartile": upper,
            "each": [_finite(value) for value in way.equals],
        }
    if way.seconds is not None:
        found["seconds"] = way.seconds
        if card.iteration_seconds is not None:
            found["times_faster_than_baseline"] = card.options.baseline * card.iteration_seconds / way.seconds
    return found


def _finite(value: float) -> int | None:
    return int(value) if math.isfinite(value) else None


def hardware() -> str:
    """What the times were measured on; the baseline runs on the GPU where there is one."""
    import torch  # only where losses were judged

    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{cpu_name()}, {os.cpu_count()} CPU cores{gpu}"


def as_markdown(losses: Scorecard | None, measured: QualityCard | None) -> str:
    """Everything that was measured, as tables."""
    parts = [_losses(losses)] if losses is not None else ["# Scorecard"]
    return "\n\n".join([*parts, quality.as_markdown(measured)] if measured is not None else parts)


def _losses(card: Scorecard) -> str:
    """The table of all ways, and how many iterations each network equals."""
    options = card.options
    taps = [name for name in card.ways[UNCHANGED].terms[0] if name.startswith("style/")]
    names = ["content", "style", *taps, "tv", "total"]
    timed = options.baseline > 0
    heads = ["", *(name.removeprefix("style/") for name in names)]
    heads += ["equals iterations (quartiles)", "s per picture", "faster"] if timed else ["s per picture"]
    lines = [
        f"# Scorecard: {Path(str(options.style)).name}\n",
        f"{len(card.photographs)} held-out photographs, longer side {options.size} px, under the loss network"
        f" {card.loss_network.info.name}; means of dimensionless losses.\n",
        "| " + " | ".join(heads) + " |",
        "|" + "---|" * len(heads),
    ]
    for name, way in card.ways.items():
        cells = [name, *(f"{way.mean(term):.4f}" for term in names)]
        if timed:
            cells.append(_in_words(way, options.baseline) if way.equals else "")
        cells.append(f"{way.seconds:.4f}" if way.seconds is not None else "")
        if timed and card.iteration_seconds is not None:
            ratio = options.baseline * card.iteration_seconds / way.seconds if way.seconds else None
            cells.append(f"{ratio:.0f}x" if ratio is not None else "")
        lines.append("| " + " | ".join(cells) + " |")
    if card.iteration_seconds is not None:
        lines.append(
            f"\nThe baseline is L-BFGS on the pixels, from the photograph: {card.iteration_seconds:.3f} s an"
            f' iteration, {options.baseline} iterations. "Equals" is the iteration at which its total loss'
            f' falls to the network\'s; "faster" compares with all {options.baseline}. {hardware()}.'
        )
    if card.sheet:
        columns = ["content", "style", *(name for name in card.ways if name != UNCHANGED)]
        lines.append(f"\n![{', '.join(columns)}](contact-sheet.jpg)\n\nColumns: {', '.join(columns)}.")
    return "\n".join(lines)


def _in_words(way: Way, most: int) -> str:
    lower, median, upper = (
        f"{value:.0f}" if math.isfinite(value) else f">{most}" for value in quartiles(way.equals)
    )
    return f"{median} ({lower}-{upper})"


def contact_sheet(card: Scorecard) -> np.ndarray:
    """Rows of pictures at equal heights, the style behind the content; uint8 [H, W, 3]."""
    height = max(row[0].shape[0] for row in card.sheet)
    rows = [[row[0], card.style, *row[1:]] for row in card.sheet]
    scaled = [[_to_height(pixels, height) for pixels in row] for row in rows]
    widths = [max(pixels.shape[1] for pixels in column) for column in zip(*scaled, strict=True)]
    sheet = np.full(
        (len(rows) * (height + GAP) - GAP, sum(widths) + GAP * (len(widths) - 1), 3), 255, np.uint8
    )
    for index, row in enumerate(scaled):
        left, top = 0, index * (height + GAP)
        for width, pixels in zip(widths, row, strict=True):
            sheet[top : top + height, left : left + pixels.shape[1]] = pixels
            left += width + GAP
    return sheet


def _to_height(pixels: np.ndarray, height: int) -> np.ndarray:
    width = max(1, round(pixels.shape[1] * height / pixels.shape[0]))
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS))
