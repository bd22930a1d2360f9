"""The content pictures of a training, ready for the loop: batches, and held-out ones."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import TypeVar

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from fast_nst import data as content_data
from fast_nst.config import TrainConfig
from fast_nst.crops import center_crop, to_float
from fast_nst.errors import UserError
from fast_nst.training.guard import leave_signals_to_trainer

logger = logging.getLogger("fast_nst")
T = TypeVar("T")


def training_batches(
    content: content_data.Content, config: TrainConfig, accelerator: Accelerator, step: int
) -> Generator[content_data.Batch, None, None]:
    """Batches of this process from ``step`` on; close them to end the workers."""
    data = config.data
    if content.streaming:  # split by process on its own
        return in_plain_words(_stream_batches(content, config, accelerator, step))
    per_step = data.batch * config.optimizer.accumulate * accelerator.num_processes
    span = (step * per_step, config.steps * per_step)
    crops: Dataset[content_data.Crop]
    if content.train is None:
        crops = content_data.BuiltinCrops(config.seed, *span, data.size)
    else:
        crops = content_data.FolderCrops(content.train, config.seed, *span, data.size, data.min_scale)
    return in_plain_words(accelerator.prepare(_loader(crops, config, accelerator, data.workers)))


def _stream_batches(
    content: content_data.Content, config: TrainConfig, accelerator: Accelerator, step: int
) -> Iterator[content_data.Batch]:
    data, stream = config.data, content.train
    process = accelerator.process_index
    if accelerator.num_processes > 1:
        from datasets.distributed import split_dataset_by_node

        stream = split_dataset_by_node(stream, process, accelerator.num_processes)
    workers = min(data.workers, max(1, stream.num_shards))
    # The loader takes a batch from each worker in turn: whole rounds are skipped where they are made.
    rounds, rest = divmod(step * config.optimizer.accumulate, max(1, workers))
    split = replace(content, train=stream)
    crops = content_data.StreamCrops(
        split, config.seed, process, rounds * data.batch, data.size, data.min_scale
    )
    if step:
        logger.info("reading on to picture %d of the stream", step * data.batch * config.optimizer.accumulate)
    return islice(_loader(crops, config, accelerator, workers), rest, None)


def _loader(
    crops: Dataset[content_data.Crop], config: TrainConfig, accelerator: Accelerator, workers: int
) -> DataLoader:
    return DataLoader(
        crops,
        config.data.batch,
        num_workers=workers,
        collate_fn=content_data.collate,
        worker_init_fn=leave_signals_to_trainer,
        pin_memory=accelerator.device.type == "cuda",
    )


def in_plain_words(loader: Iterable[T]) -> Generator[T, None, None]:
    """The loader's batches; what a worker says of bad data without the traceback torch wraps it in."""
    try:
        yield from loader
    except UserError as error:
        raise UserError(_last_line(error).rsplit("UserError: ", 1)[-1]) from error
    except (OSError, RuntimeError) as error:  # a connection that dropped, a worker that was killed
        raise UserError(f"the content could not be read on: {_last_line(error)}; --resume goes on") from error


def note_unreadable(names: Iterable[str], known: list[str]) -> None:
    """Warn of each unreadable picture that is not ``known`` yet, and add it there."""
    for name in names:
        if name not in known:
            known.append(name)
            logger.warning("skipped unreadable content picture %s", name)


def _last_line(error: Exception) -> str:
    return str(error).strip().rsplit("\n", 1)[-1]


def validation_pictures(content: content_data.Content, config: TrainConfig) -> Tensor:
    """The held-out pictures, cropped and scaled alike; [N, 3, size, size] in [0, 1]."""
    crops = [center_crop(pixels, config.data.size) for pixels in content.validation]
    return to_float(torch.stack(crops))
