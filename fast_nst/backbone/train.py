"""Train the custom VGG19 as a classifier. Reads top to bottom; `train_backbone` is the recipe.

What comes out is a loss network: `fast-nst train --loss.network runs/NAME/model.safetensors`.
"""

from __future__ import annotations

import copy
import json
import logging
import math
import time
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast, set_seed
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.data import DataLoader

from fast_nst.backbone import report as backbone_report
from fast_nst.backbone.accuracy import Accuracy, measure_accuracy
from fast_nst.backbone.classifier import VGG19, save_backbone
from fast_nst.backbone.config import BackboneConfig
from fast_nst.backbone.labelled import AugmentedPictures, Splits, open_labelled
from fast_nst.data.crops import to_float
from fast_nst.errors import UserError
from fast_nst.machine.limits import usable_cores
from fast_nst.training.batches import in_plain_words, start_worker
from fast_nst.training.folder import STATE, latest_checkpoint, open_run, reading, whole_checkpoint, writing
from fast_nst.training.run import Run, start_accelerator
from fast_nst.training.schedule import make_optimizer, warm_up_and_cosine

logger = logging.getLogger("fast_nst")
BEST = "best.safetensors"  # in a checkpoint: the weights with the lowest validation loss so far
PLATEAU = ("best", "num_bad_epochs", "cooldown_counter", "last_epoch")


@dataclass
class BackboneState:
    """Where a run is; saved with every checkpoint."""

    data_sha256: str
    """Hash of the pictures that are trained on."""
    processes: int
    """Processes the run was started with."""
    step: int = 0
    """Optimizer steps done."""
    loss_sum: float = 0.0
    """Of the training losses since the epoch began."""
    best_loss: float = math.inf
    """Lowest validation loss so far."""
    best_epoch: int = 0
    seconds: float = 0.0
    """Time spent in training steps."""
    plateau: dict[str, float] = field(default_factory=dict)
    """ReduceLROnPlateau's memory."""
    history: list[dict[str, float]] = field(default_factory=list)
    """One entry an epoch: train_loss, validation_loss, top1, top5, lr."""


def train_backbone(config: BackboneConfig) -> Path:
    """Train a VGG19 as ``config`` says; returns the run folder, which then holds model.safetensors.

    Raises:
        UserError: something in the configuration or the data is wrong, or the loss is no longer a number.
        Interrupted: SIGINT or SIGTERM came; the state is saved, ``resume`` goes on.
    """
    accelerator = start_accelerator(config.mixed_precision)
    set_seed(config.seed)
    checkpoint = latest_checkpoint(config.run_folder) if config.resume else None
    with accelerator.main_process_first():  # it makes the folder, and downloads what is missing
        if accelerator.is_main_process:
            open_run(config)
        data = open_labelled(config.data)
    backbone_report.log_splits(data, config)

    device = accelerator.device
    layout = torch.channels_last if config.channels_last else torch.contiguous_format
    network = VGG19(config.network, len(data.train.classes)).to(device).to(memory_format=layout)
    judged = copy.deepcopy(network)  # accelerate makes the other one autocast whatever it is given
    optimizer = make_optimizer(network, config.optimizer)
    if config.compile:
        network.compile()
    model, optimizer = accelerator.prepare(network, optimizer)
    # Follows the validation loss alone, once an epoch: stepped on anything else the rate fades away unseen.
    plateau = ReduceLROnPlateau(
        optimizer, factor=config.optimizer.factor, patience=config.optimizer.patience, min_lr=1e-6
    )
    images_per_step = config.data.batch * accelerator.num_processes
    per_epoch = max(1, len(data.train.labels) // images_per_step)  # steps
    steps = config.epochs * per_epoch
    state, best = BackboneState(data.train.sha256(), accelerator.num_processes), cpu_weights(network)
    if checkpoint is not None:
        saved, best = load_checkpoint(accelerator, checkpoint, plateau)
        if (saved.data_sha256, saved.processes) != (state.data_sha256, state.processes):
            raise UserError(
                f"cannot resume {config.run_folder}: the pictures of {config.data.source} or the number of"
                " processes have changed since"
            )
        state = saved
        logger.info("resumed at step %d of %d, epoch %d", state.step, steps, state.step // per_epoch + 1)

    batches = training_batches(data, config, accelerator, (state.step, steps))
    warm_up = min(config.optimizer.warmup, per_epoch)
    run = Run(config.data_name, state.step, steps, config.run_folder, accelerator, images_per_step)
    run.tell_config(config.to_yaml())
    with run, closing(batches):
        while state.step < steps:
            started = time.perf_counter()
            if config.optimizer.schedule == "cosine" or state.step <= warm_up:
                length = steps if config.optimizer.schedule == "cosine" else None
                for group in optimizer.param_groups:
                    group["lr"] = config.optimizer.lr * warm_up_and_cosine(state.step, warm_up, length)
            images, labels = next(batches)
            images = to_float(images.to(device, non_blocking=True)).contiguous(memory_format=layout)
            optimizer.zero_grad()
            # Dropout must not depend on interruptions; behind the loader, which draws when it starts.
            torch.manual_seed(config.seed * 1_000_003 + state.step)
            with accelerator.autocast():
                logits = model(images)
            loss = F.cross_entropy(logits.float(), labels.to(device), label_smoothing=config.label_smoothing)
            accelerator.backward(loss)
            accelerator.clip_grad_norm_(network.parameters(), config.optimizer.clip or math.inf)
            value = checked(float(loss.detach()), state.step)
            optimizer.step()
            state.step += 1
            state.loss_sum += value
            state.seconds += time.perf_counter() - started

            run.at(state.step)
            lr = optimizer.param_groups[0]["lr"]
            epoch_over = state.step % per_epoch == 0
            if epoch_over or state.step % config.log_every == 0:
                rate = images_per_step / (time.perf_counter() - started)
                run.log("train", {"loss": value, "lr": lr, "images_per_second": rate}, state.step)
                run.show(f"loss {value:.3f} lr {lr:.1e}")
            if epoch_over:
                judged.load_state_dict(network.state_dict())
                found = measure_accuracy(judged, data.validation, config.data.size, config.data.batch)
                # One process's word for all: batch norm's statistics are each one's own.
                agreed = broadcast(torch.tensor(found.loss, device=device))
                found = replace(found, loss=checked(float(agreed), state.step))
                if found.loss < state.best_loss:
                    state.best_loss, state.best_epoch = found.loss, state.step // per_epoch
                    best = cpu_weights(network)
                if config.optimizer.schedule == "plateau":
                    plateau.step(found.loss)
                end_epoch(state, found, per_epoch, lr, data, run)
            stopping = run.stopping()
            if stopping or epoch_over:
                state.plateau = {name: getattr(plateau, name) for name in PLATEAU}
                save_checkpoint(accelerator, config.run_folder, state, best)
            if stopping and state.step < steps:
                run.leave(stopping, f"step {state.step}")
    if accelerator.is_main_process:
        judged.load_state_dict(best)
        finish(config, state, judged, data)
    accelerator.wait_for_everyone()
    return config.run_folder


def training_batches(
    data: Splits, config: BackboneConfig, accelerator: Accelerator, span: tuple[int, int]
) -> Any:
    """Batches of this process for the steps of ``span``; close them to end the workers."""
    images_per_step = config.data.batch * accelerator.num_processes
    positions = (span[0] * images_per_step, span[1] * images_per_step)
    pictures = AugmentedPictures(data.train, config.data, config.seed, images_per_step, positions)
    loader = DataLoader(
        pictures,
        config.data.batch,
        num_workers=min(config.data.workers, usable_cores()),
        worker_init_fn=start_worker,
    )
    return in_plain_words(accelerator.prepare(loader))


def checked(loss: float, step: int) -> float:
    """The loss, if it is a number.

    Raises:
        UserError: it is not.
    """
    if not math.isfinite(loss):
        raise UserError(f"the loss is {loss} at step {step}: lower --optimizer.lr, or train without fp16")
    return loss


def end_epoch(
    state: BackboneState,
    found: Accuracy,
    per_epoch: int,
    lr: float,
    data: Splits,
    run: Run,
) -> None:
    """Note an epoch's figures in ``state``, in TensorBoard and on the terminal."""
    entry = {
        "train_loss": state.loss_sum / per_epoch,
        "validation_loss": found.loss,
        "top1": found.top1,
        "top5": found.top5,
        "lr": lr,
    }
    state.history.append(entry)
    state.loss_sum = 0.0
    run.log("validation", {"loss": found.loss, "top1": found.top1, "top5": found.top5}, state.step)
    if run.writer is not None:
        worst = backbone_report.worst_table(found, data.train.classes)
        run.writer.add_text("worst classes", worst, state.step)
    run.say(
        f"epoch {len(state.history)}: train {entry['train_loss']:.3f} validation {found.loss:.3f}"
        f" top-1 {found.top1:.1%} top-5 {found.top5:.1%} lr {lr:.1e}"
    )


def cpu_weights(network: nn.Module) -> dict[str, Tensor]:
    """A copy of the weights, running statistics included."""
    return {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}


def save_checkpoint(
    accelerator: Accelerator, folder: Path, state: BackboneState, best: dict[str, Tensor]
) -> None:
    """Write the full state, whole or not at all."""
    with whole_checkpoint(accelerator, folder, state.step, state.step) as unfinished:
        if accelerator.is_main_process:
            save_file({name: value.contiguous() for name, value in best.items()}, unfinished / BEST)
            (unfinished / STATE).write_text(json.dumps(vars(state)))


def load_checkpoint(
    accelerator: Accelerator, path: Path, plateau: ReduceLROnPlateau
) -> tuple[BackboneState, dict[str, Tensor]]:
    """Restore weights, optimizer and plateau; returns where the run was and its best weights.

    Raises:
        UserError: the checkpoint is damaged.
    """
    with reading(path):
        state = BackboneState(**json.loads((path / STATE).read_text()))
        accelerator.load_state(str(path))
        for name, value in state.plateau.items():
            setattr(plateau, name, value)
        return state, load_file(path / BEST)


def finish(config: BackboneConfig, state: BackboneState, network: VGG19, data: Splits) -> None:
    """Judge the best weights on the test split; write model.safetensors and card.md."""
    found = measure_accuracy(network, data.test, config.data.size, config.data.batch)
    about = backbone_report.about_backbone(config, state.best_epoch, found)
    with writing(config.run_folder):
        save_backbone(network, config.run_folder / "model.safetensors", data.train.classes, about)
    backbone_report.write_card(config, state.history, state.seconds, state.best_epoch, found, data)
    logger.info("test %s", backbone_report.in_words(found))
