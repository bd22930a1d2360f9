"""Labelled pictures for training and judging backbones: CIFAR, Caltech101, hub data sets, folders.

A training run is a fixed sequence of augmented pictures, as in `fast_nst.data.content`: picture number
`position` depends on the seed and the position alone, so resuming is starting at a later position.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from fast_nst.backbone.sources import Rows, open_rows
from fast_nst.data.crops import to_tensor
from fast_nst.data.sequence import image_source
from fast_nst.errors import UserError, one_line
from fast_nst.pictures import UnreadablePicture, decode_picture

SPLIT_SEED = 0  # of the splits we make ourselves: fixed, so that figures can be compared
SHORT_SIDE = 1.15  # pictures are kept in memory at this many times the crop's side


@dataclass
class LabelledConfig:
    """The labelled pictures a backbone is trained on."""

    source: str = "cifar100"
    """cifar10, cifar100 or caltech101 (by torchvision, downloaded into --data.root), a hub id (OWNER/NAME),
    a folder with a folder of pictures per class, or parquet files with the columns image and label."""
    test: str | None = None
    """Folder or parquet file to test on. Default: the source's own test split, else --data.test-share."""
    root: Path = Path("data")
    """Where torchvision puts what it downloads."""
    test_share: float = 0.1
    """Share of each class to test on where the source has no test split."""
    validation_share: float = 0.1
    """Share of each class held out of training for the learning rate and the choice of the best weights."""
    size: int = 32
    """Side of the square crops in pixels."""
    batch: int = 128
    """Pictures per process and step."""
    augment: Literal["none", "flip", "randaugment"] = "flip"
    """none; flip: random crop and flip; randaugment: RandAugment (Cubuk et al. 2020) as well."""
    workers: int = 2
    """Processes that augment pictures; 0 = in the training process."""

    def __post_init__(self) -> None:
        for name, least in (("size", 8), ("batch", 2), ("workers", 0)):
            if getattr(self, name) < least:
                raise UserError(f"--data.{name} must be at least {least}")
        for name in ("test_share", "validation_share"):
            if not 0 < getattr(self, name) < 1:
                raise UserError(f"--data.{name.replace('_', '-')} must be between 0 and 1")


@dataclass
class Labelled:
    """Pictures and their classes."""

    pictures: list[np.ndarray]
    """uint8 [H, W, 3] each."""
    labels: np.ndarray
    """int64 [N], indices into ``classes``."""
    classes: tuple[str, ...]
    unreadable: tuple[str, ...] = ()

    def part(self, indices: np.ndarray) -> Labelled:
        """Some of them."""
        return Labelled([self.pictures[i] for i in indices], self.labels[indices], self.classes)

    def sha256(self) -> str:
        """Tells these pictures and labels apart from others."""
        digest = hashlib.sha256("\n".join(self.classes).encode())
        digest.update(self.labels.tobytes())
        for pixels in self.pictures:
            digest.update(pixels.tobytes())
        return digest.hexdigest()


@dataclass
class Splits:
    """What a backbone is trained on, what its learning rate follows, what it is judged by."""

    train: Labelled
    validation: Labelled
    test: Labelled
    unreadable: tuple[str, ...] = ()
    """Pictures that were left out, and why."""


def open_labelled(config: LabelledConfig) -> Splits:
    """The pictures of ``config.source``, split; a split that the source lacks is made, class by class.

    Raises:
        UserError: no such source, fewer than two classes, a class without pictures, or a test split with
            a class that the training split lacks.
    """
    short = round(config.size * SHORT_SIDE)
    rows, test_rows, classes = open_rows(config.source, config.root)
    if config.test is not None:
        test_rows, _, test_classes = open_rows(config.test, config.root)
        if list(test_classes) != list(classes):
            odd = ", ".join(sorted(set(test_classes) ^ set(classes))[:3]) or "their order differs"
            raise UserError(f"{config.test} has other classes than {config.source}: {odd}")
    whole = _decode(rows, classes, config.source, short)
    _check(whole, config.source)
    if test_rows is None:
        rest, test = split(whole, config.test_share)
    else:
        rest, test = whole, _decode(test_rows, classes, config.test or config.source, short)
    train, validation = split(rest, config.validation_share)
    for name, some in (("train on", train), ("validate on", validation), ("test on", test)):
        if len(some.labels) == 0:
            raise UserError(f"{config.source} has too few pictures to {name}")
    return Splits(train, validation, test, (*whole.unreadable, *test.unreadable))


def open_test(source: str, root: Path, size: int, classes: tuple[str, ...]) -> Labelled:
    """All pictures of ``source`` that a backbone of ``classes`` is to be judged on.

    Raises:
        UserError: no such source, or other classes.
    """
    rows, _, found = open_rows(source, root)
    if found != classes:
        raise UserError(
            f"{source} has {len(found)} classes ({', '.join(found[:3])} ...), the backbone knows"
            f" {len(classes)} ({', '.join(classes[:3])} ...)"
        )
    test = _decode(rows, classes, source, round(size * SHORT_SIDE))
    if len(test.labels) == 0:
        raise UserError(f"{source} holds no readable picture")
    return test


def split(whole: Labelled, share: float) -> tuple[Labelled, Labelled]:
    """The rest and a ``share`` of each class, always the same; a class of two pictures gives one to each."""
    rng = np.random.default_rng(SPLIT_SEED)
    chosen = np.zeros(len(whole.labels), bool)
    for label in range(len(whole.classes)):
        members = np.flatnonzero(whole.labels == label)
        count = min(max(1, round(share * len(members))), len(members) - 1)
        chosen[rng.permutation(members)[: max(0, count)]] = True
    return whole.part(np.flatnonzero(~chosen)), whole.part(np.flatnonzero(chosen))


def _check(whole: Labelled, source: str) -> None:
    if len(whole.classes) < 2:
        raise UserError(f"{source} has one class: a classifier needs at least two")
    counts = np.bincount(whole.labels, minlength=len(whole.classes))
    empty = [whole.classes[i] for i in np.flatnonzero(counts == 0)]
    if empty:
        raise UserError(f"{source} has no readable picture of {', '.join(empty[:5])}")


def _decode(rows: Rows, classes: tuple[str, ...], source: str, short: int) -> Labelled:
    """All of them, decoded once and reduced to a shorter side of ``short`` px to fit the memory."""
    pictures: list[np.ndarray] = []
    labels: list[int] = []
    unreadable: list[str] = []
    for index in range(len(rows)):
        image, label = rows[index]
        if not 0 <= int(label) < len(classes):
            raise UserError(f"{source}: picture {index} has the unknown label {label}")
        try:
            pictures.append(_reduce(_pixels(image), short))
            labels.append(int(label))
        except UnreadablePicture as error:
            unreadable.append(one_line(error))
    return Labelled(pictures, np.array(labels, np.int64), classes, tuple(unreadable))


def _pixels(image: Any) -> np.ndarray:
    if isinstance(image, dict):
        if image.get("bytes") is None and not image.get("path"):
            raise UnreadablePicture("a row", "it holds no picture")
        image = image_source(image)
    if isinstance(image, Image.Image):
        return np.asarray(image.convert("RGB"))
    return decode_picture(image).pixels


def _reduce(pixels: np.ndarray, short: int) -> np.ndarray:
    height, width = pixels.shape[:2]
    scale = short / min(height, width)
    if scale >= 1:
        return pixels
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


class AugmentedPictures(Dataset[tuple[Tensor, int]]):
    """Picture number i of an endless, reshuffled walk, augmented; uint8 [3, size, size] and its label.

    Each epoch is cut to whole batches of ``batch``.
    """

    def __init__(self, data: Labelled, config: LabelledConfig, seed: int, batch: int, span: tuple[int, int]):
        self.data, self.seed, self.span = data, seed, span
        self.per_epoch = max(1, len(data.labels) // batch) * batch
        self.transform = augmentation(config)
        self._order: tuple[int, np.ndarray] | None = None

    def __len__(self) -> int:
        return self.span[1] - self.span[0]

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        position = self.span[0] + index
        epoch, offset = divmod(position, self.per_epoch)
        if self._order is None or self._order[0] != epoch:
            order = np.random.default_rng([self.seed, 0, epoch]).permutation(len(self.data.labels))
            self._order = (epoch, np.resize(order, self.per_epoch))
        chosen = int(self._order[1][offset])
        with torch.random.fork_rng(devices=[]):  # torchvision's transforms draw from the global generator
            torch.manual_seed(int(np.random.default_rng([self.seed, 1, position]).integers(2**63)))
            image = self.transform(to_tensor(self.data.pictures[chosen]))
        return image, int(self.data.labels[chosen])


def augmentation(config: LabelledConfig) -> Any:
    """The random transform of training pictures, uint8 [3, H, W] to [3, size, size]."""
    from torchvision.transforms import v2

    size = config.size
    if config.augment == "none":
        return eval_transform(size)
    steps: list[Any] = [v2.RandomHorizontalFlip()]
    if size <= 64:  # small pictures: the classic padded crop of CIFAR
        steps = [eval_transform(size), v2.RandomCrop(size, padding=size // 8, padding_mode="reflect"), *steps]
    else:
        steps = [v2.RandomResizedCrop(size, scale=(0.35, 1.0), antialias=True), *steps]
    if config.augment == "randaugment":
        steps.append(v2.RandAugment(num_ops=2, magnitude=9))
    return v2.Compose(steps)


def eval_transform(size: int) -> Any:
    """The fixed transform of pictures that are judged: the middle square, [3, size, size]."""
    from torchvision.transforms import v2

    return v2.Compose([v2.Resize(size, antialias=True), v2.CenterCrop(size)])
