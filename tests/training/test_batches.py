"""Training batches: the same sequence wherever a run starts."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Generator
from contextlib import closing
from itertools import islice
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator

from fast_nst import stop
from fast_nst.config import OptimizerConfig, TrainConfig
from fast_nst.data.content import DataConfig, open_content
from fast_nst.data.sequence import Batch
from fast_nst.errors import Interrupted, UserError
from fast_nst.training.batches import training_batches


def images(source: Path, workers: int, accumulate: int, step: int, count: int) -> list[torch.Tensor]:
    data = DataConfig(size=32, batch=2, validation=2, workers=workers)
    config = TrainConfig(
        content=str(source), data=data, seed=1, optimizer=OptimizerConfig(accumulate=accumulate)
    )
    content = open_content(config.content, data, config.seed)
    with closing(training_batches(content, config, Accelerator(cpu=True), step)) as batches:
        return [batch.images for batch in islice(batches, count)]


@pytest.mark.parametrize(("workers", "accumulate", "step"), [(0, 1, 7), (2, 1, 7), (2, 3, 3), (2, 1, 8)])
def test_a_streamed_data_set_goes_on_where_it_stopped(
    parquet: Path, workers: int, accumulate: int, step: int
) -> None:
    """With two workers and an odd number of batches done, the second worker is next."""
    done = step * accumulate
    whole = images(parquet, workers, accumulate, 0, 20)  # beyond one epoch
    rest = images(parquet, workers, accumulate, step, 20 - done)
    assert len(whole) == 20
    for a, b in zip(whole[done:], rest, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_folder_goes_on_where_it_stopped(photographs: Path, workers: int) -> None:
    whole = images(photographs, workers, 2, 0, 14)
    rest = images(photographs, workers, 2, 3, 8)
    for a, b in zip(whole[6:], rest, strict=True):
        assert torch.equal(a, b)


def test_bad_content_met_by_a_worker_ends_in_one_line(tmp_path: Path, photographs: Path) -> None:
    for name in ("0.png", "1.png"):
        (tmp_path / name).write_bytes((photographs / name).read_bytes())
    config = TrainConfig(content=str(tmp_path), data=DataConfig(size=32, batch=2, validation=1, workers=1))
    content = open_content(config.content, config.data, 0)
    for path in tmp_path.iterdir():
        path.write_bytes(b"overwritten since")
    with pytest.raises(UserError) as caught:
        next(training_batches(content, config, Accelerator(cpu=True), 0))
    assert "unreadable" in str(caught.value)
    assert "\n" not in str(caught.value)


def open_batches(photographs: Path, **data: int) -> Generator[Batch, None, None]:
    config = TrainConfig(content=str(photographs), data=DataConfig(size=32, batch=2, validation=1, **data))
    content = open_content(config.content, config.data, 0)
    return training_batches(content, config, Accelerator(cpu=True), 0)


def test_workers_need_no_shared_memory(photographs: Path) -> None:
    """A container has 64 MB of it; a batch that found no room there never came."""
    with closing(open_batches(photographs, workers=1)) as batches:
        assert not next(batches).images.is_shared()


def test_a_worker_that_is_killed_ends_the_training_in_one_line(photographs: Path) -> None:
    batches = open_batches(photographs, workers=1)
    next(batches)
    for worker in multiprocessing.active_children():
        worker.kill()
    with pytest.raises(UserError, match=r"/dev/shm .* or 0; --resume goes on") as caught:
        list(batches)
    assert "\n" not in str(caught.value)
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("when", ["while it waits", "before"])
def test_a_request_to_stop_does_not_wait_for_workers_that_hang(
    photographs: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    monkeypatch.setattr(stop, "PATIENCE", 0.2)
    batches = open_batches(photographs, workers=2)
    with stop.StopRequest():
        next(batches)
        for worker in multiprocessing.active_children():
            os.kill(worker.pid or 0, signal.SIGSTOP)
        ask = threading.Timer(0.0 if when == "before" else 0.5, os.kill, (os.getpid(), signal.SIGTERM))
        ask.start()
        if when == "before":
            ask.join()
        with pytest.raises(Interrupted, match="go on from the last state saved") as caught:
            list(batches)  # what was made before the workers hung, and then nothing
    assert caught.value.exit_code == 128 + signal.SIGTERM
    assert not multiprocessing.active_children()


def test_workers_that_hang_do_not_hold_up_the_end(photographs: Path) -> None:
    batches = open_batches(photographs, workers=2)
    next(batches)
    for worker in multiprocessing.active_children():
        os.kill(worker.pid or 0, signal.SIGSTOP)
    batches.close()
    assert not multiprocessing.active_children()
