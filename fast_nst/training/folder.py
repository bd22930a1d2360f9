"""The run folder: configuration, full-state checkpoints that survive any interruption, samples."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
import yaml
from accelerate import Accelerator
from safetensors import SafetensorError
from torch.optim.swa_utils import AveragedModel

from fast_nst.config import TrainConfig
from fast_nst.errors import UserError, one_line
from fast_nst.export import AVERAGE
from fast_nst.files import flush, real_path, whole_file
from fast_nst.networks.transform import TransformNetwork, load_transform, save_transform

PREFIX = "step-"
STATE = "state.json"
# What torch's writers say of a full disk, in words of their own.
WRITE_FAILED = re.compile(r"file|inline_container|iostream|PytorchStreamWriter", re.IGNORECASE)


@dataclass
class TrainState:
    """Where a run is; saved with every checkpoint."""

    step: int = 0
    """Optimizer steps done, skipped ones included."""
    lr_scale: float = 1.0
    """Halved at every roll-back."""
    skipped: int = 0
    """Steps skipped because loss or gradient was not finite."""
    rollbacks: int = 0
    """Times the run went back to its last good state."""
    seconds: float = 0.0
    """Time spent in training steps."""
    good_step: int = 0
    """Step of the checkpoint to roll back to."""
    bad_in_a_row: int = 0
    """Skipped steps since the last good one."""
    style_sha256: str = ""
    """Hash of the style pictures the run was started with."""
    content_sha256: str = ""
    """Hash of the names in the content folder the run was started with."""
    averaged: int = 0
    """Steps in the averaged weights."""
    processes: int = 1
    """Processes the run was started with: they share out the content between them."""
    unreadable: list[str] = field(default_factory=list)
    """Content pictures that could not be read."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn whatever a full or unwritable disk raises below into one line naming ``path``."""
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error
    except (SafetensorError, RuntimeError) as error:
        text = one_line(error)
        if not isinstance(error, SafetensorError) and not WRITE_FAILED.search(text):
            raise  # not about writing
        raise UserError(f"cannot write {path}: {text.split('. ')[0]}") from error


@contextmanager
def reading(checkpoint: Path) -> Iterator[None]:
    """Call ``checkpoint`` damaged whatever its files make the loaders raise below, but for lack of memory."""
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        raise UserError(f"checkpoint {checkpoint} is damaged ({one_line(error)[:200]})") from error


class RunConfig(Protocol):
    """What a run folder needs to know of the configuration it is opened for."""

    resume: bool

    @property
    def run_folder(self) -> Path:
        """Where the run is written."""

    def to_yaml(self) -> str:
        """The resolved configuration."""

    def check_resumable(self, saved: dict[str, Any]) -> None:
        """Raise a UserError if ``saved`` cannot be gone on with."""


def open_run(config: RunConfig) -> None:
    """Make the run folder and write its config, or check that it is the one to resume.

    Raises:
        UserError: the folder holds a run and ``resume`` is off, or a run with other settings.
    """
    folder = config.run_folder
    config_file = folder / "config.yaml"
    if config_file.exists():
        if not config.resume:
            raise UserError(f"{folder} already holds a run: go on with --resume, or choose another --output")
        try:
            saved = yaml.safe_load(config_file.read_text())
        except (yaml.YAMLError, UnicodeDecodeError):
            saved = None
        if not isinstance(saved, dict):
            raise UserError(f"{config_file} is damaged")
        config.check_resumable(saved)
    with writing(folder):
        (folder / "samples").mkdir(parents=True, exist_ok=True)
        write_text(config_file, config.to_yaml())


def refuse_own_samples(config: TrainConfig) -> None:
    """A run folder among the content pictures would be trained on its own samples.

    Raises:
        UserError: names both folders.
    """
    if real_path(config.run_folder).is_relative_to(real_path(Path(config.content))):
        raise UserError(
            f"the run folder {config.run_folder} lies in the content folder {config.content}: its samples"
            " would be trained on; choose another --output"
        )


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with whole_file(path) as unfinished:
        unfinished.write_text(text)


def latest_checkpoint(folder: Path) -> Path | None:
    """The newest finished checkpoint of a run, or None."""
    found = [
        path
        for path in (folder / "checkpoint").glob(f"{PREFIX}*")
        if path.is_dir() and path.name.removeprefix(PREFIX).isdigit()
    ]
    return max(found, key=lambda path: int(path.name.removeprefix(PREFIX)), default=None)


def checkpoint_folder(folder: Path, step: int) -> Path:
    """Where a run's checkpoint of ``step`` lies."""
    return folder / "checkpoint" / f"{PREFIX}{step:08d}"


@contextmanager
def whole_checkpoint(accelerator: Accelerator, folder: Path, step: int, good_step: int) -> Iterator[Path]:
    """A folder to write the state of ``step`` into, which accelerate's part of it already is in.

    A kill at any moment leaves the former checkpoint or this one, whole. Older ones go, but for that of
    ``good_step``. The block runs in every process; only the main one may write.
    """
    final = checkpoint_folder(folder, step)
    unfinished = final.with_name(final.name + ".tmp")
    with writing(final):
        if accelerator.is_main_process:
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(parents=True)
        accelerator.wait_for_everyone()
        accelerator.save_state(str(unfinished))
        accelerator.wait_for_everyone()
        yield unfinished
        if accelerator.is_main_process:
            for path in unfinished.iterdir():  # so that the rename cannot reach the disk before them
                flush(path)
            shutil.rmtree(final, ignore_errors=True)
            unfinished.rename(final)  # a folder's rename is atomic
            flush(final.parent)
            for path in final.parent.iterdir():
                if path not in (final, checkpoint_folder(folder, good_step)):
                    shutil.rmtree(path, ignore_errors=True)
    accelerator.wait_for_everyone()


def save_checkpoint(
    accelerator: Accelerator, folder: Path, state: TrainState, average: AveragedModel, about: dict[str, str]
) -> None:
    """Write the full state of a style's training.

    The averaged weights lie in it as in a finished run's model.safetensors, so that they can be exported.
    """
    with whole_checkpoint(accelerator, folder, state.step, state.good_step) as unfinished:
        if accelerator.is_main_process:
            # Not through accelerate: it would pickle them, and run what a pickle says on resuming.
            assert isinstance(average.module, TransformNetwork)
            save_transform(average.module, unfinished / AVERAGE, about)
            state.averaged = int(average.n_averaged)
            (unfinished / STATE).write_text(json.dumps(vars(state)))


def load_checkpoint(accelerator: Accelerator, path: Path, average: AveragedModel) -> TrainState:
    """Restore weights, averaged weights, optimizer and RNG; returns where the run was.

    Raises:
        UserError: the checkpoint is damaged.
    """
    with reading(path):
        state = TrainState(**json.loads((path / STATE).read_text()))
        accelerator.load_state(str(path))
        average.module.load_state_dict(averaged_network(path).state_dict())
        average.n_averaged.fill_(state.averaged)
    return state


def averaged_network(checkpoint: Path) -> TransformNetwork:
    """The averaged network of a checkpoint, which tells its own architecture.

    Raises:
        UserError: the checkpoint is damaged.
    """
    with reading(checkpoint):
        return load_transform(checkpoint / AVERAGE)[0]


def check_same_inputs(config: TrainConfig, saved: TrainState, now: TrainState) -> None:
    """Refuse to go on with other style pictures, other content files or another number of processes.

    Raises:
        UserError: says which.
    """
    if saved.style_sha256 != now.style_sha256:
        raise UserError(f"cannot resume {config.run_folder}: the style pictures have changed since")
    if saved.content_sha256 != now.content_sha256:
        raise UserError(
            f"cannot resume {config.run_folder}: pictures were added to or taken from {config.content} since"
        )
    if saved.processes != now.processes:
        raise UserError(
            f"cannot resume {config.run_folder} with {now.processes} processes:"
            f" it was started with {saved.processes}, which share out the content"
        )
