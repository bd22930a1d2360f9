"""Training batches: the same sequence wherever a run starts."""

from __future__ import annotations

from contextlib import closing
from itertools import islice
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator

from fast_nst.config import OptimizerConfig, TrainConfig
from fast_nst.data import DataConfig, open_content
from fast_nst.errors import UserError
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
