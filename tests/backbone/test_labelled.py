"""Labelled pictures: every kind of source, fixed splits, and what is wrong with a source said in words."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fast_nst.backbone.labelled import AugmentedPictures, Labelled, LabelledConfig, open_labelled, split
from fast_nst.errors import UserError


def encoded(value: int, side: int = 40) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (side + 8, side), (value % 256, 90, 30)).save(buffer, "png")
    return buffer.getvalue()


def write_folder(root: Path, counts: dict[str, int]) -> Path:
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for index in range(count):
            (root / name / f"{index}.png").write_bytes(encoded(index * 11))
    return root


def write_parquet(path: Path, labels: list[int], names: list[str], broken: int | None = None) -> Path:
    rows = [
        {"image": {"bytes": b"broken" if i == broken else encoded(i * 7), "path": None}, "label": label}
        for i, label in enumerate(labels)
    ]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=names)})
    undecoded = datasets.Features({"image": datasets.Image(decode=False), "label": features["label"]})
    datasets.Dataset.from_list(rows, features=undecoded).cast(features).to_parquet(path)
    return path


def sizes(config: LabelledConfig) -> tuple[int, int, int]:
    splits = open_labelled(config)
    return len(splits.train.labels), len(splits.validation.labels), len(splits.test.labels)


def test_a_folder_of_folders_is_split_class_by_class(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "pets", {"cat": 20, "dog": 10, "owl": 3})
    splits = open_labelled(LabelledConfig(source=str(root)))
    assert splits.train.classes == ("cat", "dog", "owl")
    for part in (splits.train, splits.validation, splits.test):
        assert set(part.labels) == {0, 1, 2}
    assert len(splits.test.labels) == 2 + 1 + 1
    again = open_labelled(LabelledConfig(source=str(root)))
    assert np.array_equal(splits.test.labels, again.test.labels)
    assert all(np.array_equal(a, b) for a, b in zip(splits.test.pictures, again.test.pictures, strict=True))


def test_folders_called_train_and_test_are_taken_as_they_are(tmp_path: Path) -> None:
    write_folder(tmp_path / "train", {"a": 10, "b": 10})
    write_folder(tmp_path / "test", {"a": 3, "b": 4})
    assert sizes(LabelledConfig(source=str(tmp_path))) == (18, 2, 7)


@pytest.mark.parametrize("name", ["val", "validation", "test"])
def test_a_held_out_split_by_any_of_its_names_is_not_a_class(tmp_path: Path, name: str) -> None:
    """`train` and `val` side by side were taken for two classes."""
    write_folder(tmp_path / "folders" / "train", {"a": 10, "b": 10})
    write_folder(tmp_path / "folders" / name, {"a": 3, "b": 4})
    assert sizes(LabelledConfig(source=str(tmp_path / "folders"))) == (18, 2, 7)
    (tmp_path / "files").mkdir()
    write_parquet(tmp_path / "files" / "train-00000-of-00001.parquet", [0, 1] * 10, ["cat", "dog"])
    write_parquet(tmp_path / "files" / f"{name}-00000-of-00001.parquet", [0, 1, 1], ["cat", "dog"])
    assert sizes(LabelledConfig(source=str(tmp_path / "files"))) == (18, 2, 3)


def test_labels_that_are_missing_or_lists_are_said(tmp_path: Path) -> None:
    for name, labels in (("null", ["a", None]), ("lists", [["a"], ["b", "c"]])):
        rows = {"image": [{"bytes": encoded(i), "path": None} for i in range(2)], "label": labels}
        datasets.Dataset.from_dict(rows).to_parquet(tmp_path / f"{name}.parquet")
        with pytest.raises(UserError, match="does not hold one class a picture"):
            open_labelled(LabelledConfig(source=str(tmp_path / f"{name}.parquet")))


def test_parquet_files_and_a_broken_row(tmp_path: Path) -> None:
    train = write_parquet(tmp_path / "train.parquet", [0, 1] * 10, ["cat", "dog"], broken=5)
    test = write_parquet(tmp_path / "test.parquet", [0, 1, 1], ["cat", "dog"])
    splits = open_labelled(LabelledConfig(source=str(train), test=str(test)))
    assert len(splits.test.labels) == 3
    assert len(splits.train.labels) + len(splits.validation.labels) == 19
    assert len(splits.unreadable) == 1


@pytest.mark.parametrize(("name", "fine"), [("cifar10", False), ("cifar100", True)])
def test_cifar_comes_from_torchvisions_own_files(tmp_path: Path, name: str, fine: bool) -> None:
    """Small files of the published form; torchvision's loader reads them once their hashes are its own."""
    from torchvision import datasets as vision

    kind = vision.CIFAR100 if fine else vision.CIFAR10
    folder = tmp_path / kind.base_folder
    folder.mkdir()
    rng = np.random.default_rng(0)
    classes = 100 if fine else 10
    key = "fine_labels" if fine else "labels"
    for batch, _ in (*kind.train_list, *kind.test_list):
        labels = [int(i % classes) for i in range(2 * classes)]
        data = rng.integers(0, 256, (len(labels), 3072), np.uint8)
        (folder / batch).write_bytes(pickle.dumps({"data": data, key: labels}))
    meta = {kind.meta["key"]: [f"class{i}" for i in range(classes)]}
    (folder / kind.meta["filename"]).write_bytes(pickle.dumps(meta))
    splits = open_cifar_without_hashes(name, tmp_path, kind)
    assert len(splits.train.classes) == classes
    assert len(splits.test.labels) == 2 * classes
    assert splits.train.pictures[0].shape == (32, 32, 3)


def open_cifar_without_hashes(name: str, root: Path, kind: type) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, "_check_integrity", lambda self: True)  # the hashes are of the real files
        patch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)
        return open_labelled(LabelledConfig(source=name, root=root))


def test_a_download_that_fails_names_the_ways_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(UserError, match=r"cifar10 could not be downloaded .* --data\.source"):
        open_labelled(LabelledConfig(source="cifar10", root=tmp_path))


def test_what_is_wrong_with_a_source_is_said(tmp_path: Path) -> None:
    cases = {
        "has one class": write_folder(tmp_path / "one", {"only": 9}),
        "no readable picture of empty": write_folder(tmp_path / "hole", {"a": 4, "empty": 0, "z": 4}),
        "holds no folders": write_folder(tmp_path / "flat", {}) / "",
        "too few pictures to validate on": write_folder(tmp_path / "few", {"a": 1, "b": 1}),
    }
    (tmp_path / "flat").mkdir(exist_ok=True)
    for words, source in cases.items():
        with pytest.raises(UserError, match=words):
            open_labelled(LabelledConfig(source=str(source)))
    with pytest.raises(UserError, match="neither"):
        open_labelled(LabelledConfig(source="no such thing"))
    write_folder(tmp_path / "split" / "train", {"a": 4, "b": 4})
    write_folder(tmp_path / "split" / "test", {"a": 4, "c": 4})
    with pytest.raises(UserError, match="differ in the classes b, c"):
        open_labelled(LabelledConfig(source=str(tmp_path / "split")))
    plain = datasets.Dataset.from_dict({"text": ["a", "b"]})
    plain.to_parquet(tmp_path / "text.parquet")
    with pytest.raises(UserError, match="no columns image and label"):
        open_labelled(LabelledConfig(source=str(tmp_path / "text.parquet")))


@given(counts=st.lists(st.integers(1, 40), min_size=2, max_size=8), share=st.floats(0.01, 0.9))
@settings(max_examples=60, deadline=None)
def test_a_split_shares_out_every_picture_once_and_leaves_each_class_some(
    counts: list[int], share: float
) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    pictures = [np.full((1, 1, 3), i % 256, np.uint8) for i in range(len(labels))]
    rest, part = split(Labelled(pictures, labels, tuple(map(str, range(len(counts))))), share)
    assert len(rest.labels) + len(part.labels) == len(labels)
    assert set(rest.labels) == set(labels)
    assert set(part.labels) == {label for label, count in enumerate(counts) if count > 1}


def some(count: int) -> Labelled:
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (40, 48, 3), np.uint8) for _ in range(count)]
    return Labelled(pictures, np.arange(count) % 3, ("a", "b", "c"))


@pytest.mark.parametrize("augment", ["none", "flip", "randaugment"])
@pytest.mark.parametrize("size", [32, 72])
def test_picture_number_i_depends_on_the_seed_and_i_alone(augment: str, size: int) -> None:
    config = LabelledConfig(size=size, augment=augment)  # type: ignore[arg-type]
    whole = AugmentedPictures(some(10), config, 3, 4, (0, 24))
    later = AugmentedPictures(some(10), config, 3, 4, (9, 24))
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    for index in range(len(later)):
        a, b = whole[9 + index], later[index]
        assert a[1] == b[1]
        assert torch.equal(a[0], b[0])
        assert a[0].shape == (3, size, size)
        assert a[0].dtype == torch.uint8
    assert torch.equal(torch.random.get_rng_state(), before)  # dropout's generator is left alone


def test_an_epoch_shows_each_picture_once_in_another_order() -> None:
    data = Labelled(
        [np.full((32, 32, 3), i, np.uint8) for i in range(12)], np.arange(12), tuple("abcdefghijkl")
    )
    walk = AugmentedPictures(data, LabelledConfig(augment="none"), 0, 4, (0, 24))
    labels = [walk[i][1] for i in range(24)]
    assert sorted(labels[:12]) == sorted(labels[12:]) == list(range(12))
    assert labels[:12] != labels[12:]
