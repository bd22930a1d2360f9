"""A network to start styles from: trained on many at once, `fast-nst pretrain`.

All styles share the convolutions and each has its own instance norm parameters (Dumoulin et al. 2017,
"A learned representation for artistic style"). A new style starts from the shared weights and the mean of
the norms, with the aim of MetaStyle (Zhang et al. 2019): a fraction of the steps.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader
from tqdm import tqdm

from fast_nst.config import LossConfig, OptimizerConfig, differences
from fast_nst.crops import load_image, to_float
from fast_nst.data import Batch, DataConfig, FolderCrops, collate, picture_folder
from fast_nst.errors import Interrupted, UserError
from fast_nst.files import check_writable, whole_file
from fast_nst.losses import PerceptualLoss, floats
from fast_nst.networks.multistyle import MultiStyleNetwork
from fast_nst.networks.transform import TransformConfig, save_transform
from fast_nst.pictures import find_pictures
from fast_nst.stop import StopRequest
from fast_nst.training.batches import in_plain_words, note_unreadable
from fast_nst.training.distill import reading_state
from fast_nst.training.guard import leave_signals_to_trainer
from fast_nst.training.objective import objective
from fast_nst.training.perceptual import perceptual_loss, resolve_loss
from fast_nst.training.run import writing
from fast_nst.training.schedule import make_optimizer, warm_up_and_cosine
from fast_nst.training.style import network_to_start_from

SAVE_EVERY = 100  # steps


@dataclass
class PretrainConfig:
    """A network to start styles from."""

    styles: str = ""
    """Folder of style pictures; the more, and the more different, the better."""
    content: str = ""
    """Folder of photographs."""
    output: Path = Path("runs/base.safetensors")
    """Weights file to write; its .pretrain state lies beside it."""
    each: Path | None = None
    """Folder for the network of each single style as well, NAME.safetensors."""
    init_from: str | None = None
    """Start from a trained network instead of random weights: a run, a weights file, or one that ships, as
    for `train`."""
    resume: bool = False
    """Go on from the state an interrupted run left beside the output."""
    steps: int = 2000
    """Optimizer steps."""
    seed: int = 0
    """Seed of weights, order and crops."""
    mixed_precision: Literal["no", "bf16"] = "no"
    """Autocast precision; bf16 is faster on GPUs and on CPUs that have it."""
    license: str = "unspecified"
    """License of the trained network, written into the file."""
    network: TransformConfig = field(default_factory=TransformConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    data: DataConfig = field(default_factory=DataConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)

    def __post_init__(self) -> None:
        if self.steps < 2:
            raise UserError("--steps must be at least 2")
        if not 0 <= self.seed < 2**32:
            raise UserError("--seed must be from 0 to 4294967295")
        if self.output.suffix != ".safetensors":
            raise UserError(f"--output {self.output} must end in .safetensors")
        if self.data.size % self.network.stride:
            raise UserError(f"--data.size must be a multiple of {self.network.stride}")
        if self.optimizer.accumulate != 1:
            raise UserError("pretrain does not accumulate gradients: leave out --optimizer.accumulate")
        if self.loss.teacher is not None:
            raise UserError("--loss.teacher is of one style, pretrain trains many: leave it out")


def pretrain(config: PretrainConfig) -> Path:
    """Train one network on all styles of a folder; writes and returns ``config.output``.

    Every picture of a batch is painted after a style of its own, drawn at random.

    Raises:
        UserError: something in the configuration is wrong or missing, or a step is not finite.
        Interrupted: SIGINT or SIGTERM came; the state is saved, ``resume`` goes on.
    """
    torch.manual_seed(config.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    files = style_files(config.styles)
    check_writable(config.output)
    if config.each is not None:
        try:
            check_writable(config.each / "NAME.safetensors")
        except OSError as error:
            reason = error.strerror or error
            raise UserError(f"--each {config.each} must be a folder to write to ({reason})") from error
    loss_config, loss_network = resolve_loss(config.loss)
    losses = [
        perceptual_loss(
            loss_config, loss_network, load_image(file, loss_config.style_size), device, torch.channels_last
        )
        for file in files
    ]
    network = MultiStyleNetwork(config.network, len(files))
    if config.init_from is not None:
        network.load_shared(network_to_start_from(config.init_from, config.network))
    network.to(device).to(memory_format=torch.channels_last)
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(config.optimizer.ema))
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = make_optimizer(network.shared, config.optimizer)
    optimizer.add_param_group({"params": list(network.own), "weight_decay": 0.0})  # norms do not decay
    state_file = config.output.with_suffix(".pretrain")
    first = 0
    if config.resume and state_file.exists():
        with reading_state(state_file):
            state = torch.load(state_file, map_location=device, weights_only=True)
            network.load_state_dict(state["network"])
            average.load_state_dict(state["average"])
            optimizer.load_state_dict(state["optimizer"])
            first = state["step"]
            started_with = json.loads(state["recipe"])
        for name, (now, then) in differences(recipe(config, files), started_with).items():
            raise UserError(f"cannot resume: --{name} is {now!r}, the run was started with {then!r}")
    elif state_file.exists():
        raise UserError(f"{state_file} is there already: --resume goes on, or give another --output")
    unreadable: list[str] = []
    batches = in_plain_words(pictures(config, first))
    progress = tqdm(range(first, config.steps), initial=first, total=config.steps, disable=None)
    started = time.monotonic()
    with StopRequest() as stop, closing(batches), progress:
        for step in progress:
            share = warm_up_and_cosine(step, config.optimizer.warmup, config.steps, config.optimizer.final_lr)
            for group in optimizer.param_groups:
                group["lr"] = config.optimizer.lr * share
            batch = next(batches)
            note_unreadable(batch.unreadable, unreadable)
            images = to_float(batch.images.to(device)).contiguous(memory_format=torch.channels_last)
            optimizer.zero_grad()
            terms = backward(network, losses, images, config, step)
            norm = nn.utils.clip_grad_norm_(trained, config.optimizer.clip or math.inf)
            if not bool(torch.isfinite(norm)):
                raise UserError(f"step {step + 1} is not finite: lower --optimizer.lr or --loss.weights")
            optimizer.step()
            average.update_parameters(network)
            if (step + 1) % 20 == 0:
                shown = " ".join(f"{name} {terms[name]:.4f}" for name in ("total", "content", "style"))
                progress.write(f"step {step + 1} {shown} {time.monotonic() - started:.0f} s", file=sys.stderr)
            stopping = stop.signal
            if stopping or (step + 1) % SAVE_EVERY == 0 or step + 1 == config.steps:
                state = {
                    "network": network.state_dict(),
                    "average": average.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "step": step + 1,
                    "recipe": json.dumps(recipe(config, files)),
                }
                with writing(state_file), whole_file(state_file) as unfinished:
                    torch.save(state, unfinished)
            if stopping and step + 1 < config.steps:
                raise Interrupted(stopping, f"stopped at step {step + 1}, state saved: go on with --resume")
    assert isinstance(average.module, MultiStyleNetwork)
    save(average.module, files, config)
    return config.output


def backward(
    network: MultiStyleNetwork,
    losses: list[PerceptualLoss],
    images: Tensor,
    config: PretrainConfig,
    step: int,
) -> dict[str, float]:
    """Gradients of one step, each picture after a style of its own; the mean of the loss terms."""
    rng = np.random.default_rng((config.seed, 9, step))
    means: dict[str, float] = {}
    for number, image in enumerate(images.split(1)):
        style = int(rng.integers(len(losses)))

        def one_style(x: Tensor, style: int = style) -> Tensor:
            return network(x, style)

        with torch.autocast(image.device.type, torch.bfloat16, enabled=config.mixed_precision == "bf16"):
            terms = objective(one_style, image, losses[style], config.loss, (config.seed, step, number))
        (terms["total"] / len(images)).backward()
        for name, value in floats(terms).items():
            means[name] = means.get(name, 0.0) + value / len(images)
    return means


def style_files(folder: str) -> list[Path]:
    """The style pictures, sorted by name.

    Raises:
        UserError: fewer than two.
    """
    files = find_pictures(folder) if folder and Path(folder).is_dir() else []
    if len(files) < 2:
        raise UserError("pretrain needs --styles DIR, a folder of at least two style pictures")
    return files


def pictures(config: PretrainConfig, first: int) -> Iterator[Batch]:
    """Batches of crops from step ``first`` on."""
    if not config.content or not Path(config.content).is_dir():
        raise UserError("pretrain needs --content DIR, a folder of photographs")
    data = config.data
    span = (first * data.batch, config.steps * data.batch)
    files = picture_folder(config.content)
    crops = FolderCrops(files, config.seed, *span, data.size, data.min_scale)
    loader = DataLoader(
        crops,
        data.batch,
        num_workers=data.workers,
        collate_fn=collate,
        worker_init_fn=leave_signals_to_trainer,
    )
    return iter(loader)


def recipe(config: PretrainConfig, files: list[Path]) -> dict[str, Any]:
    """The settings that a resumed run must share with the one it goes on with, as JSON holds them."""
    where = {"styles", "content", "output", "each", "init_from", "resume", "license"}
    plain = {name: value for name, value in asdict(config).items() if name not in where}
    plain["data"].pop("workers")
    hashes = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    return dict(json.loads(json.dumps({**plain, "style_sha256": hashes})))


def save(network: MultiStyleNetwork, files: list[Path], config: PretrainConfig) -> None:
    """Write the network to start from, and each style's own where asked for."""
    about = {"license": config.license, "config": json.dumps(recipe(config, files))}
    with writing(config.output):
        save_transform(network.single(None), config.output, {**about, "style": "base"})
    if config.each is not None:
        with writing(config.each):
            for number, file in enumerate(files):
                target = config.each / f"{file.stem}.safetensors"
                save_transform(network.single(number), target, {**about, "style": file.stem})
