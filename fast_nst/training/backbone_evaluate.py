"""`fast-nst backbone evaluate`: a trained backbone's accuracy on labelled pictures."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch

from fast_nst.errors import UserError
from fast_nst.labelled import LabelledConfig, open_labelled
from fast_nst.networks.classifier import load_backbone
from fast_nst.training.accuracy import measure_accuracy
from fast_nst.training.backbone_report import in_words, worst_table


@dataclass
class EvaluateBackbone:
    """What a backbone is judged on."""

    data: LabelledConfig = field(default_factory=LabelledConfig)
    """Only its test split is used."""


def evaluate_backbone(path: Path, options: EvaluateBackbone) -> str:
    """Top-1 and top-5 with their 95 % intervals and the worst classes, in Markdown.

    Raises:
        UserError: no such backbone, or data with other classes.
    """
    network, about = load_backbone(path)
    test = open_labelled(options.data).test
    if list(test.classes) != about["classes"]:
        raise UserError(
            f"{path} knows {len(about['classes'])} classes ({', '.join(about['classes'][:3])} ...),"
            f" {options.data.source} has {len(test.classes)} ({', '.join(test.classes[:3])} ...)"
        )
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    found = measure_accuracy(network.to(device), test, options.data.size, options.data.batch)
    return f"{in_words(found)}\n\n{worst_table(found, test.classes)}"
