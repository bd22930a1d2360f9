"""Where labelled pictures come from: torchvision's data sets, the hub, parquet files, folders of folders."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fast_nst.errors import UserError, one_line
from fast_nst.pictures import find_pictures

TORCHVISION = ("cifar10", "cifar100", "caltech101")
HELD_OUT = ("test", "validation", "valid", "val")  # what the split to test on is called, best first
LABELS = ("label", "fine_label", "labels", "target")
Rows = Sequence[tuple[Any, int]]  # encoded bytes, a path or a PIL image, and its label


def open_rows(source: str, root: Path) -> tuple[Rows, Rows | None, tuple[str, ...]]:
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
