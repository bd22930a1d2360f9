"""`fast-nst optimize`: the per-image baseline on files, with progress, curves and a state to go on from."""

from __future__ import annotations

import hashlib
import logging
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from fast_nst.config import refuse_differences
from fast_nst.data.crops import load_image
from fast_nst.errors import UserError, one_line
from fast_nst.files import check_writable, whole_file
from fast_nst.per_image.optimize import OptimizeConfig, Optimized, Step, optimize, scale_sizes
from fast_nst.pictures import encode_picture, writable_format
from fast_nst.training.folder import writing
from fast_nst.training.report import to_pixels
from fast_nst.training.run import Run
from fast_nst.training.styles import style_path

logger = logging.getLogger("fast_nst")
SAVE_EVERY = 30.0  # seconds: under lbfgs the state is some forty times the picture


def optimize_file(content: Path, style: str, config: OptimizeConfig) -> Optimized:
    """Paint the picture file ``content`` after ``style``, a file or 'strokes', and write the result.

    Raises:
        UserError: an unreadable picture, an output that cannot be written, or what `optimize` raises.
        Interrupted: SIGINT or SIGTERM came; the state is saved, ``resume`` goes on.
    """
    if config.output.is_dir():
        raise UserError(f"--output {config.output} is a folder: name a file in it")
    writable_format(config.output.suffix)
    files = [content, style_path(style)]
    if config.start not in ("content", "noise"):
        files.append(Path(config.start))
    content_picture, style_picture, *start = [load_image(file) for file in files]
    hashes = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    with writing(config.output):
        check_writable(config.output)
    if config.log is not None:
        with writing(config.log):
            pictures_folder(config).mkdir(parents=True, exist_ok=True)
    state = load_state(config, hashes) if config.resume and config.state_file.exists() else None
    sizes = scale_sizes(config)
    total = len(sizes) * config.iterations
    done = 0 if state is None else state["scale"] * config.iterations + state["iteration"]
    if state is not None:
        logger.info("resumed at iteration %d of %d", done, total)
    given = start[0] if start else None
    saved = time.monotonic()
    with Run(content.stem, done, total, config.log) as run:

        def each(step: Step) -> None:
            nonlocal saved
            count = step.scale * config.iterations + step.iteration
            run.at(count)
            run.show(f"{sizes[step.scale]} px, loss {step.terms['total']:.4f}")
            if count > done or not done:
                run.log("optimize", step.terms, count)
            if run.writer is not None and step.iteration % config.every == 0:
                pixels = to_pixels(step.descent.picture[0])
                run.writer.add_image("picture", pixels, count, dataformats="HWC")
                encode_picture(pictures_folder(config) / f"{count:06d}.jpg", pixels, quality=92)
            stopping = run.stopping()
            if stopping or time.monotonic() - saved > SAVE_EVERY:
                save_state(config, step, hashes)
                saved = time.monotonic()
            if stopping:
                run.leave(stopping, f"iteration {count}")

        result = optimize(content_picture, style_picture, config, given, each, state)
        run.at(total)
        run.log("optimize", result.history[-1], total)
    with writing(config.output):
        encode_picture(config.output, to_pixels(result.picture[0]))
    with suppress(FileNotFoundError):
        config.state_file.unlink()
    first, last = result.history[0]["total"], result.history[-1]["total"]
    logger.info("loss %.4f, from %.4f at the start of the last scale", last, first)
    return result


def pictures_folder(config: OptimizeConfig) -> Path:
    """Where the intermediate pictures go."""
    assert config.log is not None
    return config.log / "pictures"


def save_state(config: OptimizeConfig, step: Step, hashes: list[str]) -> None:
    """Write what `load_state` reads, whole or not at all."""
    state = {**step.state(), "recipe": config.recipe(), "pictures": hashes}
    with writing(config.state_file), whole_file(config.state_file) as unfinished:
        torch.save(state, unfinished)


def load_state(config: OptimizeConfig, hashes: list[str]) -> dict[str, Any]:
    """The state that an interrupted optimization left.

    Raises:
        UserError: it is damaged, or was started with other settings or pictures.
    """
    file = config.state_file
    try:
        state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        started_with = state["recipe"]
    except Exception as error:  # whatever a damaged file makes the loader raise
        raise UserError(f"{file} is damaged ({one_line(error)[:150]}): delete it to start anew") from error
    refuse_differences(config.output, config.recipe(), started_with)
    if state["pictures"] != hashes:
        raise UserError(f"cannot resume: {file} was started with other pictures")
    return state
