"""`fast-nst backbone evaluate`: a trained backbone's accuracy on labelled pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from fast_nst.backbone.accuracy import measure_accuracy
from fast_nst.backbone.classifier import load_backbone
from fast_nst.backbone.labelled import LabelledConfig, open_labelled, open_test
from fast_nst.backbone.report import in_words, worst_table
from fast_nst.errors import UserError


@dataclass
class EvaluateBackbone:
    """What a backbone is judged on, at the size it was trained at."""

    source: str | None = None
    """The data it was trained on: its test split is used, split off as in the training."""
    test: str | None = None
    """A folder or parquet file to judge on, all of it."""
    root: Path = Path("data")
    """Where torchvision puts what it downloads."""
    batch: int = 128
    """Pictures at a time."""

    def __post_init__(self) -> None:
        if (self.source is None) == (self.test is None):
            raise UserError("give either --source DATA, what it was trained on, or --test PICTURES")
        if self.batch < 1:
            raise UserError("--batch must be at least 1")


def evaluate_backbone(path: Path, options: EvaluateBackbone) -> str:
    """Top-1 and top-5 with their 95 % intervals and the worst classes, in Markdown.

    Raises:
        UserError: no such backbone, or data with other classes.
    """
    network, about = load_backbone(path)
    classes, size = tuple(about["classes"]), int(about["size"])
    if options.test is not None:
        test = open_test(options.test, options.root, size, classes)
    else:
        assert options.source is not None
        shares = {name: about["config"]["data"][name] for name in ("test_share", "validation_share")}
        data = LabelledConfig(source=options.source, root=options.root, size=size, **shares)
        test = open_labelled(data).test
    if test.classes != classes:
        raise UserError(
            f"{path} knows {len(classes)} classes ({', '.join(classes[:3])} ...),"
            f" {options.source} has {len(test.classes)} ({', '.join(test.classes[:3])} ...)"
        )
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    found = measure_accuracy(network.to(device), test, size, options.batch)
    return f"{in_words(found)}\n\n{worst_table(found, test.classes)}"
