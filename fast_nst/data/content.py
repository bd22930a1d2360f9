"""Content pictures for training: a folder, a hub data set, or the built-in generator.

A training run is a fixed sequence of crops: crop number `position` depends on the seed and the position
alone, whatever the worker, process or interruption. Resuming is starting at a later position.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from fast_nst.data.crops import random_crop, to_tensor
from fast_nst.errors import UserError, one_line
from fast_nst.pictures import (
    UnreadablePicture,
    decode_picture,
    files_below,
    is_picture_name,
    kinds_unread,
)

BUILTIN = "builtin"
MAX_TRIES = 64  # unreadable pictures in a row after which the source is called broken
SHUFFLE_BUFFER = 1000
HeldOut = tuple[list[np.ndarray], tuple[str, ...]]  # pictures, and what could not be read among them


@dataclass
class DataConfig:
    """The content pictures a network is trained on."""

    size: int = 256
    """Side of the square training crops in pixels."""
    batch: int = 4
    """Pictures per process and forward pass."""
    min_scale: float = 0.5
    """Smallest crop, as a share of the picture's shorter side; crops are resized to --data.size."""
    workers: int = 2
    """Processes that decode pictures; 0 = decode in the training process."""
    validation: int = 16
    """Pictures held out of training for the validation loss and the samples."""
    validation_content: str | None = None
    """A folder of pictures for the validation loss and the samples, instead of held-out ones."""
    split: str = "train"
    """Split of a hub data set."""

    def __post_init__(self) -> None:
        for name, least in (("size", 16), ("batch", 1), ("workers", 0), ("validation", 1)):
            if getattr(self, name) < least:
                raise UserError(f"--data.{name} must be at least {least}")
        if not 0 < self.min_scale <= 1:
            raise UserError("--data.min-scale must be above 0 and at most 1")


class Crop(NamedTuple):
    """A training crop uint8 [3, size, size] and the unreadable files met on the way to it."""

    image: Tensor
    unreadable: list[str]


class Batch(NamedTuple):
    """Crops [N, 3, size, size], uint8, and the unreadable files met on the way to them."""

    images: Tensor
    unreadable: list[str]


def collate(crops: list[Crop]) -> Batch:
    """Crops to a batch."""
    return Batch(
        torch.stack([crop.image for crop in crops]),
        [name for crop in crops for name in crop.unreadable],
    )


class FolderCrops(Dataset[Crop]):
    """Crop number i of an endless, reshuffled walk over picture files; i is the index."""

    def __init__(self, files: Any, seed: int, start: int, stop: int, size: int, min_scale: float):
        self.files, self.seed = files, seed
        self.start, self.stop = start, stop
        self.size, self.min_scale = size, min_scale
        self._order: tuple[int, np.ndarray] | None = None

    def __len__(self) -> int:
        return self.stop - self.start

    def __getitem__(self, index: int) -> Crop:
        position = self.start + index
        unreadable: list[str] = []
        for attempt in range(MAX_TRIES):
            path = self._path(position + attempt)
            try:
                pixels = decode_picture(Path(path)).pixels
            except UnreadablePicture:
                unreadable.append(path)
                continue
            rng = np.random.default_rng([self.seed, 1, position])
            return Crop(random_crop(pixels, self.size, self.min_scale, rng), unreadable)
        raise UserError(f"{MAX_TRIES} content pictures in a row are unreadable, the last: {path}")

    def _path(self, position: int) -> str:
        epoch, offset = divmod(position, len(self.files))
        if self._order is None or self._order[0] != epoch:
            order = np.random.default_rng([self.seed, 0, epoch]).permutation(len(self.files))
            self._order = (epoch, order)
        return str(self.files[int(self._order[1][offset])]["image"]["path"])


class BuiltinCrops(Dataset[Crop]):
    """Crop number i of the built-in generator."""

    def __init__(self, seed: int, start: int, stop: int, size: int):
        self.seed, self.start, self.stop, self.size = seed, start, stop, size

    def __len__(self) -> int:
        return self.stop - self.start

    def __getitem__(self, index: int) -> Crop:
        from fast_nst.data.builtin import make_picture

        rng = np.random.default_rng([self.seed, 2, self.start + index])
        return Crop(to_tensor(make_picture(rng, self.size)), [])


class StreamCrops(IterableDataset[Crop]):
    """Crops of a streamed `datasets.IterableDataset`, epoch after epoch, reshuffled in a buffer.

    The stream is split over processes and workers by its shards (no more workers than shards); each
    takes its own part in a fixed order and leaves out its first `skip` crops.
    """

    def __init__(self, content: Content, seed: int, process: int, skip: int, size: int, min_scale: float):
        self.stream, self.held_out = content.train, content.held_out
        self.seed, self.process, self.skip = seed, process, skip
        self.size, self.min_scale = size, min_scale

    def __iter__(self) -> Iterator[Crop]:
        worker = get_worker_info()  # the stream itself takes this worker's share of its shards
        worker_id = worker.id if worker is not None else 0
        unreadable: list[str] = []  # their crops are taken from the next picture that is not
        for number, image in enumerate(self._images()):
            if number < self.skip:  # not decoded: to go on costs reading alone
                continue
            try:
                pixels = decode_picture(image_source(image)).pixels
            except UnreadablePicture:
                unreadable.append(_name(image))
                if len(unreadable) >= MAX_TRIES:
                    raise UserError(f"{MAX_TRIES} streamed pictures in a row are unreadable") from None
                continue
            for count in range(number - len(unreadable), number + 1):
                rng = np.random.default_rng([self.seed, 3, self.process, worker_id, count])
                yield Crop(random_crop(pixels, self.size, self.min_scale, rng), unreadable)
                unreadable = []

    def _images(self) -> Iterator[dict[str, Any]]:
        """All pictures that are not held out, undecoded, epoch after epoch."""
        for epoch in itertools.count():
            self.stream.set_epoch(epoch)
            seen = False
            for row in self.stream:
                if self.held_out and picture_key(row["image"]) in self.held_out:
                    continue
                seen = True
                yield row["image"]
            if not seen:
                raise UserError("the content data set holds no picture")


def image_source(image: dict[str, Any]) -> bytes | Path:
    """What to decode of an undecoded `image` of a data set: its bytes, or its file here or on the hub."""
    if image.get("bytes") is not None:
        return image["bytes"]
    if "://" not in image["path"]:
        return Path(image["path"])
    from datasets.utils.file_utils import xopen  # a data set of files or archives on the hub

    with xopen(image["path"], "rb") as file:
        return file.read()


@dataclass
class Content:
    """A content source, split into pictures to train on and pictures to judge by."""

    name: str
    train: Any
    """A `datasets` data set with the column `image`, undecoded; None for the generator."""
    streaming: bool
    validation: list[np.ndarray]
    """Held-out pictures, uint8 [H, W, 3] each."""
    unreadable: tuple[str, ...] = ()
    """Files met on the way to the held-out pictures that could not be read."""
    fingerprint: str = ""
    """Hash of the names in a content folder: with other files a run would not go on as it began."""
    held_out: frozenset[bytes] = frozenset()
    """Keys of the held-out pictures of a stream: it is left whole, or they would come from other shards
    and the order of the shards would be fixed."""


def open_content(source: str, config: DataConfig, seed: int) -> Content:
    """The content called ``source``: ``builtin``, a folder, a folder of parquet files, or a hub id.

    Raises:
        UserError: no such folder or data set, or too few pictures in it.
    """
    given: HeldOut | None = None
    if config.validation_content is not None:
        held_out = picture_folder(config.validation_content)
        given = _decode_some(held_out, config.validation, config.validation_content)
    if source == BUILTIN:
        return Content(BUILTIN, None, False, *(given or (_builtin_validation(config.validation, seed), ())))
    path = Path(source)
    if path.is_file():
        raise UserError(f"content {source} is a file: give the folder it lies in")
    if is_picture_source(source):
        files = picture_folder(source)
        names = [Path(row["image"]["path"]).relative_to(path).as_posix() for row in files]
        fingerprint = hashlib.sha256("\n".join(names).encode("utf-8", "surrogateescape")).hexdigest()
        if given is not None:
            return Content(source, files, False, *given, fingerprint)
        count = min(config.validation, len(files) // 2)
        if count == 0:
            raise UserError(f"content folder {source} holds a single picture: give at least two")
        order = np.random.default_rng([seed, 4]).permutation(len(files))
        held, kept = files.select(order[:count]), files.select(np.sort(order[count:]))
        return Content(source, kept, False, *_decode_some(held, count, source), fingerprint)
    return _open_stream(source, config, seed, given)


def is_picture_source(source: str) -> bool:
    """Whether ``source`` is the generator or a folder of pictures; anything else is streamed."""
    path = Path(source)
    return source == BUILTIN or (path.is_dir() and next(path.glob("*.parquet"), None) is None)


def picture_folder(source: str) -> Any:
    """The pictures under a folder, flat or nested, as a data set of undecoded `image`s."""
    from datasets import Dataset as HFDataset
    from datasets import Image as HFImage

    folder = Path(source)
    if not folder.is_dir():
        raise UserError(f"{source} is not a folder")
    paths, files = [], files_below(folder)
    if unread := Counter(path.suffix.lower() for path in files if not is_picture_name(path)):
        what = "%s: of kinds that are not read and left out: %s"
        logging.getLogger("fast_nst").info(what, source, kinds_unread(unread))
    for path in filter(is_picture_name, files):
        try:
            str(path).encode()
        except UnicodeEncodeError:  # the table of names is UTF-8
            raise UserError(f"rename {os.fsencode(path)!r}: its name is not UTF-8") from None
        paths.append(str(path))
    if not paths:
        raise UserError(f"content folder {source} holds no pictures")
    return HFDataset.from_dict({"image": paths}).cast_column("image", HFImage(decode=False))


def _decode_some(files: Any, count: int, source: str) -> HeldOut:
    pictures: list[np.ndarray] = []
    unreadable: list[str] = []
    for row in files:
        try:
            pictures.append(decode_picture(image_source(row["image"])).pixels)
        except UnreadablePicture:
            unreadable.append(_name(row["image"]))
            continue
        if len(pictures) == count:
            break
    if not pictures:
        raise UserError(f"no readable picture to validate on in {source}")
    return pictures, tuple(unreadable)


def _name(image: dict[str, Any]) -> str:
    return str(image.get("path") or "a streamed picture")


def _builtin_validation(count: int, seed: int) -> list[np.ndarray]:
    from fast_nst.data.builtin import heldout_photographs, make_picture

    photographs = [pixels for _, pixels in heldout_photographs()]
    rng = np.random.default_rng([seed, 5])
    made = [make_picture(rng, 256) for _ in range(max(0, count - len(photographs)))]
    return [*photographs, *made][:count]


def _open_stream(source: str, config: DataConfig, seed: int, given: HeldOut | None) -> Content:
    import datasets

    if Path(source).exists():
        files = sorted(str(path) for path in Path(source).glob("*.parquet"))
        arguments: dict[str, Any] = {"path": "parquet", "data_files": {config.split: files}}
    elif re.fullmatch(r"[\w.-]+/[\w.-]+", source) and not Path(source).parent.is_dir():
        arguments = {"path": source}
    else:
        raise UserError(f"content {source!r} is neither a folder, nor a hub id (OWNER/NAME), nor 'builtin'")
    held_out: frozenset[bytes] = frozenset()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # its retries; the last word is ours
    try:
        stream = datasets.load_dataset(**arguments, split=config.split, streaming=True)
        if "image" not in (stream.column_names or []):
            raise UserError(f"content {source} has no column 'image': {stream.column_names}")
        stream = stream.select_columns(["image"])
        stream = stream.cast_column("image", datasets.Image(decode=False))
        if given is None:
            first = list(stream.take(config.validation))
            given = _decode_some(first, config.validation, source)
            held_out = frozenset(picture_key(row["image"]) for row in first)
    except UserError:
        raise
    except Exception as error:  # the hub's, the readers' and the network's are of a dozen kinds
        here = "" if Path(source).exists() else "; there is no such folder either"
        raise UserError(f"content {source} could not be opened: {one_line(error)}{here}") from error
    shuffled = stream.shuffle(seed=seed, buffer_size=SHUFFLE_BUFFER)
    return Content(source, shuffled, True, *given, held_out=held_out)


def picture_key(image: dict[str, Any]) -> bytes:
    """Tells streamed pictures apart by their content, or by their address where it is not there yet."""
    source = image["bytes"] if image.get("bytes") is not None else str(image["path"]).encode()
    return hashlib.blake2b(source).digest()
