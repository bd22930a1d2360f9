"""Backbones for the report: what improves their training, and two that become loss networks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fast_nst.backbone.classifier import load_backbone

# One change at a time against the first.
VARIANTS: dict[str, list[str]] = {
    "AdamW, plateau, Kaiming, batch norm": [],
    "Adam (L2 decay) for AdamW": ["--optimizer.name", "adam"],
    "cosine for plateau": ["--optimizer.schedule", "cosine"],
    "bf16 autocast": ["--mixed-precision", "bf16"],
    "torch's initialization": ["--network.init", "torch"],
    "no batch norm": ["--network.batch-norm", "false"],
    "no batch norm, torch's initialization": ["--network.batch-norm", "false", "--network.init", "torch"],
}


def train(folder: Path, arguments: list[str]) -> dict[str, Any]:
    """One training, gone on with where it was interrupted; its curves and test accuracy."""
    asked = folder / "arguments.json"
    if asked.exists() and json.loads(asked.read_text()) != arguments:
        raise SystemExit(f"{folder} was trained with other settings: delete it, or give another --runs")
    if not (folder / "card.md").exists():
        folder.mkdir(parents=True, exist_ok=True)
        asked.write_text(json.dumps(arguments))
        command = [sys.executable, "-m", "fast_nst.cli", "backbone", "train", *arguments]
        subprocess.run([*command, "--output", str(folder), "--resume"], check=True)
    _, about = load_backbone(folder)
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    curves = {
        name: [event.value for event in events.Scalars(f"validation/{name}")] for name in ("loss", "top1")
    }
    rates = [event.value for event in events.Scalars("train/lr")]
    speeds = sorted(event.value for event in events.Scalars("train/images_per_second"))
    state = json.loads(next((folder / "checkpoint").glob("step-*/state.json")).read_text())
    return {
        **curves,
        "last_lr": rates[-1],
        "images_per_second": speeds[len(speeds) // 2],
        "minutes": state["seconds"] / 60,
        "test": about["test"],
        "classes": len(about["classes"]),
    }


def compare_variants(source: Path, runs: Path, epochs: int) -> dict[str, Any]:
    """All `VARIANTS` on the same few pictures with the same seed."""
    common = ["--data.source", str(source), "--epochs", str(epochs), "--data.workers", "1"]
    common += ["--network.width", "8", "--network.hidden", "64", "--network.dropout", "0.1"]
    common += ["--optimizer.patience", "1", "--optimizer.warmup", "50", "--log-every", "5"]
    return {
        name: train(runs / f"variant-{index}", [*common, *more])
        for index, (name, more) in enumerate(VARIANTS.items())
    }


def few_pictures(source: str, count: int, path: Path) -> Path:
    """``count`` rows of a parquet file, drawn with a fixed seed, as another."""
    if not path.exists():
        import datasets

        path.parent.mkdir(parents=True, exist_ok=True)
        whole = datasets.load_dataset("parquet", data_files=source, split="train")
        whole.shuffle(seed=0).select(range(min(count, len(whole)))).to_parquet(path)
    return path
