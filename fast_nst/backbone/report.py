"""What a backbone's training shows of itself: its file's header, the worst classes, the card."""

from __future__ import annotations

import logging
from typing import Any

from fast_nst.backbone.accuracy import Accuracy, wilson_interval
from fast_nst.backbone.config import BackboneConfig
from fast_nst.backbone.labelled import Splits
from fast_nst.errors import one_line
from fast_nst.training.folder import write_text
from fast_nst.training.report import without_folders

logger = logging.getLogger("fast_nst")


def log_splits(data: Splits, config: BackboneConfig) -> None:
    """Log the sizes of the splits, and what could not be read."""
    logger.info(
        "%s: %d classes, %d pictures to train on, %d to validate, %d to test",
        *(config.data_name, len(data.train.classes)),
        *(len(part.labels) for part in (data.train, data.validation, data.test)),
    )
    for name in data.unreadable:
        logger.warning("skipped %s", name)


def in_words(found: Accuracy) -> str:
    """Both accuracies with their 95 % intervals."""
    parts = []
    for name, share in (("top-1", found.top1), ("top-5", found.top5)):
        low, high = wilson_interval(share, found.pictures)
        parts.append(f"{name} {share:.2%} [{low:.2%}, {high:.2%}]")
    return f"{', '.join(parts)} of {found.pictures} pictures"


def worst_table(found: Accuracy, classes: tuple[str, ...]) -> str:
    """The classes with the lowest accuracy and what they are taken for, in Markdown."""
    rows = [
        f"| {name} | {right:.0%} | {wrong} | {share:.0%} |"
        for name, right, wrong, share in found.worst(classes)
    ]
    return "\n".join(["| class | right | most often taken for | share |", "|---|---|---|---|", *rows])


def about_backbone(config: BackboneConfig, best_epoch: int, found: Accuracy) -> dict[str, Any]:
    """What the file says of its origin."""
    return {
        "name": f"vgg19-{config.data_name}",
        "license": config.license,
        "origin": f"trained from random weights by fast-nst backbone train on {config.data_name}",
        "size": config.data.size,
        "best_epoch": best_epoch,
        "test": {"top1": found.top1, "top5": found.top5, "pictures": found.pictures, "loss": found.loss},
        "config": without_folders({**config.to_dict(), "output": None}),
    }


def write_card(
    config: BackboneConfig,
    history: list[dict[str, float]],
    seconds: float,
    best_epoch: int,
    found: Accuracy,
    data: Splits,
) -> None:
    """card.md of a finished run: recipe, accuracy, curves as a table, worst classes."""
    network = config.network
    rows = {
        "network": f"VGG19, width {network.width}, batch norm {'on' if network.batch_norm else 'off'}",
        "data": f"{config.data_name}, {len(data.train.classes)} classes, {config.data.size} px",
        "pictures": f"{len(data.train.labels)} to train on, {len(data.validation.labels)} to validate",
        "epochs": f"{len(history)}, the best is {best_epoch}",
        "time": f"{seconds / 60:.1f} min of training steps",
        "test": in_words(found),
        "license": config.license,
    }
    table = [f"| {name} | {one_line(value)} |" for name, value in rows.items()]
    names = ("train_loss", "validation_loss", "top1", "top5", "lr")
    curve = [
        f"| {epoch} | " + " | ".join(f"{entry[name]:.4g}" for name in names) + " |"
        for epoch, entry in enumerate(history, start=1)
    ]
    lines = [
        f"# VGG19 on {config.data_name}\n",
        *("| | |", "|---|---|", *table, ""),
        "Use it as a loss network: `fast-nst train --loss.network model.safetensors`.\n",
        "## Worst classes\n",
        worst_table(found, data.train.classes),
        "\n## Epochs\n",
        "| epoch | train loss | validation loss | top-1 | top-5 | learning rate |",
        "|---|---|---|---|---|---|",
        *curve,
    ]
    write_text(config.run_folder / "card.md", "\n".join(lines) + "\n")
