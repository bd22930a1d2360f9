"""A training's sequence of crops, from each kind of content.

Crop number `position` depends on the seed and the position alone, whatever the worker, process or
interruption. Resuming is starting at a later position.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from fast_nst.data.crops import random_crop, to_tensor
from fast_nst.errors import UserError
from fast_nst.pictures import UnreadablePicture, decode_picture

MAX_TRIES = 64  # unreadable pictures in a row after which the source is called broken


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

    def __init__(
        self,
        stream: Any,
        held_out: frozenset[bytes],
        seed: int,
        process: int,
        skip: int,
        size: int,
        min_scale: float,
    ) -> None:
        self.stream, self.held_out = stream, held_out
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
                unreadable.append(name_of(image))
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


def picture_key(image: dict[str, Any]) -> bytes:
    """Tells streamed pictures apart by their content, or by their address where it is not there yet."""
    source = image["bytes"] if image.get("bytes") is not None else str(image["path"]).encode()
    return hashlib.blake2b(source).digest()


def name_of(image: dict[str, Any]) -> str:
    """What messages call an undecoded picture."""
    return str(image.get("path") or "a streamed picture")
