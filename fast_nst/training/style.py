"""Train a style: Johnson et al. 2016 with accelerate. Reads top to bottom; `train` is the recipe."""

from __future__ import annotations

import hashlib
import logging
import math
import sys
import time
from contextlib import ExitStack, closing, nullcontext
from dataclasses import replace
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from fast_nst.config import TrainConfig
from fast_nst.crops import load_image, to_float
from fast_nst.data import open_content
from fast_nst.errors import Interrupted, UserError
from fast_nst.export import export_run, weights_file
from fast_nst.losses import PerceptualLoss, floats
from fast_nst.networks.transform import TransformConfig, TransformNetwork, load_transform, save_transform
from fast_nst.runtime.models import checkpoints_dir
from fast_nst.stop import StopRequest
from fast_nst.training import report
from fast_nst.training.batches import note_unreadable, style_path, training_batches, validation_pictures
from fast_nst.training.guard import FiniteGuard
from fast_nst.training.objective import find_teacher, objective
from fast_nst.training.perceptual import perceptual_loss, resolve_loss
from fast_nst.training.run import (
    TrainState,
    agreed_stop,
    check_same_inputs,
    checkpoint_folder,
    latest_checkpoint,
    load_checkpoint,
    make_writer,
    open_run,
    refuse_own_samples,
    save_checkpoint,
    start_accelerator,
    writing,
)
from fast_nst.training.schedule import learning_rate, make_optimizer

logger = logging.getLogger("fast_nst")
SHIPPED_BASES = ("base", "base-antialiased", "base-fast", "base-tiny")


def train(config: TrainConfig) -> Path:
    """Train a transformation network as ``config`` says and export it; returns the run folder.

    Raises:
        UserError: something in the configuration is wrong or missing.
        Interrupted: SIGINT or SIGTERM came; the state is saved, ``resume`` goes on.
    """
    accelerator = start_accelerator(config.mixed_precision)
    set_seed(config.seed)
    refuse_own_samples(config)
    style_file = style_path(config.style)
    style = load_image(style_file, config.loss.style_size)
    content = open_content(config.content, config.data, config.seed)
    loss_config, loss_network = resolve_loss(config.loss)
    config = replace(config, loss=loss_config)
    device = accelerator.device
    layout = torch.channels_last if config.channels_last else torch.contiguous_format
    teacher = find_teacher(config.loss.teacher, device, layout)
    checkpoint = latest_checkpoint(config.run_folder) if config.resume else None
    network = initial_network(config) if checkpoint is None else TransformNetwork(config.network)
    if accelerator.is_main_process:
        open_run(config)
    accelerator.wait_for_everyone()

    loss = perceptual_loss(config.loss, loss_network, style, device, layout)
    network.to(device).to(memory_format=layout)
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(config.optimizer.ema))
    optimizer = make_optimizer(network, config.optimizer)
    state = TrainState(
        style_sha256=hashlib.sha256(style_file.read_bytes()).hexdigest(),
        content_sha256=content.fingerprint,
        processes=accelerator.num_processes,
    )
    about = report.about_style(config, style_file, state.style_sha256, loss_network)
    if config.compile:
        network.compile()
        loss_network.compile()
    model, optimizer = accelerator.prepare(network, optimizer)
    if checkpoint is not None:
        saved = load_checkpoint(accelerator, checkpoint, average)
        check_same_inputs(config, saved, state)
        state = saved
        logger.info("resumed at step %d of %d", state.step, config.steps)
    else:
        note_unreadable(content.unreadable, state.unreadable)
        save_checkpoint(accelerator, config.run_folder, state, average, about)

    held_out = validation_pictures(content, config).to(device, memory_format=layout)

    def roll_back() -> None:
        load_checkpoint(accelerator, checkpoint_folder(config.run_folder, state.good_step), average)

    guard = FiniteGuard(state, roll_back)
    batches = training_batches(content, config, accelerator, state.step)
    writer = make_writer(config, accelerator, state.step)
    images_per_step = config.data.batch * config.optimizer.accumulate * accelerator.num_processes
    progress = tqdm(
        total=config.steps * images_per_step,
        initial=state.step * images_per_step,
        unit="img",
        desc=config.style_name,
        disable=None if accelerator.is_main_process else True,
    )
    with ExitStack() as stack:
        stop = stack.enter_context(StopRequest())
        stack.enter_context(progress)
        stack.enter_context(closing(batches))
        if writer is not None:
            stack.callback(writer.close)
        while state.step < config.steps:
            started = time.perf_counter()
            lr = learning_rate(state.step, config) * state.lr_scale
            for group in optimizer.param_groups:
                group["lr"] = lr
            optimizer.zero_grad()
            losses_finite = torch.ones((), dtype=torch.bool, device=device)
            for part in range(config.optimizer.accumulate):
                last = part == config.optimizer.accumulate - 1
                batch = next(batches)
                note_unreadable(batch.unreadable, state.unreadable)
                images = batch.images.to(device, non_blocking=True)
                images = to_float(images).contiguous(memory_format=layout)
                with nullcontext() if last else accelerator.no_sync(model):
                    with accelerator.autocast():
                        seed = (config.seed, state.step, part)
                        terms = objective(model, images, loss, config.loss, seed, teacher)
                    accelerator.backward(terms["total"] / config.optimizer.accumulate)
                losses_finite &= torch.isfinite(terms["total"].detach())
            clip = config.optimizer.clip or math.inf
            norm = accelerator.clip_grad_norm_(network.parameters(), clip)
            finite = bool(torch.isfinite(norm))
            if finite or accelerator.scaler is not None:
                optimizer.step()  # under fp16 the scaler itself leaves out a bad step
            state.step += 1
            if finite:
                average.update_parameters(network)
                guard.finite()
            else:
                guard.not_finite(searching=is_searching(accelerator, losses_finite))
            state.seconds += time.perf_counter() - started

            progress.update(images_per_step)
            if writer is not None and due(state.step, config.log.every, config.steps):
                rate = images_per_step / (time.perf_counter() - started)
                values = {**floats(terms), "lr": lr, "images_per_second": rate, "grad_norm": norm}
                for name, value in values.items():
                    writer.add_scalar(f"train/{name}", float(value), state.step)
                progress.set_postfix_str(f"loss {values['total']:.3f} lr {lr:.1e}", refresh=False)
            if writer is not None and due(state.step, config.log.validate, config.steps):
                validation = write_validation(config, state, average, loss, held_out, writer)
                summary = " ".join(f"{k} {validation[k]:.4f}" for k in ("content", "style", "tv"))
                message = f"step {state.step}: validation {validation['total']:.4f} ({summary})"
                logger.info(message) if progress.disable else progress.write(message, file=sys.stderr)
            stopping = agreed_stop(stop.signal, accelerator)
            on_schedule = due(state.step, config.log.checkpoint, config.steps)
            if on_schedule and state.bad_in_a_row == 0:
                state.good_step = state.step
            if stopping or on_schedule:
                if writer is not None:
                    writer.flush()
                save_checkpoint(accelerator, config.run_folder, state, average, about)
            if stopping and state.step < config.steps:
                raise Interrupted(stopping, f"stopped at step {state.step}, state saved: go on with --resume")
    if writer is not None:
        finish(config, state, average, loss, held_out, style, about)
    accelerator.wait_for_everyone()
    return config.run_folder


def initial_network(config: TrainConfig) -> TransformNetwork:
    """Random weights, or those of ``init_from``; see `network_to_start_from`."""
    if config.init_from is None:
        return TransformNetwork(config.network)
    return network_to_start_from(config.init_from, config.network)


def network_to_start_from(source: str, wanted: TransformConfig) -> TransformNetwork:
    """The network that `--init-from` names: a run, a weights file or one of `SHIPPED_BASES`, made ``wanted``.

    Raises:
        UserError: nothing to start from there, or another architecture.
    """
    if source in SHIPPED_BASES:
        path = checkpoints_dir() / f"{source}.safetensors"
    elif Path(source).exists():
        path = weights_file(Path(source))
    else:
        shipped = ", ".join(SHIPPED_BASES)
        raise UserError(f"--init-from {source}: no such run or weights file, nor one that ships ({shipped})")
    network, _ = load_transform(path)
    theirs = network.config
    if replace(theirs, antialias=wanted.antialias) != wanted:
        raise UserError(
            f"--init-from {source} has another architecture: add --network.kind {theirs.kind}"
            f" --network.width {theirs.width} --network.blocks {theirs.blocks}"
        )
    adapted = TransformNetwork(wanted)  # antialiasing adds no weights
    adapted.load_state_dict(network.state_dict())
    return adapted


def write_validation(
    config: TrainConfig,
    state: TrainState,
    average: nn.Module,
    loss: PerceptualLoss,
    held_out: Tensor,
    writer: SummaryWriter,
) -> dict[str, float]:
    """Losses of the averaged weights on the held-out pictures, and a sheet of samples."""
    validation = report.validate(average, loss, held_out, config.data.batch)
    for name, value in validation.items():
        writer.add_scalar(f"validation/{name}", value, state.step)
    sheet = report.sample_sheet(average, held_out[: config.log.samples])
    writer.add_image("samples", sheet, state.step, dataformats="HWC")
    report.write_preview(config.run_folder / "samples" / f"step-{state.step:08d}.jpg", sheet)
    return validation


def due(step: int, every: int, last: int) -> bool:
    """True every ``every`` steps and at the last one."""
    return step % every == 0 or step == last


def is_searching(accelerator: Accelerator, losses_finite: Tensor) -> bool:
    """Whether a bad step is fp16's scaler looking for its scale; the same answer in every process."""
    if accelerator.scaler is None:
        return False
    everywhere = accelerator.gather(losses_finite).all()
    return bool(everywhere) and accelerator.scaler.get_scale() > 1


def finish(
    config: TrainConfig,
    state: TrainState,
    average: AveragedModel,
    loss: PerceptualLoss,
    held_out: Tensor,
    style: Tensor,
    about: dict[str, str],
) -> None:
    """Write model.safetensors, model.onnx, preview.jpg and card.md."""
    folder = config.run_folder
    validation = report.validate(average, loss, held_out, config.data.batch)
    if not math.isfinite(validation["total"]) or state.skipped >= config.steps:
        raise UserError(
            f"nothing was learned: {state.skipped} of {config.steps} steps were not finite and the validation"
            f" loss is {validation['total']:.3g}; lower --optimizer.lr or --loss.weights"
        )
    picture = report.preview(style, average, held_out[: config.log.samples])
    with writing(folder):
        assert isinstance(average.module, TransformNetwork)
        save_transform(average.module, folder / "model.safetensors", about)
        report.write_preview(folder / "preview.jpg", picture)
    target, parity = export_run(folder)
    images = config.steps * config.data.batch * config.optimizer.accumulate * state.processes
    report.write_card(config, state, validation, about, images)
    if state.unreadable:
        logger.warning("%d content pictures were unreadable and skipped", len(state.unreadable))
    logger.info("wrote %s (torch and ONNX Runtime differ by at most %d grey level)", target, parity.worst)
