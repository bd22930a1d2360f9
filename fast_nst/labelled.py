"""Labelled pictures for training and judging backbones: CIFAR, Caltech101, a hub data set, a folder, parquet.

A training run is a fixed sequence of augmented pictures, as in `fast_nst.data`: picture number `position`
depends on the seed and the position alone, so resuming is starting at a later position.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from fast_nst.crops import to_tensor
from fast_nst.errors import UserError, one_line
from fast_nst.pictures import UnreadablePicture, decode_picture, find_pictures

TORCHVISION = ("cifar10", "cifar100", "caltech101")
SPLIT_SEED = 0  # of the splits we make ourselves: fixed, so that figures can be compared
SHORT_SIDE = 1.15  # pictures are kept in memory at this many times the crop's side
HELD_OUT = ("test", "validation", "valid", "val")  # what the split to test on is called, best first
LABELS = ("label", "fine_label", "labels", "target")


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
    rows, test_rows, classes = _open(config.source, config.root)
    if config.test is not None:
        test_rows, _, test_classes = _open(config.test, config.root)
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
    rows, _, found = _open(source, root)
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


Rows = Sequence[tuple[Any, int]]  # encoded bytes, a path or a PIL image, and its label


def _open(source: str, root: Path) -> tuple[Rows, Rows | None, tuple[str, ...]]:
    """Training rows, test rows where the source has such a split, and the names of the classes."""
    path = Path(source)
    if source in TORCHVISION:
        return _torchvision(source, root)
    if path.is_dir() and next(path.glob("*.parquet"), None) is None:
        return _folders(path)
    if path.exists():
        files = [path] if path.is_file() else sorted(path.glob("*.parquet"))
        parts = {"train": [str(file) for file in files if not file.name.startswith(HELD_OUT)]}
        for name in HELD_OUT:
            held_out = [str(file) for file in files if file.name.startswith(name)]
            if held_out and parts["train"]:
                parts["test"] = held_out
                break
        parts["train"] = parts["train"] or [str(file) for file in files]
        return _hub({"path": "parquet", "data_files": parts}, source)
    if re.fullmatch(r"[\w.-]+/[\w.-]+", source):
        return _hub({"path": source}, source)
    names = ", ".join(TORCHVISION)
    raise UserError(
        f"data {source!r} is neither {names}, a folder, a parquet file, nor a hub id (OWNER/NAME)"
    )


def _torchvision(name: str, root: Path) -> tuple[Rows, Rows | None, tuple[str, ...]]:
    from torchvision import datasets

    try:
        if name == "caltech101":
            whole = datasets.Caltech101(str(root), download=True)
            return whole, None, tuple(whole.categories)
        kind = datasets.CIFAR10 if name == "cifar10" else datasets.CIFAR100
        train, test = (kind(str(root), train=flag, download=True) for flag in (True, False))
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"{name} could not be downloaded into {root} ({one_line(error)[:150]}): put it there,"
            " or give a folder or parquet file with --data.source"
        ) from error
    return train, test, tuple(train.classes)


def _folders(path: Path) -> tuple[Rows, Rows | None, tuple[str, ...]]:
    """A folder per class, or `train` and `test` (or `val`) with a folder per class each."""
    held_out = next((path / name for name in HELD_OUT if (path / name).is_dir()), None)
    if (path / "train").is_dir() and held_out is not None:
        train, _, classes = _folders(path / "train")
        test, _, test_classes = _folders(held_out)
        if classes != test_classes:
            odd = sorted(set(classes) ^ set(test_classes))
            raise UserError(f"{path}: train and test differ in the classes {', '.join(odd[:5])}")
        return train, test, classes
    folders = sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if not folders:
        raise UserError(f"{path} holds no folders: give one with a folder of pictures per class")
    rows = [(file, label) for label, folder in enumerate(folders) for file in find_pictures(folder)]
    return rows, None, tuple(folder.name for folder in folders)


def _hub(arguments: dict[str, Any], source: str) -> tuple[Rows, Rows | None, tuple[str, ...]]:
    """A data set of the hub or of parquet files, with an image column and a column of class labels."""
    import datasets

    try:
        found = datasets.load_dataset(**arguments)
        columns = found["train"].column_names
        images = "image" if "image" in columns else "img"
        labels = next((name for name in LABELS if name in columns), None)
        if images not in columns or labels is None:
            raise UserError(f"{source} has no columns image and label: {', '.join(columns)}")
        feature = found["train"].features[labels]
        held_out = next((name for name in HELD_OUT if name in found), None)
        parts = [
            found[name].cast_column(images, datasets.Image(decode=False))
            for name in ("train", held_out)
            if name is not None
        ]
        values = parts[0][labels]
        classes = tuple(getattr(feature, "names", None) or map(str, sorted(set(values))))
    except UserError:
        raise
    except TypeError as error:  # labels that are missing, or lists
        raise UserError(f"{source}: the column {labels} does not hold one class a picture") from error
    except Exception as error:  # the hub's, the readers' and the network's are of a dozen kinds
        raise UserError(f"data {source} could not be opened: {one_line(error)[:200]}") from error
    numbers = None if hasattr(feature, "names") else {name: index for index, name in enumerate(classes)}
    rows = [_HubRows(part, images, labels, numbers) for part in parts]
    return rows[0], rows[1] if len(rows) > 1 else None, classes


@dataclass
class _HubRows(Sequence[tuple[Any, int]]):
    """Rows of a data set, read when they are asked for."""

    rows: Any
    images: str
    labels: str
    numbers: dict[str, int] | None
    """Of classes that are no numbers yet."""

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        row = self.rows[index]
        label = row[self.labels]
        if self.numbers is not None:
            label = self.numbers.get(str(label), -1)
        return row[self.images], -1 if label is None else label


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
        image = image["bytes"] if image.get("bytes") is not None else Path(image["path"])
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
        return judged(size)
    steps: list[Any] = [v2.RandomHorizontalFlip()]
    if size <= 64:  # small pictures: the classic padded crop of CIFAR
        steps = [judged(size), v2.RandomCrop(size, padding=size // 8, padding_mode="reflect"), *steps]
    else:
        steps = [v2.RandomResizedCrop(size, scale=(0.35, 1.0), antialias=True), *steps]
    if config.augment == "randaugment":
        steps.append(v2.RandAugment(num_ops=2, magnitude=9))
    return v2.Compose(steps)


def judged(size: int) -> Any:
    """The fixed transform of pictures that are judged: the middle square, [3, size, size]."""
    from torchvision.transforms import v2

    return v2.Compose([v2.Resize(size, antialias=True), v2.CenterCrop(size)])
