"""The card of a gallery style: picture strip, loss curve, and what was measured of its networks."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fast_nst import Stylizer
from fast_nst.evaluate import evaluate
from fast_nst.evaluate_options import EvaluateOptions
from fast_nst.loss_config import LossWeights, PerceptualConfig
from fast_nst.pictures import encode_picture
from fast_nst.quality import summary
from fast_nst.runtime.benchmark import BenchmarkOptions, benchmark
from fast_nst.runtime.machine import in_words
from fast_nst.training.styles import style_path

HEIGHT = 256  # of each row of a strip
# The recipes' own loss: see configs/gallery.
LOSS = PerceptualConfig("vgg19-compact", None, "relu2_1", downscale=2, weights=LossWeights(style=8))
COUNT, SIZE = 16, 384  # held-out photographs, their longer side


def strip(style: str, models: list[Path]) -> np.ndarray:
    """Style and three of scikit-image's photographs (CC0, public domain), below the networks' answers."""
    from skimage import data

    contents = [picture()[..., :3] for picture in (data.chelsea, data.astronaut, data.coffee)]
    scaled = [_to_height(pixels, HEIGHT) for pixels in contents]
    rows = [np.concatenate(scaled, 1)]
    for model in models:
        stylizer = Stylizer(model)
        rows.append(np.concatenate([_to_height(stylizer(pixels), HEIGHT) for pixels in contents], 1))
    painting = _to_height(np.asarray(Image.open(style_path(style)).convert("RGB")), HEIGHT)
    left = np.full((HEIGHT * len(rows), painting.shape[1], 3), 255, np.uint8)
    left[:HEIGHT] = painting
    return np.concatenate([left, np.concatenate(rows)], 1)


def loss_curve(runs: list[Path], path: Path) -> None:
    """Validation loss of every run over its steps."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    figure, axes = pyplot.subplots(figsize=(5, 2.5), dpi=80)
    for run in runs:
        events = EventAccumulator(str(run / "tensorboard"))
        events.Reload()
        points = events.Scalars("validation/total")
        axes.plot([point.step for point in points], [point.value for point in points], "o-", label=run.name)
    axes.set(xlabel="step", ylabel="validation loss")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)


def measure(
    style: str, models: list[Path], heldout: Path, flow: Path | None, before: dict[str, Any]
) -> dict[str, Any]:
    """Losses on held-out photographs, speed, stability and artefacts, by network.

    What ``before``, an earlier answer, tells of the same files is not measured again, but for the speed.
    """
    files = {model: hashlib.sha256(model.read_bytes()).hexdigest() for model in models}
    told = {model.stem: before.get(model.stem, {}) for model in models}
    fresh = [model for model in models if told[model.stem].get("sha256") != files[model]]
    if fresh:
        options = EvaluateOptions(style=style, content=heldout, count=COUNT, size=SIZE, baseline=0, loss=LOSS)
        ways = evaluate([str(model) for model in fresh], options).ways
        for model in fresh:
            way = ways[model.stem]
            terms = {name: round(way.mean(name), 4) for name in ("content", "style", "tv", "total")}
            told[model.stem] = {"sha256": files[model], "losses": terms, **summary(model, flow)}
    for model, speed in zip(models, speeds(models), strict=True):
        told[model.stem]["speed"] = speed
    return told


def speeds(models: list[Path]) -> list[dict[str, Any]]:
    """Milliseconds per picture, what `fast-nst benchmark --sizes 512 --rounds 3 --seconds 0.5` gives."""
    report = benchmark([str(model) for model in models], BenchmarkOptions(3, 0.5, sizes=512))
    machine = in_words(report.machine)
    return [{"ms at 512x512": round(1000 * cell.median, 1), "machine": machine} for cell in report.cells]


def write_card(path: Path, title: str, origin: str, measured: dict[str, Any], runs: list[Path]) -> None:
    """As Markdown, with the figures beside it as JSON."""
    rows: dict[str, list[str]] = {"recipe": [f"`configs/gallery/{name}.yaml`" for name in measured]}
    about = [Stylizer(path.parents[1] / "styles" / f"{name}.onnx").metadata for name in measured]
    rows["network"] = [f"{item['network']}, width {item['width']}, {item['blocks']} blocks" for item in about]
    rows["training"] = [_from_card(run, "steps x pictures") + ", " + _from_card(run, "time") for run in runs]
    for group in ("losses", "speed", "stability", "artefacts"):
        for name in next(iter(measured.values()))[group]:
            cells = [network[group][name] for network in measured.values()]
            rows[f"{group}: {name}"] = [_cell(cell) for cell in cells]
    head = f"| | {' | '.join(f'`{name}`' for name in measured)} |\n|---|{'---|' * len(measured)}"
    table = "\n".join(f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items())
    text = (
        f"# {title}\n\n![style picture, photographs, what the networks make of them]({path.stem}.jpg)\n\n"
        f"Style picture: {origin}. Networks: MIT. First row the photographs, then"
        f" {' and '.join(f'`{name}`' for name in measured)}.\n\n{head}\n{table}\n\n"
        f"Losses: mean over {COUNT} held-out BSDS500 photographs at {SIZE} px, under the loss of the recipe;"
        " stability and artefacts: docs/quality.md.\n\n"
        f"![validation loss over the steps]({path.stem}-loss.png)\n"
    )
    path.write_text(text, encoding="utf-8")
    path.with_suffix(".json").write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")


def write_index(cards: Path, titles: dict[str, str]) -> None:
    """A table of all networks that have a card, in the folder's README.md."""
    heads = ("", "style", "total loss", "ms", "1 px", "noise", "e_stab", "lattice", "frame", "blobs", "weave")
    rows = [heads, ("---",) * len(heads)]
    for name, title in titles.items():
        for network, told in json.loads((cards / f"{name}.json").read_text(encoding="utf-8")).items():
            still, clean, e_stab = told["stability"], told["artefacts"], told["stability"].get("e_stab", {})
            measures = [told["losses"]["total"], told["speed"]["ms at 512x512"], still["shift_1px"]]
            measures += [still["noise"], " / ".join(map(str, e_stab.values())), clean["lattice"]]
            measures += [clean["frame"], clean["blobs"], clean["weave"]]
            rows.append((f"[{network}]({name}.md)", title, *map(str, measures)))
    text = (
        "# The gallery\n\nLosses: mean over held-out photographs under the recipe's loss. ms: a picture of"
        " 512x512 on the machine the cards name. e_stab: warped error between frames, alley_1 and cave_2 of"
        " MPI-Sintel. The others: [docs/quality.md](../../docs/quality.md). Written by"
        " `scripts/gallery.py publish`.\n\n"
    )
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    (cards / "README.md").write_text(text + table + "\n", encoding="utf-8")


def publish_strip(path: Path, pixels: np.ndarray) -> None:
    """A JPEG of moderate size."""
    encode_picture(path, pixels, quality=85)


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {part}" for name, part in value.items())
    return str(value)


def _from_card(run: Path, row: str) -> str:
    found = re.search(rf"^\| {re.escape(row)} \| (.*?) \|$", (run / "card.md").read_text(), re.MULTILINE)
    return found[1] if found else "?"


def _to_height(pixels: np.ndarray, height: int) -> np.ndarray:
    picture = Image.fromarray(pixels)
    width = round(picture.width * height / picture.height)
    return np.asarray(picture.resize((width, height), Image.Resampling.LANCZOS))


def contact_sheet(styles: dict[str, str], models: dict[str, Path]) -> np.ndarray:
    """One photograph after every style, the style picture in a corner; uint8, five to a row, then white."""
    from skimage import data

    photograph = data.chelsea()[:, 60:360]  # [300, 300, 3]
    cells = []
    for name, picture in styles.items():
        cell = Image.fromarray(Stylizer(models[name])(photograph))
        corner = Image.open(style_path(picture)).convert("RGB")
        corner.thumbnail((90, 90), Image.Resampling.LANCZOS)
        cell.paste(Image.new("RGB", (corner.width + 4, corner.height + 4), "white"), (0, 0))
        cell.paste(corner, (2, 2))
        cells.append(np.asarray(cell))
    cells += [np.full_like(cells[0], 255)] * (-len(cells) % 5)
    rows = [np.concatenate(cells[at : at + 5], 1) for at in range(0, len(cells), 5)]
    return np.concatenate(rows)
