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

from fast_nst.evaluation import quality, sharpness
from fast_nst.evaluation.options import EvaluateOptions
from fast_nst.evaluation.quality import UNCHANGED, QualityCard
from fast_nst.files import whole_file
from fast_nst.machine.description import cpu_name
from fast_nst.pictures import encode_picture

if TYPE_CHECKING:
    from fast_nst.networks.features import LossNetwork

STYLE = "style picture"  # its row in the table of sharpness
GAP = 4  # px between the pictures of a contact sheet


@dataclass
class MethodResult:
    """One method of stylizing on all photographs."""

    terms: list[dict[str, float]] = field(default_factory=list)
    """Loss terms of each result."""
    octaves: list[np.ndarray] = field(default_factory=list)
    """`fast_nst.evaluation.sharpness.octaves` of each result."""
    equals: list[float] = field(default_factory=list)
    """Iterations of the baseline that reach each total; inf = more than it was given."""
    seconds: float | None = None
    """A picture's time, median over runs."""

    def mean(self, name: str) -> float:
        """Of a loss term over the photographs."""
        return float(np.mean([terms[name] for terms in self.terms]))

    def median(self, name: str) -> float:
        """Of a loss term over the photographs."""
        return float(np.median([terms[name] for terms in self.terms]))

    @property
    def sharpness(self) -> np.ndarray:
        """`octaves` over all photographs, root of the mean square."""
        return np.asarray(np.sqrt(np.mean(np.square(self.octaves), axis=0)))


@dataclass
class Scorecard:
    """All methods of stylizing beside each other."""

    methods: dict[str, MethodResult]
    photographs: list[str]
    sheet: list[list[np.ndarray]]
    """Rows of pictures, in the order of ``methods``."""
    style: np.ndarray
    loss_network: LossNetwork
    iteration_seconds: float | None
    """A baseline iteration's time, median."""
    options: EvaluateOptions
    skipped: list[str] = field(default_factory=list)
    """Photographs that could not be judged, and why."""


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
        "style_sharpness": dict(zip(sharpness.BANDS, _style_octaves(card).round(2).tolist(), strict=True)),
        "methods": {name: _method(method, card) for name, method in card.methods.items()},
    }


def _method(method: MethodResult, card: Scorecard) -> dict[str, Any]:
    found: dict[str, Any] = {
        "median": {name: method.median(name) for name in method.terms[0]},
        "mean": {name: method.mean(name) for name in method.terms[0]},
        "each": method.terms,
        "sharpness": sharpness.as_dict(
            method.sharpness, card.methods[UNCHANGED].sharpness, _style_octaves(card)
        ),
    }
    if method.equals:
        lower, median, upper = (_finite(value) for value in quartiles(method.equals))
        found["equals_iterations"] = {
            "lower_quartile": lower,
            "median": median,
            "upper_quartile": upper,
            "each": [_finite(value) for value in method.equals],
        }
    if method.seconds is not None:
        found["seconds"] = method.seconds
        if card.iteration_seconds is not None:
            baseline = card.options.baseline * card.iteration_seconds
            found["times_faster_than_baseline"] = baseline / method.seconds
    return found


def _style_octaves(card: Scorecard) -> np.ndarray:
    return sharpness.octaves(card.style)


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
    """The tables of all methods, and how many iterations each network equals."""
    options = card.options
    weights = " + ".join(f"{weight:g} {name}" for name, weight in vars(options.loss.weights).items())
    parts = [
        f"# Scorecard: {Path(str(options.style)).name}\n\n{len(card.photographs)} held-out photographs,"
        f" longer side {options.size} px, under the loss network {card.loss_network.info.name} (content"
        f" {_content_tap(card)}); dimensionless losses, total = {weights}."
    ]
    timed = options.baseline > 0
    for heading, median in (("Medians", True), ("Means", False)):
        names = _term_names(card)
        heads = ["", *(name.removeprefix("style/") for name in names)]
        if median:
            heads += ["equals iterations (quartiles)"] * timed + ["s per picture"] + ["faster"] * timed
        lines = [f"## {heading}\n", "| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
        for name, method in card.methods.items():
            value = method.median if median else method.mean
            cells = [name, *(f"{value(term):.4f}" for term in names)]
            cells += _times(method, card) if median else []
            lines.append("| " + " | ".join(cells) + " |")
        parts.append("\n".join(lines))
    if card.iteration_seconds is not None:
        parts.append(
            f"The baseline is L-BFGS on the pixels, from noise: {card.iteration_seconds:.3f} s an"
            f' iteration, {options.baseline} iterations. "Equals" is the iteration at which its total loss'
            f' falls to the network\'s; "faster" compares with all {options.baseline}. {hardware()}.'
        )
    rows = {name: method.sharpness for name, method in card.methods.items()}
    first, rest = rows.pop(UNCHANGED), rows
    rows = {UNCHANGED: first, STYLE: _style_octaves(card), **rest}
    parts.append(sharpness.as_markdown(rows, UNCHANGED, STYLE))
    if card.sheet:
        columns = ["content", "style", *(name for name in card.methods if name != UNCHANGED)]
        parts.append(f"![{', '.join(columns)}](contact-sheet.jpg)\n\nColumns: {', '.join(columns)}.")
    return "\n\n".join(parts)


def _content_tap(card: Scorecard) -> str:
    return card.options.loss.content_tap or card.loss_network.info.content_tap


def _term_names(card: Scorecard) -> list[str]:
    """All terms that were measured, each layer's behind the style they make up, the total last."""
    names = list(card.methods[UNCHANGED].terms[0])
    taps = [name for name in names if name.startswith("style/")]
    others = [name for name in names if name not in ("total", "content", "style", *taps)]
    return ["content", "style", *taps, *others, "total"]


def _times(method: MethodResult, card: Scorecard) -> list[str]:
    """Cells: iterations it equals, seconds, times faster than the baseline."""
    baseline = card.options.baseline
    seconds = f"{method.seconds:.4f}" if method.seconds is not None else ""
    if not baseline:
        return [seconds]
    faster = ""
    if card.iteration_seconds is not None and method.seconds:
        faster = f"{baseline * card.iteration_seconds / method.seconds:.0f}x"
    return [_in_words(method, baseline) if method.equals else "", seconds, faster]


def _in_words(method: MethodResult, most: int) -> str:
    lower, median, upper = (
        f"{value:.0f}" if math.isfinite(value) else f">{most}" for value in quartiles(method.equals)
    )
    return f"{median} ({lower}-{upper})"


def contact_sheet(card: Scorecard) -> np.ndarray:
    """Rows of pictures at equal heights, the style behind the content; uint8 [H, W, 3]."""
    height = max(row[0].shape[0] for row in card.sheet)
    rows = [[row[0], card.style, *row[1:]] for row in card.sheet]
    scaled = [[to_height(pixels, height) for pixels in row] for row in rows]
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


def to_height(pixels: np.ndarray, height: int) -> np.ndarray:
    """uint8 [H, W, 3] resized to that height, the aspect kept."""
    width = max(1, round(pixels.shape[1] * height / pixels.shape[0]))
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS))
