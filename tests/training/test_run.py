"""What every training does around its steps."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.optim.swa_utils import AveragedModel

from fast_nst.networks.transform import TransformConfig, TransformNetwork
from fast_nst.training.folder import TrainState, load_checkpoint, save_checkpoint
from fast_nst.training.run import start_accelerator


def test_too_little_memory_for_a_checkpoint_is_not_called_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = TransformNetwork(TransformConfig(2, 0))
    accelerator, average = start_accelerator("no"), AveragedModel(network)
    save_checkpoint(accelerator, tmp_path, TrainState(), average, {})

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(accelerator, "load_state", full)
    with pytest.raises(torch.OutOfMemoryError):
        load_checkpoint(accelerator, tmp_path / "checkpoint" / "step-00000000", average)


def test_each_batch_counts_once_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """accelerate would divide every loss by what the variable says, beside our own division."""
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4")
    value = torch.ones((), requires_grad=True)
    start_accelerator("no").backward(3 * value)
    assert value.grad == 3
