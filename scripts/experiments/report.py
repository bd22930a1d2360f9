"""docs/report.md from the figures of the experiments: every sentence with a number is computed from them."""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import NormalDist
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from per_image import WEIGHTS
from PIL import Image

from fast_nst.backbone.accuracy import wilson_interval
from fast_nst.evaluation.scorecard import hardware

Pictures = dict[str, np.ndarray]
Found = tuple[dict[str, Any], Pictures]


def write(
    output: Path,
    trained: dict[str, Any],
    variants: dict[str, Any],
    compared: Found,
    optimizers: Found,
    style: Path,
    options: argparse.Namespace,
) -> None:
    """report.md and its pictures in ``output``."""
    pictures = output / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    painting = np.asarray(Image.open(style).convert("RGB"))
    grid(pictures / "report-networks.jpg", {"style": painting, **compared[1]}, columns=4)
    grid(pictures / "report-optimizers.jpg", optimizers[1], columns=3)
    totals = {name: figures["totals"] for name, figures in optimizers[0].items()}
    curves(pictures / "report-optimizers.png", totals, "iteration", "total loss", log=True)
    curves(
        pictures / "report-backbones.png",
        {name: figures["top1"] for name, figures in trained.items()},
        "epoch",
        "validation top-1",
    )
    if variants:
        losses = {name: figures["loss"] for name, figures in variants.items()}
        curves(pictures / "report-variants.png", losses, "epoch", "validation loss")
    parts = [
        introduction(options),
        networks_section(compared[0], options),
        optimizers_section(optimizers[0], options),
        backbones_section(trained),
        *([variants_section(variants)] if variants else []),
    ]
    (output / "report.md").write_text("\n\n".join(parts) + "\n")
    print(output / "report.md")


def introduction(options: argparse.Namespace) -> str:
    """What this page is."""
    return (
        "# Loss networks and optimizers, compared\n\n"
        "This page is made by `scripts/experiments/build_report.py`; every number on it is computed by that"
        f" command. Settings: {options.size} px, scale {options.scale:g}, judged by {options.judge}, on"
        f" {hardware()}. Losses are dimensionless ([losses.md](losses.md))."
    )


def networks_section(found: dict[str, Any], options: argparse.Namespace) -> str:
    """Loss networks side by side, with and without smoothing."""
    rows = [
        "| loss network | content | style | total | own loss, start to end | s |",
        "|---|---|---|---|---|---|",
    ]
    for name, figures in found.items():
        judged = figures["judged"]
        own = f"{figures['own'][0]:.3g} to {figures['own'][1]:.3g}" if "own" in figures else ""
        seconds = f"{figures['seconds']:.0f}" if "seconds" in figures else ""
        rows.append(
            f"| {name} | {judged['content']:.3f} | {judged['style']:.3f} | {judged['total']:.3f}"
            f" | {own} | {seconds} |"
        )
    candidates = {name: f["judged"]["style"] for name, f in found.items() if name != "photograph"}
    order = sorted(candidates, key=lambda name: candidates[name])
    helped = [name for name in candidates if f"{name}, smoothed" in candidates]
    sentences = []
    for name in helped:
        before, after = candidates[name], candidates[f"{name}, smoothed"]
        verdict = (
            "lowers" if after < 0.95 * before else "raises" if after > 1.05 * before else "hardly changes"
        )
        sentences.append(f"- {name}: smoothing {verdict} it, {before:.3f} to {after:.3f}.")
    return "\n".join(
        [
            "## Loss networks side by side\n",
            f"One photograph, L-BFGS from the content, {round(60 * options.scale)} steps, content : style"
            f" : tv = {WEIGHTS.content:g} : {WEIGHTS.style:g} : {WEIGHTS.tv:g} for every loss network,"
            " with plain features and with activation smoothing (SWAG, Wang et al. 2021). All results are"
            f" then judged by {options.judge}, so the figures favor networks akin to it: read them beside"
            " the pictures.\n",
            "![results of every loss network](pictures/report-networks.jpg)\n",
            *rows,
            f"\nBy the judge's style loss {order[0]} comes first, {order[-1]} last. What smoothing does:\n",
            *sentences,
        ]
    )


def optimizers_section(found: dict[str, Any], options: argparse.Namespace) -> str:
    """Adam beside L-BFGS."""
    rows = ["| optimizer | after 100 | after all | s | evaluations |", "|---|---|---|---|---|"]
    for name, figures in found.items():
        totals = figures["totals"]
        rows.append(
            f"| {name} | {totals[min(100, len(totals) - 1)]:.4f} | {totals[-1]:.4f}"
            f" | {figures['seconds']:.0f} | {figures['evaluations']} |"
        )
    ends = {name: figures["totals"][-1] for name, figures in found.items()}
    best = min(ends, key=lambda name: ends[name])
    adam = min((name for name in ends if name.startswith("Adam")), key=lambda name: ends[name])
    lbfgs = found["L-BFGS"]
    share = len(lbfgs["totals"]) - 1
    reach = next((i for i, total in enumerate(lbfgs["totals"]) if total <= ends[adam]), None)
    reached = (
        f"L-BFGS reaches {adam}'s last loss after {reach} of {share} iterations."
        if reach is not None
        else f"L-BFGS does not reach {adam}'s last loss."
    )
    per_second = {name: figures["seconds"] / (len(figures["totals"]) - 1) for name, figures in found.items()}
    return "\n".join(
        [
            "## Adam and L-BFGS\n",
            "![loss by iteration](pictures/report-optimizers.png)\n",
            "![results](pictures/report-optimizers.jpg)\n",
            *rows,
            f"\nThe lowest loss after {share} iterations is {best}'s. {reached} An iteration of L-BFGS takes"
            f" {per_second['L-BFGS'] / per_second[adam]:.1f} times as long as one of Adam.",
        ]
    )


def backbones_section(trained: dict[str, Any]) -> str:
    """The custom VGG19 on both data sets."""
    rows = ["| data | test top-1 | 95 % interval | chance | minutes |", "|---|---|---|---|---|"]
    for name, figures in trained.items():
        test = figures["test"]
        low, high = wilson_interval(test["top1"], test["pictures"])
        rows.append(
            f"| {name} | {test['top1']:.1%} | {low:.1%}-{high:.1%} | {1 / figures['classes']:.1%}"
            f" | {figures['minutes']:.1f} |"
        )
    return "\n".join(
        [
            "## The custom VGG19 learns\n",
            "`fast-nst backbone train --config configs/backbone-cpu.yaml`, a quarter of VGG19's channels.\n",
            "![validation accuracy by epoch](pictures/report-backbones.png)\n",
            *rows,
        ]
    )


def variants_section(variants: dict[str, Any]) -> str:
    """Training improvements, one at a time."""
    names = list(variants)
    base = variants[names[0]]
    threshold = NormalDist().inv_cdf(1 - 0.05 / 2 / max(1, len(names) - 1))  # Bonferroni
    rows = [
        "| variant | best validation loss | test top-1 | last rate | images/s |",
        "|---|---|---|---|---|",
    ]
    sentences = []
    for name, figures in variants.items():
        test = figures["test"]
        rows.append(
            f"| {name} | {min(figures['loss']):.3f} | {test['top1']:.1%} | {figures['last_lr']:.1e}"
            f" | {figures['images_per_second']:.0f} |"
        )
        if name != names[0]:
            difference = test["top1"] - base["test"]["top1"]
            sure = z_score(test["top1"], base["test"]["top1"], test["pictures"]) > threshold
            verdict = "a difference" if sure else "no difference that one run can show"
            sentences.append(f"- {name}: {difference * 100:+.1f} points of top-1; {verdict}.")
    return "\n".join(
        [
            "## Training improvements, one at a time\n",
            f"An eighth of VGG19's channels on few CIFAR-10 pictures, against: {names[0]}.\n",
            "![validation loss by epoch](pictures/report-variants.png)\n",
            *rows,
            f"\nOne seed each. A difference is one of two proportions at the 5 % level, corrected for"
            f" {len(names) - 1} comparisons; what another seed would change is not in it.\n",
            *sentences,
        ]
    )


def z_score(a: float, b: float, count: int) -> float:
    """How far two shares of ``count`` pictures each lie apart, in standard errors."""
    pooled = (a + b) / 2
    return abs(a - b) / max(1e-9, (2 * pooled * (1 - pooled) / count) ** 0.5)


def curves(path: Path, series: dict[str, list[float]], x: str, y: str, log: bool = False) -> None:
    """Line plot of one series a name."""
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for name, values in series.items():
        start = 0 if x == "iteration" else 1
        axes.plot(range(start, start + len(values)), values, label=name, linewidth=1.5)
    axes.set(xlabel=x, ylabel=y, yscale="log" if log else "linear")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def grid(path: Path, pictures: Pictures, columns: int) -> None:
    """Pictures with their names above."""
    rows = -(-len(pictures) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(3.3 * columns, 2.6 * rows), layout="constrained")
    for spot in np.ravel(axes):
        spot.axis("off")
    for spot, (name, pixels) in zip(np.ravel(axes), pictures.items(), strict=False):
        spot.imshow(pixels)
        spot.set_title(name, fontsize=9)
    figure.savefig(path, dpi=110, pil_kwargs={"quality": 88})
    plt.close(figure)
