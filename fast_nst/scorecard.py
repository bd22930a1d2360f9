"""A scorecard as JSON, Markdown and a contact sheet."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from fast_nst.evaluate import UNCHANGED, Scorecard, Way, quartiles
from fast_nst.files import whole_file
from fast_nst.pictures import encode_picture
from fast_nst.runtime.machine import cpu_name

GAP = 4  # px between the pictures of a contact sheet


def write_scorecard(card: Scorecard) -> Path:
    """scorecard.json, scorecard.md and contact-sheet.jpg in ``options.output``; returns the Markdown."""
    folder = card.options.output
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (
        ("scorecard.json", json.dumps(as_dict(card), indent=1)),
        ("scorecard.md", as_markdown(card)),
    ):
        with whole_file(folder / name) as unfinished:
            unfinished.write_text(text + "\n")
    if card.sheet:
        encode_picture(folder / "contact-sheet.jpg", contact_sheet(card), quality=90)
    return folder / "scorecard.md"


def as_dict(card: Scorecard) -> dict[str, Any]:
    """Plain values; iterations that the baseline did not reach are null."""
    options = card.options
    return {
        "style": Path(options.style).name,
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
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{cpu_name()}, {os.cpu_count()} CPU cores{gpu}"


def as_markdown(card: Scorecard) -> str:
    """The table of all ways, and how many iterations each network equals."""
    options = card.options
    taps = [name for name in card.ways[UNCHANGED].terms[0] if name.startswith("style/")]
    names = ["content", "style", *taps, "tv", "total"]
    timed = options.baseline > 0
    heads = ["", *(name.removeprefix("style/") for name in names)]
    heads += ["equals iterations (quartiles)", "s per picture", "faster"] if timed else ["s per picture"]
    lines = [
        f"# Scorecard: {Path(options.style).name}\n",
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
