"""Distillation of a quarter-width VGG19 from a teacher loss network: `fast-nst backbone distill`.

The student is trained from random weights so that (a) at every ReLU a 1x1 convolution gives the teacher's
features, and (b) the distances the losses are made of, Gram errors and content errors between pictures,
are the teacher's. (a) makes each layer see what the teacher's sees, on pictures that are no photographs
too; (b) lets the student's own, fewer channels stand in for the teacher's in `fast_nst.losses`. A second
round (`stylized`, `init_from`) teaches it the pictures that networks trained under the first one painted.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from fast_nst.config import differences
from fast_nst.crops import to_float
from fast_nst.data import FolderCrops, collate, picture_folder
from fast_nst.errors import UserError, one_line
from fast_nst.files import whole_file
from fast_nst.networks.features import LossNetwork, load_loss_network
from fast_nst.training.batches import in_plain_words, note_unreadable
from fast_nst.training.challenge import Challenges
from fast_nst.training.run import writing
from fast_nst.training.student import LAYERS, Student, matching_loss, save_student
from fast_nst.training.versions import changed_versions

MIN_SCALE = 0.5  # smallest crop, as a share of the picture's shorter side
SAVE_EVERY = 200  # steps
ADAPTER_LR = 3.0  # of the adapters, times that of the network


@dataclass
class DistillConfig:
    """Distillation of the compact loss network."""

    teacher: str = "vgg19"
    """Teacher loss network: vgg19, a weights file, or a folder with the hybrid teacher's two files."""
    content: str = ""
    """Folder of photographs."""
    styles: str | None = None
    """Folder of paintings mixed into the photographs."""
    stylized: str | None = None
    """Folder with a folder of stylized pictures per painting, named like its file: half of each batch."""
    distance_weight: float = 0.5
    """Weight of the style and content distances between pictures, beside the features."""
    init_from: Path | None = None
    """Start from the .distill state of a former distillation instead of random weights."""
    output: Path = Path("runs/vgg19-compact.safetensors")
    """Weights file to write; its .distill state lies beside it."""
    steps: int = 2400
    """Optimizer steps."""
    batch: int = 6
    """Pictures per step; each comes with a changed version of itself."""
    size: int = 96
    """Side of the crops in pixels."""
    lr: float = 1e-2
    """Peak learning rate of AdamW's one-cycle schedule."""
    seed: int = 0
    """Seed of weights, order and crops."""
    resume: bool = False
    """Go on from the state an interrupted run left beside the output."""
    workers: int = 2
    """Processes that decode pictures; 0 = decode in the training process."""

    def __post_init__(self) -> None:
        for name, least in (("steps", 2), ("batch", 2), ("size", 32), ("workers", 0)):
            if getattr(self, name) < least:
                raise UserError(f"--{name} must be at least {least}")
        if not self.lr > 0:
            raise UserError("--lr must be above 0")
        if not 0 <= self.distance_weight < float("inf"):
            raise UserError("--distance-weight must be finite and not negative")
        if self.output.suffix != ".safetensors":
            raise UserError(f"--output {self.output} must end in .safetensors")
        if self.stylized is not None and self.batch < 4:
            raise UserError(
                "--batch must be at least 4 with --stylized: a painting, two of its, a photograph"
            )
        if not 0 <= self.seed < 2**32:
            raise UserError("--seed must be from 0 to 4294967295")


def distill(config: DistillConfig) -> Path:
    """Train the compact loss network and write it, in fp16 with its description; returns the file.

    Raises:
        UserError: a missing teacher or folder, or an output that cannot be written.
    """
    torch.manual_seed(config.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    teacher = load_loss_network(config.teacher, LAYERS).to(device).to(memory_format=torch.channels_last)
    scales = teacher_scales(teacher, config)
    student = Student(teacher_channels(teacher)).to(device).to(memory_format=torch.channels_last)
    adapters = list(student.adapters.parameters())
    others = [*student.layers.parameters(), *student.norms.parameters()]
    rates = [config.lr, config.lr * ADAPTER_LR]
    groups = [
        {"params": parameters, "lr": lr} for parameters, lr in zip((others, adapters), rates, strict=True)
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=config.steps, pct_start=0.1)
    state_file = config.output.with_suffix(".distill")
    first = 0
    if config.resume and state_file.exists():
        with reading_state(state_file):
            state = torch.load(state_file, map_location=device, weights_only=True)
            started_with = state["config"]
            student.load_state_dict(state["student"])
            optimizer.load_state_dict(state["optimizer"])
            schedule.load_state_dict(state["schedule"])
            first = state["step"]
        if first == config.steps and not config.output.exists():
            raise UserError(
                f"{state_file} is finished, but {config.output} is gone: start anew without --resume"
            )
        for name, (now, then) in differences(recipe(config), started_with).items():
            raise UserError(f"cannot resume: --{name} is {now!r}, the distillation was started with {then!r}")
    elif config.output.exists():
        hint = "its .distill state is not" if config.resume else "--resume goes on"
        raise UserError(f"{config.output} is there already: {hint}, or give another --output")
    elif config.init_from is not None:
        with reading_state(config.init_from):
            former = torch.load(config.init_from, map_location=device, weights_only=True)
            student.load_state_dict(former["student"])
    challenges = Challenges(config.stylized, config.styles) if config.stylized is not None else None
    batches = in_plain_words(pictures(config, first))
    unreadable: list[str] = []
    progress = tqdm(range(first, config.steps), initial=first, total=config.steps, disable=None)
    started = time.monotonic()
    for step in progress:
        batch = next(batches)
        note_unreadable(batch.unreadable, unreadable)
        images = batch.images
        if challenges is not None:
            images[:3] = challenges.crops(config.size, (config.seed, 7, step))
        images = to_float(images)
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
        images = torch.cat([images, changed_versions(images, images.roll(1, 0), generator)])
        images = images.to(device).contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            targets = teacher(images, LAYERS)
        challenged = challenges is not None
        terms = matching_loss(student, images, targets, scales, config.distance_weight, challenged)
        if not bool(torch.isfinite(terms["total"])):
            raise UserError(f"the loss is {float(terms['total'])} at step {step}: lower --lr")
        optimizer.zero_grad()
        terms["total"].backward()
        nn.utils.clip_grad_norm_(student.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        if step % 20 == 0:
            values = " ".join(f"{name} {float(value.detach()):.3f}" for name, value in terms.items())
            progress.write(f"step {step} {values} {time.monotonic() - started:.0f} s", file=sys.stderr)
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == config.steps:
            save_student(student, teacher, config.output)
            state = {
                "student": student.state_dict(),
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
                "step": step + 1,
                "config": recipe(config),
            }
            with writing(state_file), whole_file(state_file) as unfinished:
                torch.save(state, unfinished)
    return config.output


def recipe(config: DistillConfig) -> dict[str, Any]:
    """The settings that a resumed distillation must share with the one it goes on with."""
    where = {"output", "resume", "workers", "init_from"}
    return {name: value for name, value in asdict(config).items() if name not in where}


@torch.no_grad()
def teacher_channels(teacher: LossNetwork) -> dict[str, int]:
    """Channels of the teacher at `LAYERS`."""
    probe = teacher(torch.zeros(1, 3, 64, 64, device=teacher.mean.device), LAYERS)
    return {name: features.shape[1] for name, features in probe.items()}


@torch.no_grad()
def teacher_scales(teacher: LossNetwork, config: DistillConfig) -> dict[str, Tensor]:
    """Standard deviation of the teacher's features at `LAYERS` over the first few batches."""
    batches = islice(pictures(replace(config, workers=0), 0), 4)
    images = torch.cat([to_float(batch.images) for batch in batches]).to(teacher.mean.device)
    return {name: features.std() for name, features in teacher(images, LAYERS).items()}


@contextmanager
def reading_state(path: Path) -> Iterator[None]:
    """Whatever a missing, damaged or foreign state raises below, as one line."""
    try:
        yield
    except Exception as error:
        raise UserError(f"{path} is not the state of this distillation ({one_line(error)[:150]})") from error


def pictures(config: DistillConfig, first: int) -> DataLoader:
    """Batches of crops from step ``first`` on."""
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
