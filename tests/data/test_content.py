"""Content pictures: every kind of file, broken ones, the same crops wherever a run starts."""

from __future__ import annotations

import io
import zipfile
from itertools import islice
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.utils.data import DataLoader

from fast_nst.data.content import DataConfig, open_content, picture_folder
from fast_nst.data.sequence import BuiltinCrops, FolderCrops, StreamCrops, collate
from fast_nst.errors import UserError


def pixels(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def motley(tmp_path: Path) -> Path:
    """One picture of every kind, and files that only claim to be pictures."""
    rgb = Image.fromarray(pixels(50, 70))
    rgb.save(tmp_path / "rgb.jpg")
    rgb.convert("L").save(tmp_path / "gray.png")
    rgb.convert("CMYK").save(tmp_path / "cmyk.jpg")
    rgb.convert("RGBA").save(tmp_path / "rgba.png")
    rgb.convert("P").save(tmp_path / "palette.gif")
    Image.fromarray(np.arange(3500, dtype=np.uint16).reshape(50, 70) * 18).save(tmp_path / "deep.png")
    Image.fromarray(pixels(1, 1)).save(tmp_path / "tiny.png")
    Image.fromarray(pixels(3, 400)).save(tmp_path / "strip.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    rgb.save(tmp_path / "rotated.jpg", exif=exif)
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.png").write_text("no picture")
    whole = (tmp_path / "rgb.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    return tmp_path


def test_every_kind_of_picture_trains_and_broken_ones_are_skipped_and_named(motley: Path) -> None:
    files = picture_folder(str(motley))
    crops = FolderCrops(files, seed=0, start=0, stop=2 * len(files), size=32, min_scale=0.5)
    unreadable: set[str] = set()
    for index in range(len(crops)):
        crop = crops[index]
        assert crop.image.shape == (3, 32, 32)
        assert crop.image.dtype == torch.uint8
        unreadable.update(Path(name).name for name in crop.unreadable)
    assert unreadable == {"empty.jpg", "text.png", "cut.jpg"}


def test_a_folder_of_broken_pictures_ends_in_words(tmp_path: Path) -> None:
    for index in range(3):
        (tmp_path / f"{index}.jpg").write_bytes(b"broken")
    crops = FolderCrops(picture_folder(str(tmp_path)), 0, 0, 10, 32, 0.5)
    with pytest.raises(UserError, match="unreadable"):
        crops[0]


@given(start=st.integers(0, 40), workers=st.sampled_from([0, 2]))
@settings(max_examples=6, deadline=None)
def test_a_run_that_starts_later_sees_the_same_crops(photographs: Path, start: int, workers: int) -> None:
    files = picture_folder(str(photographs))
    whole = FolderCrops(files, 3, 0, 48, 32, 0.5)
    rest = DataLoader(FolderCrops(files, 3, start, 48, 32, 0.5), 4, num_workers=workers, collate_fn=collate)
    expected = torch.stack([whole[i].image for i in range(start, 48)])
    assert torch.equal(torch.cat([batch.images for batch in rest]), expected)


def test_every_picture_is_seen_once_an_epoch_in_another_order(photographs: Path) -> None:
    files = picture_folder(str(photographs))
    crops = FolderCrops(files, 0, 0, 10**6, 32, 0.5)
    epochs = [[crops._path(len(files) * epoch + i) for i in range(len(files))] for epoch in range(3)]
    assert all(sorted(epoch) == sorted(epochs[0]) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_builtin_crops_depend_on_seed_and_position_alone() -> None:
    first = BuiltinCrops(5, 0, 6, 32)
    later = BuiltinCrops(5, 4, 6, 32)
    assert torch.equal(first[4].image, later[0].image)
    assert not torch.equal(first[4].image, first[5].image)
    assert not torch.equal(first[4].image, BuiltinCrops(6, 0, 6, 32)[4].image)


def test_held_out_pictures_are_not_trained_on(photographs: Path) -> None:
    content = open_content(str(photographs), DataConfig(validation=4), seed=0)
    assert len(content.validation) == 4
    assert len(content.train) == 8
    shapes = {pixels.shape[1] for pixels in content.validation}  # each picture has its own width
    trained = {Image.open(row["image"]["path"]).width for row in content.train}
    assert not shapes & trained


def test_a_broken_row_of_a_stream_is_skipped_and_named(parquet: Path) -> None:
    content = open_content(str(parquet), DataConfig(validation=1), seed=1)
    loader = DataLoader(StreamCrops(content.train, content.held_out, 1, 0, 0, 32, 0.5), 2, collate_fn=collate)
    named = [name for batch in islice(loader, 14) for name in batch.unreadable]
    assert named == ["13.png"] * len(named)
    assert named


def test_what_a_resumed_stream_passes_over_is_not_decoded(parquet: Path) -> None:
    """Not even the broken row in it, which it would name; the crops behind are those of a run in one go."""
    content = open_content(str(parquet), DataConfig(validation=1), seed=1)
    crops = list(islice(StreamCrops(content.train, content.held_out, 1, 0, 0, 32, 0.5), 60))
    broken = next(number for number, crop in enumerate(crops) if crop.unreadable)
    on = list(
        islice(StreamCrops(content.train, content.held_out, 1, 0, broken + 1, 32, 0.5), 60 - broken - 1)
    )
    named = [sum(bool(crop.unreadable) for crop in some) for some in (crops, on)]
    assert named[1] == named[0] - 1
    again = list(islice(StreamCrops(content.train, content.held_out, 1, 0, broken, 32, 0.5), 60 - broken))
    assert [name for crop in again for name in crop.unreadable][:1] == ["13.png"]
    for first, second in ((crops[broken + 1 :], on), (crops[broken:], again)):
        assert all(torch.equal(one.image, other.image) for one, other in zip(first, second, strict=True))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("no/such/folder", "neither a folder"),
        ("nothing here", "neither a folder"),
    ],
)
def test_a_wrong_source_is_named(source: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        open_content(source, DataConfig(), 0)


def test_a_hub_data_set_out_of_reach_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="content someone/pictures could not be opened"):
        open_content("someone/pictures", DataConfig(), 0)


def test_kinds_of_a_folder_that_are_not_read_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a.png", "b.png", "c.png"):
        Image.fromarray(pixels(40, 40)).save(tmp_path / name)
    for name in ("d.dng", "e"):
        (tmp_path / name).touch()
    open_content(str(tmp_path), DataConfig(validation=1), 0)
    [said] = [record.message for record in caplog.records if "left out" in record.message]
    assert said.endswith("left out: 1 without a suffix, 1 .dng")


def test_empty_and_single_picture_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no pictures"):
        open_content(str(tmp_path), DataConfig(), 0)
    Image.fromarray(pixels(20, 20)).save(tmp_path / "one.png")
    with pytest.raises(UserError, match="single picture"):
        open_content(str(tmp_path), DataConfig(), 0)


@pytest.mark.parametrize("workers", [0, 2])
def test_held_out_pictures_of_a_stream_are_not_trained_on(parquet: Path, workers: int) -> None:
    """skip() of `datasets` takes them from all shards alike, and left most of them in."""
    content = open_content(str(parquet), DataConfig(validation=6), seed=1)
    crops = StreamCrops(content.train, content.held_out, 1, 0, 0, 32, 1.0)
    loader = DataLoader(crops, 1, num_workers=workers, collate_fn=collate)
    trained = {int(batch.images[0, 0, 0, 0]) for batch in islice(loader, 60)}
    held_out = {int(pixels[0, 0, 0]) for pixels in content.validation}
    assert len(held_out) == 6
    assert not trained & held_out
    assert len(trained) == 24 - 6 - 1  # one row is broken


def test_a_streamed_data_set_of_picture_files_in_an_archive_is_read(tmp_path: Path) -> None:
    """Its rows hold an address such as zip://0.png::set.zip, and no bytes."""

    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for index in range(3):
            buffer = io.BytesIO()
            Image.new("RGB", (40, 40), (80 * index, 0, 0)).save(buffer, "png")
            archive.writestr(f"{index}.png", buffer.getvalue())
    files = {"train": [str(tmp_path / "set.zip")]}
    stream = datasets.load_dataset("imagefolder", data_files=files, split="train", streaming=True)
    stream = stream.cast_column("image", datasets.Image(decode=False))
    crops = StreamCrops(stream, frozenset(), 0, 0, 0, 16, 1.0)
    reds = {int(crop.image[0, 0, 0]) for crop in islice(crops, 3)}
    assert reds == {0, 80, 160}


def test_unreadable_held_out_pictures_are_named(tmp_path: Path) -> None:
    for index in range(3):
        Image.new("RGB", (40, 40)).save(tmp_path / f"{index}.png")
    (tmp_path / "broken.png").write_bytes(b"broken")
    content = open_content(str(tmp_path), DataConfig(validation_content=str(tmp_path)), 0)
    assert len(content.validation) == 3
    assert [Path(name).name for name in content.unreadable] == ["broken.png"]
