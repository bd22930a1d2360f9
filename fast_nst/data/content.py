"""Content pictures for training: a folder, a hub data set, or the built-in generator."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fast_nst.data.sequence import image_source, name_of, picture_key
from fast_nst.errors import UserError, one_line
from fast_nst.pictures import (
    UnreadablePicture,
    decode_picture,
    files_below,
    is_picture_name,
    kinds_unread,
)

BUILTIN = "builtin"
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
            unreadable.append(name_of(row["image"]))
            continue
        if len(pictures) == count:
            break
    if not pictures:
        raise UserError(f"no readable picture to validate on in {source}")
    return pictures, tuple(unreadable)


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
