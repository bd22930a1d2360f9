"""Train styles with accelerate: Johnson et al. 2016; many at once as Dumoulin et al. 2017. `train` is it."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from fast_nst.config import TrainConfig
from fast_nst.contract import styles_sha256
from fast_nst.data.content import open_content
from fast_nst.data.crops import load_image, to_float
from fast_nst.errors import Interrupted, UserError
from fast_nst.export import export_run
from fast_nst.losses.build import perceptual_loss, resolve_loss
from fast_nst.losses.objective import objective
from fast_nst.losses.perceptual import PerceptualLoss, floats
from fast_nst.networks.transform import TransformNetwork, save_transform
from fast_nst.training import report
from fast_nst.training.batches import note_unreadable, training_batches, validation_pictures
from fast_nst.training.folder import (
    TrainState,
    check_same_inputs,
    checkpoint_folder,
    latest_checkpoint,
    load_checkpoint,
    open_run,
    refuse_own_samples,
    save_checkpoint,
    writing,
)
from fast_nst.training.guard import FiniteGuard
from fast_nst.training.run import Run, start_accelerator
from fast_nst.training.schedule import learning_rate, make_optimizer
from fast_nst.training.styles import (
    Style,
    adopt_styles,
    draw_styles,
    find_styles,
    start_network,
)

logger = logging.getLogger("fast_nst")


def train(config: TrainConfig) -> Path:
    """Train a transformation network as ``config`` says and export it; returns the run folder.

    Raises:
        UserError: something in the configuration is wrong or missing.
        Interrupted: SIGINT or SIGTERM came; the state is saved, ``resume`` goes on.
    """
    accelerator = start_accelerator(config.mixed_precision)
    set_seed(config.seed)
    refuse_own_samples(config)
    styles = find_styles(config)
    style_pictures = [load_image(style.file, config.loss.style_size) for style in styles]
    content = open_content(config.content, config.data, config.seed)
    checkpoint = latest_checkpoint(config.run_folder) if config.resume else None
    config, former, former_about = start_network(config, checkpoint)
    loss_config, loss_network = resolve_loss(config.loss)  # last, as it may be a long download
    config = replace(config, loss=loss_config)
    device = accelerator.device
    layout = torch.channels_last if config.channels_last else torch.contiguous_format
    if accelerator.is_main_process:
        open_run(config)
    accelerator.wait_for_everyone()

    loss = perceptual_loss(config.loss, loss_network, style_pictures, device, layout)
    held_out = validation_pictures(content, config).to(device, memory_format=layout)
    if former is None:
        network = TransformNetwork(config.network, len(styles))
    elif checkpoint is not None:
        network = former
    else:
        network = adopt_styles(former.to(device), former_about, styles, loss, held_out)
    if config.train == "norms":
        network.requires_grad_(False)
        for norm in network.norms().values():
            norm.requires_grad_(True)
    network.to(device).to(memory_format=layout)
    network.constrain()
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(config.optimizer.ema))
    optimizer = make_optimizer(network, config.optimizer)
    state = TrainState(
        style_sha256=styles_sha256([style.info for style in styles]),
        content_sha256=content.fingerprint,
        processes=accelerator.num_processes,
    )
    about = report.about_styles(config, styles, loss_network)
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

    def roll_back() -> None:
        load_checkpoint(accelerator, checkpoint_folder(config.run_folder, state.good_step), average)

    guard = FiniteGuard(state, roll_back)
    batches = training_batches(content, config, accelerator, state.step)
    images_per_step = config.data.batch * config.optimizer.accumulate * accelerator.num_processes
    run = Run(config.style_name, state.step, config.steps, config.run_folder, accelerator, images_per_step)
    run.tell_config(config.to_yaml())
    with run, closing(batches):
        while state.step < config.steps:
            started = time.perf_counter()
            lr = learning_rate(state.step, config) * state.lr_scale
            for group in optimizer.param_groups:
                group["lr"] = lr
            optimizer.zero_grad()
            losses_finite = torch.ones((), dtype=torch.bool, device=device)
            parts: list[dict[str, Tensor]] = []
            for part in range(config.optimizer.accumulate):
                last = part == config.optimizer.accumulate - 1
                try:
                    batch = next(batches)
                except Interrupted:  # while it waited for data
                    if accelerator.num_processes == 1:  # the others may wait for us elsewhere
                        save_checkpoint(accelerator, config.run_folder, state, average, about)
                    raise
                note_unreadable(batch.unreadable, state.unreadable)
                images = batch.images.to(device, non_blocking=True)
                images = to_float(images).contiguous(memory_format=layout)
                with nullcontext() if last else accelerator.no_sync(model):
                    first = (state.step * config.optimizer.accumulate + part) * accelerator.num_processes
                    first = (first + accelerator.process_index) * config.data.batch
                    style = draw_styles(config.seed, first, len(images), len(styles)).to(device)
                    with accelerator.autocast():
                        seed = (config.seed, 8, state.step, part)
                        terms = objective(model, images, style, loss, config.loss, seed)
                    accelerator.backward(terms["total"] / config.optimizer.accumulate)
                parts.append({name: value.detach() for name, value in terms.items()})
                losses_finite &= torch.isfinite(parts[-1]["total"])
            clip = config.optimizer.clip or math.inf
            norm = accelerator.clip_grad_norm_(network.parameters(), clip)
            finite = bool(torch.isfinite(norm))
            if finite or accelerator.scaler is not None:
                optimizer.step()  # under fp16 the scaler itself leaves out a bad step
                network.constrain()
            state.step += 1
            if finite:
                average.update_parameters(network)
                guard.finite()
            else:
                guard.not_finite(searching=is_searching(accelerator, losses_finite))
            state.seconds += time.perf_counter() - started

            run.at(state.step)
            if is_due(state.step, config.log.every, config.steps):
                rate = images_per_step / (time.perf_counter() - started)
                values = {
                    **mean_terms(parts, accelerator),
                    "lr": lr,
                    "images_per_second": rate,
                    "grad_norm": float(norm),
                }
                run.log("train", values, state.step)
                run.show(f"loss {values['total']:.3f} lr {lr:.1e}")
            if run.main and is_due(state.step, config.log.validate, config.steps):
                validation = write_validation(config, state, average, loss, held_out, styles, run)
                summary = " ".join(f"{k} {validation[k]:.4f}" for k in ("content", "style", "tv"))
                run.say(f"step {state.step}: validation {validation['total']:.4f} ({summary})")
            stopping = run.stopping()
            on_schedule = is_due(state.step, config.log.checkpoint, config.steps)
            if on_schedule and state.bad_in_a_row == 0:
                state.good_step = state.step
            if stopping or on_schedule:
                if run.writer is not None:
                    run.writer.flush()
                save_checkpoint(accelerator, config.run_folder, state, average, about)
            if stopping and state.step < config.steps:
                run.leave(stopping, f"step {state.step}")
    if run.main:
        finish(config, state, average, loss, held_out, styles, about)
    accelerator.wait_for_everyone()
    return config.run_folder


def write_validation(
    config: TrainConfig,
    state: TrainState,
    average: nn.Module,
    loss: PerceptualLoss,
    held_out: Tensor,
    styles: Sequence[Style],
    run: Run,
) -> dict[str, float]:
    """Losses of the averaged weights on the held-out pictures, and a sheet of samples."""
    validation, of_styles = report.validate(average, loss, held_out, config.data.batch)
    run.log("validation", validation, state.step)
    if len(styles) > 1:
        for name in ("content", "style"):
            own = {style.info.name: terms[name] for style, terms in zip(styles, of_styles, strict=True)}
            run.log(f"validation_{name}", own, state.step)
    sheet = report.sample_sheet(average, held_out[: config.log.samples], len(styles))
    assert run.writer is not None
    run.writer.add_image("samples", sheet, state.step, dataformats="HWC")
    report.write_preview(config.run_folder / "samples" / f"step-{state.step:08d}.jpg", sheet)
    return validation


def mean_terms(parts: Sequence[dict[str, Tensor]], accelerator: Accelerator) -> dict[str, float]:
    """The loss terms of a step: the mean over its batches, those of all processes."""
    own = {name: torch.stack([terms[name] for terms in parts]).mean() for name in parts[0]}
    return floats(accelerator.reduce(own, "mean"))


def is_due(step: int, every: int, last: int) -> bool:
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
    styles: Sequence[Style],
    about: dict[str, str],
) -> None:
    """Write model.safetensors, model.onnx, preview.jpg and card.md."""
    folder = config.run_folder
    validation, of_styles = report.validate(average, loss, held_out, config.data.batch)
    if not math.isfinite(validation["total"]) or state.skipped >= config.steps:
        raise UserError(
            f"nothing was learned: {state.skipped} of {config.steps} steps were not finite and the validation"
            f" loss is {validation['total']:.3g}; lower --optimizer.lr or --loss.weights"
        )
    picture = report.preview(styles, average, held_out[: config.log.samples])
    with writing(folder):
        assert isinstance(average.module, TransformNetwork)
        save_transform(average.module, folder / "model.safetensors", about)
        report.write_preview(folder / "preview.jpg", picture)
    target, parity = export_run(folder)
    images = config.steps * config.data.batch * config.optimizer.accumulate * state.processes
    report.write_card(config, state, validation, about, images, styles, of_styles)
    if state.unreadable:
        logger.warning("%d content pictures were unreadable and skipped", len(state.unreadable))
    logger.info("wrote %s (torch and ONNX Runtime differ by at most %d gray level)", target, parity.worst)
