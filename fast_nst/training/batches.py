"""The content pictures of a training, ready for the loop: batches, and held-out ones."""

from __future__ import annotations

import errno
import logging
import multiprocessing
import signal
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from multiprocessing.reduction import ForkingPickler
from typing import Any, TypeVar

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from fast_nst.config import TrainConfig
from fast_nst.data.content import Content
from fast_nst.data.crops import center_crop, to_float
from fast_nst.data.sequence import Batch, BuiltinCrops, Crop, FolderCrops, StreamCrops, collate
from fast_nst.errors import UserError
from fast_nst.machine.limits import usable_cores
from fast_nst.stop import waiting
from fast_nst.training.guard import leave_signals_to_trainer

logger = logging.getLogger("fast_nst")
T = TypeVar("T")


def training_batches(
    content: Content, config: TrainConfig, accelerator: Accelerator, step: int
) -> Generator[Batch, None, None]:
    """Batches of this process from ``step`` on; close them to end the workers."""
    data = config.data
    if content.streaming:  # split by process on its own
        return in_plain_words(_stream_batches(content, config, accelerator, step))
    per_step = data.batch * config.optimizer.accumulate * accelerator.num_processes
    span = (step * per_step, config.steps * per_step)
    crops: Dataset[Crop]
    if content.train is None:
        crops = BuiltinCrops(config.seed, *span, data.size)
    else:
        crops = FolderCrops(content.train, config.seed, *span, data.size, data.min_scale)
    return in_plain_words(accelerator.prepare(_loader(crops, config, min(data.workers, usable_cores()))))


def _stream_batches(
    content: Content, config: TrainConfig, accelerator: Accelerator, step: int
) -> Iterator[Batch]:
    data, stream = config.data, content.train
    process = accelerator.process_index
    if accelerator.num_processes > 1:
        from datasets.distributed import split_dataset_by_node

        stream = split_dataset_by_node(stream, process, accelerator.num_processes)
    workers = min(data.workers, max(1, stream.num_shards))
    # The loader takes a batch from each worker in turn: whole rounds are skipped where they are made.
    rounds, rest = divmod(step * config.optimizer.accumulate, max(1, workers))
    crops = StreamCrops(
        stream,
        content.held_out,
        config.seed,
        process,
        rounds * data.batch,
        data.size,
        data.min_scale,
    )
    if step:
        logger.info("reading on to picture %d of the stream", step * data.batch * config.optimizer.accumulate)
    return islice(_loader(crops, config, workers), rest, None)


def _loader(crops: Dataset[Crop], config: TrainConfig, workers: int) -> DataLoader:
    return DataLoader(
        crops,
        config.data.batch,
        num_workers=workers,
        collate_fn=collate,
        worker_init_fn=start_worker,
    )


def start_worker(worker: int) -> None:
    """For a loader: what each of its workers does first."""
    leave_signals_to_trainer(worker)
    # Through the pipe, not through torch's shared memory: of that a container has 64 MB, and a batch
    # without room there never comes.
    ForkingPickler.register(Tensor, _by_value)


def _by_value(tensor: Tensor) -> tuple[Any, tuple[np.ndarray]]:
    return torch.from_numpy, (tensor.numpy(),)


def in_plain_words(loader: Iterable[T]) -> Generator[T, None, None]:
    """The loader's batches; what a worker says of bad data without the traceback torch wraps it in.

    Its workers end with it, whatever they are at. A request to stop breaks off a wait for them.
    """
    others = set(multiprocessing.active_children())
    workers: set[Any] = set()
    batches = iter(loader)
    try:
        while True:
            with waiting():
                batch = next(batches, None)
            workers = workers or set(multiprocessing.active_children()) - others
            if batch is None:
                return
            yield batch
    except UserError as error:
        raise UserError(_last_line(error).rsplit("UserError: ", 1)[-1]) from error
    except (OSError, RuntimeError) as error:  # a connection that dropped, a worker that was killed
        reason = _last_line(error)
        if "DataLoader worker" in str(error) or getattr(error, "errno", None) == errno.ENOSPC:
            reason += (
                "; give it more memory and a larger /dev/shm (docker run --shm-size 1g), or take fewer"
                " --data.workers, or 0"
            )
        raise UserError(f"the content could not be read on: {reason}; --resume goes on") from error
    finally:
        with _no_failures():
            for worker in workers or set(multiprocessing.active_children()) - others:
                worker.kill()  # torch would wait five seconds for each that hangs, and Python for ever
                worker.join(1)
            if isinstance(batches, Generator):
                batches.close()


@contextmanager
def _no_failures() -> Iterator[None]:
    """While workers are killed: torch's handler would raise an error for each."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGCHLD"):
        yield
        return
    former = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, former)


def note_unreadable(names: Iterable[str], known: list[str]) -> None:
    """Warn of each unreadable picture that is not ``known`` yet, and add it there."""
    for name in names:
        if name not in known:
            known.append(name)
            logger.warning("skipped unreadable content picture %s", name)


def _last_line(error: Exception) -> str:
    return str(error).strip().rsplit("\n", 1)[-1]


def validation_pictures(content: Content, config: TrainConfig) -> Tensor:
    """The held-out pictures, cropped and scaled alike; [N, 3, size, size] in [0, 1]."""
    crops = [center_crop(pixels, config.data.size) for pixels in content.validation]
    return to_float(torch.stack(crops))
