"""Distillation of a quarter-width VGG19 from a teacher loss network: `fast-nst backbone distill`.

The student is trained from random weights so that (a) a 1x1 convolution on each of its taps gives the
teacher's features, and (b) the distances the losses are made of, Gram errors and content errors between
pictures, are the teacher's. (a) gives the features their meaning, (b) lets the student stand in for the
teacher in `fast_nst.losses`; both at every tap.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from fast_nst.crops import load_image, to_float
from fast_nst.data import FolderCrops, collate, picture_folder
from fast_nst.errors import UserError, one_line
from fast_nst.files import whole_file
from fast_nst.networks.features import (
    load_loss_network,
)
from fast_nst.training.challenge import Challenger, make_challengers
from fast_nst.training.run import writing
from fast_nst.training.student import TAPS, Student, matching_loss, save_student
from fast_nst.training.versions import changed_versions

MIN_SCALE = 0.5  # smallest crop, as a share of the picture's shorter side


@dataclass
class DistillConfig:
    """Distillation of the compact loss network."""

    teacher: str = "vgg19"
    """Teacher loss network: vgg19, a weights file, or a folder with the hybrid teacher's two files."""
    content: str = ""
    """Folder of photographs."""
    styles: str | None = None
    """Folder of paintings mixed into the photographs."""
    output: Path = Path("runs/vgg19-compact.safetensors")
    """Weights file to write; its .distill state lies beside it."""
    steps: int = 2000
    """Optimizer steps."""
    batch: int = 6
    """Pictures per step; each comes with a changed version of itself."""
    size: int = 128
    """Side of the crops in pixels."""
    lr: float = 2e-3
    """Peak learning rate of AdamW's one-cycle schedule."""
    seed: int = 0
    """Seed of weights, order and crops."""
    challengers: int = 4
    """Paintings for which a network in the loop looks for pictures that only please the student; 0 = none."""
    init_from: Path | None = None
    """Start from the .distill state of a former distillation instead of random weights."""
    resume: bool = False
    """Go on from the state an interrupted run left beside the output."""
    workers: int = 2
    """Processes that decode pictures; 0 = decode in the training process."""

    def __post_init__(self) -> None:
        for name, least in (("steps", 2), ("batch", 2), ("size", 32), ("challengers", 0), ("workers", 0)):
            if getattr(self, name) < least:
                raise UserError(f"--{name} must be at least {least}")
        if self.challengers and self.batch < 3:
            raise UserError("--batch must be at least 3 with challengers: painting, network, pixels")
        if not self.lr > 0:
            raise UserError("--lr must be above 0")


def distill(config: DistillConfig) -> Path:
    """Train the compact loss network and write it, in fp16 with its description; returns the file.

    Raises:
        UserError: a missing teacher or folder, or an output that cannot be written.
    """
    torch.manual_seed(config.seed)
    teacher = load_loss_network(config.teacher, TAPS).to(memory_format=torch.channels_last)
    with torch.no_grad():
        probe = teacher(torch.zeros(1, 3, 64, 64), TAPS)
    student = Student({tap: features.shape[1] for tap, features in probe.items()})
    student = student.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(student.parameters(), lr=config.lr, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.lr, total_steps=config.steps, pct_start=0.1
    )
    challengers = make_challengers(_paintings(config))
    state_file = config.output.with_suffix(".distill")
    first = 0
    if config.resume and state_file.exists():
        with reading_state(state_file):
            state = torch.load(state_file, weights_only=True)
            student.load_state_dict(state["student"])
            optimizer.load_state_dict(state["optimizer"])
            schedule.load_state_dict(state["schedule"])
            for challenger, saved in zip(challengers, state["challengers"], strict=True):
                challenger.load_state_dict(saved)
            first = state["step"]
    elif config.output.exists():
        raise UserError(f"{config.output} is there already: --resume goes on, or give another --output")
    elif config.init_from is not None:
        with reading_state(config.init_from):
            student.load_state_dict(torch.load(config.init_from, weights_only=True)["student"])
    batches = iter(_pictures(config, first))
    progress = tqdm(range(first, config.steps), initial=first, total=config.steps, disable=None)
    started = time.monotonic()
    for step in progress:
        images = to_float(next(batches).images).contiguous(memory_format=torch.channels_last)
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
        images = with_versions(student, challengers, images, step, generator)
        with torch.no_grad():
            targets = teacher(images, TAPS)
        terms = matching_loss(student, images, targets)
        optimizer.zero_grad()
        terms["total"].backward()
        nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 20 == 0:
            values = " ".join(f"{name} {float(value.detach()):.3f}" for name, value in terms.items())
            progress.write(f"step {step} {values} {time.monotonic() - started:.0f} s", file=sys.stderr)
        if (step + 1) % 200 == 0 or step + 1 == config.steps:
            save_student(student, teacher, config.output)
            state = {
                "student": student.state_dict(),
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
                "challengers": [challenger.state_dict() for challenger in challengers],
                "step": step + 1,
            }
            with writing(state_file), whole_file(state_file) as unfinished:
                torch.save(state, unfinished)
    return config.output


def with_versions(
    student: Student,
    challengers: Sequence[Challenger],
    images: Tensor,
    step: int,
    generator: torch.Generator,
) -> Tensor:
    """Pictures [N, 3, H, W], then a version of each: [2N, 3, H, W].

    With challengers, whose turn comes by the step, the first picture gives way to a crop of the
    challenger's painting, which is changed by `changed_versions`; it makes the versions of the others.
    """
    if not challengers:
        return torch.cat([images, changed_versions(images, images.roll(1, 0), generator)])
    challenger = challengers[step % len(challengers)]
    challenge = challenger.challenge(lambda x: student(x)[0], images[1:])
    painting = _crop(challenger.painting, images.shape[-1], generator)
    originals = torch.cat([painting, challenge.photographs])
    changed = changed_versions(painting, images[:1], generator)
    return torch.cat([originals, changed, challenge.pictures])


@contextmanager
def reading_state(path: Path) -> Iterator[None]:
    """Whatever a missing, damaged or foreign state raises below, as one line."""
    try:
        yield
    except Exception as error:
        raise UserError(f"{path} is not the state of this distillation ({one_line(error)[:150]})") from error


def _crop(painting: Tensor, size: int, generator: torch.Generator) -> Tensor:
    height, width = painting.shape[-2:]
    top = int(torch.randint(height - size + 1, (), generator=generator))
    left = int(torch.randint(width - size + 1, (), generator=generator))
    return painting[..., top : top + size, left : left + size]


def _paintings(config: DistillConfig) -> list[Tensor]:
    """Pictures for the challengers [1, 3, H, W], spread over the folder, twice the crop size."""
    if not config.challengers or config.styles is None:
        return []
    files = [row["image"]["path"] for row in picture_folder(config.styles)]
    chosen = files[:: max(1, len(files) // config.challengers)][: config.challengers]
    return [load_image(path, 2 * config.size) for path in chosen]


def _pictures(config: DistillConfig, first: int) -> DataLoader:
    if not Path(config.content).is_dir() or not config.content:
        raise UserError("backbone distill needs --content DIR, a folder of photographs")
    files = picture_folder(config.content)
    if config.styles:
        from datasets import concatenate_datasets

        paintings = picture_folder(config.styles)
        repeats = max(1, len(files) // 8 // len(paintings))  # about a ninth of all crops
        files = concatenate_datasets([files, *[paintings] * repeats])
    span = (first * config.batch, config.steps * config.batch)
    crops = FolderCrops(files, config.seed, *span, config.size, MIN_SCALE)
    return DataLoader(crops, config.batch, num_workers=config.workers, collate_fn=collate)
