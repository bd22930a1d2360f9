"""How good a classifier is: top-1 and top-5 with confidence intervals, and which classes it confuses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fast_nst.backbone.labelled import Labelled, eval_transform
from fast_nst.data.crops import to_float

Z95 = 1.959964  # standard normal quantile of a two-sided 95 % interval


@dataclass(frozen=True)
class Accuracy:
    """What a classifier does on labelled pictures."""

    loss: float
    """Mean cross-entropy."""
    top1: float
    """Share of pictures whose class has the highest logit."""
    top5: float
    """Share of pictures whose class is among the five highest; 1 with five classes or fewer."""
    pictures: int
    confusion: np.ndarray
    """int64 [classes, classes]: rows are true, columns are predicted classes."""

    def worst(self, classes: tuple[str, ...], count: int = 10) -> list[tuple[str, float, str, float]]:
        """The ``count`` least accurate classes: name, accuracy, most frequent mistake, its share."""
        rows = []
        for label, name in enumerate(classes):
            total = int(self.confusion[label].sum())
            if total == 0:
                continue  # nothing is known of it
            mistakes = self.confusion[label].copy()
            right, mistakes[label] = int(mistakes[label]), 0
            wrong = int(mistakes.argmax())
            rows.append((name, right / total, classes[wrong], float(mistakes[wrong]) / total))
        return sorted(rows, key=lambda row: row[1])[:count]


@torch.no_grad()
def measure_accuracy(network: nn.Module, data: Labelled, size: int, batch: int) -> Accuracy:
    """``network`` on the middle squares of ``data`` at ``size`` px, in float32 and eval mode."""
    device = next(network.parameters()).device
    was_training = network.training
    network.eval()
    classes = len(data.classes)
    confusion = np.zeros((classes, classes), np.int64)
    loss = top5 = 0.0
    for images, labels in judged_batches(data, size, batch):
        logits = network(to_float(images.to(device))).float().cpu()
        loss += float(F.cross_entropy(logits, labels, reduction="sum"))
        best = logits.topk(min(5, classes), 1).indices
        top5 += float((best == labels[:, None]).any(1).sum())
        np.add.at(confusion, (labels.numpy(), best[:, 0].numpy()), 1)
    network.train(was_training)
    count = len(data.labels)
    return Accuracy(loss / count, float(confusion.trace()) / count, top5 / count, count, confusion)


def judged_batches(data: Labelled, size: int, batch: int) -> Iterable[tuple[Tensor, Tensor]]:
    """Pictures uint8 [N, 3, size, size] and labels [N], in order."""
    transform = eval_transform(size)
    for first in range(0, len(data.labels), batch):
        some = data.pictures[first : first + batch]
        images = torch.stack([transform(torch.from_numpy(p.transpose(2, 0, 1).copy())) for p in some])
        yield images, torch.from_numpy(data.labels[first : first + batch])


def wilson_interval(share: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share of ``count`` trials (Wilson 1927); never outside [0, 1]."""
    center = share + Z95**2 / (2 * count)
    spread = Z95 * ((share * (1 - share) + Z95**2 / (4 * count)) / count) ** 0.5
    scale = 1 + Z95**2 / count
    return max(0.0, (center - spread) / scale), min(1.0, (center + spread) / scale)
