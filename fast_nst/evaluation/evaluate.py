"""Scorecards, `fast-nst evaluate`: the same measures for every method of stylizing.

Networks, picture files of any origin, the per-image baseline and the unchanged photograph are judged on the
same held-out photographs under one fixed loss network. "Equals N iterations" is Johnson et al.'s question
(2016, section 4.1): at which iteration of the baseline, L-BFGS from noise, does its loss reach the network's?
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from fast_nst.benchmark.networks import model_subjects
from fast_nst.benchmark.rounds import measure
from fast_nst.data.crops import load_image, longer_side, resize, to_float, to_tensor
from fast_nst.errors import UserError, one_line
from fast_nst.evaluation.options import EvaluateOptions
from fast_nst.evaluation.quality import UNCHANGED, named_models, open_models
from fast_nst.evaluation.scorecard import MethodResult, Scorecard
from fast_nst.evaluation.sharpness import octaves
from fast_nst.files import real_path
from fast_nst.losses.build import perceptual_loss, resolve_loss
from fast_nst.losses.perceptual import floats
from fast_nst.per_image.descent import Descent
from fast_nst.per_image.optimize import noise_picture
from fast_nst.pictures import UnreadablePicture, find_pictures
from fast_nst.runtime.models import Model
from fast_nst.training.report import to_pixels
from fast_nst.training.styles import style_path

TIMED_ROUNDS, TIMED_SECONDS = 3, 0.5
ASPECT = 0.03  # how far a stylized picture's may be off: networks cut sides to multiples of their stride
SHOWN_AT = 100  # iterations after which the baseline is judged, beside its last one


def evaluate(models: Sequence[str], options: EvaluateOptions) -> Scorecard:
    """Judge ``models``, ONNX files or names, as ``options`` say.

    Raises:
        UserError: no such model, style picture or folder; no photograph that can be judged.
    """
    if options.style is None or options.content is None:
        raise UserError("losses need --style and --content")
    for name, folder in (("content", options.content), ("pictures", options.pictures)):
        if folder is not None and not folder.is_dir():
            raise UserError(f"--{name} {folder} is not a folder")
    files = find_pictures(options.content)[: options.count]
    if not files:
        raise UserError(f"{options.content} holds no pictures")
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    shown_at = sorted({min(SHOWN_AT, options.baseline), options.baseline} - {0})
    baselines = {at: f"baseline, {at} iterations" for at in shown_at}
    theirs = f"{real_path(options.pictures).name}/" if options.pictures is not None else None
    found = named_models(models)
    stylizers = open_models(found, options.threads)
    style = load_image(style_path(options.style), options.style_size)
    config, network = resolve_loss(options.loss)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    loss = perceptual_loss(config, network, [style], device)
    names = [UNCHANGED, *([theirs] if theirs is not None else []), *baselines.values(), *stylizers]
    methods = {name: MethodResult() for name in names}
    sheet: list[list[np.ndarray]] = []
    iteration_seconds: list[float] = []
    shapes: list[tuple[int, int]] = []
    judged: list[str] = []
    skipped: list[str] = []
    for file in tqdm(files, unit="photograph", disable=None):
        relative = file.relative_to(options.content)
        try:
            photograph = load_image(file)
            shape = longer_side(photograph, options.size)
            painted = {}
            if theirs is not None and options.pictures is not None:
                painted[theirs] = load_painted(find_painted(options.pictures, relative), shape)
                shape = painted[theirs].shape[:2]
            content = to_pixels(resize(photograph, shape)[0])
            results = {UNCHANGED: content, **painted}
        except (UnreadablePicture, UserError) as error:  # all are judged on the same photographs, or none
            skipped.append(one_line(error))
            continue
        judged.append(relative.as_posix())
        shapes.append((content.shape[0], content.shape[1]))
        tensor = as_tensor(content, device)
        target = loss.content_target(tensor)

        def terms_of(picture: Tensor, target: Tensor = target) -> dict[str, Tensor]:
            return loss.compare(picture, target)

        results |= {name: model(content) for name, model in stylizers.items()}
        if options.baseline:
            generator = torch.Generator().manual_seed(len(judged))
            start = noise_picture(*shapes[-1], generator).to(device)  # as Johnson's
            run = run_baseline(start, terms_of, options.baseline, shown_at)
            iteration_seconds += run.seconds
            results |= {baselines[at]: pixels for at, pixels in run.pictures.items()}
        for name, pixels in results.items():
            with torch.no_grad():
                terms = floats(terms_of(as_tensor(pixels, device)))
            methods[name].terms.append(terms)
            methods[name].octaves.append(octaves(pixels))
            if options.baseline and name not in baselines.values():
                methods[name].equals.append(equals_iterations(run.totals, terms["total"]))
        if len(sheet) < options.sheet:
            sheet.append([results[name] for name in methods])
    if not judged:
        raise UserError(f"no photograph could be judged: {skipped[0]}")
    usual = max(shapes, key=shapes.count)
    for name, seconds in time_models(found, usual, options.threads).items():
        methods[name].seconds = seconds
    median = float(np.median(iteration_seconds)) if iteration_seconds else None
    for at, name in baselines.items():
        methods[name].seconds = at * median if median is not None else None
    return Scorecard(methods, judged, sheet, to_pixels(style[0]), network, median, options, skipped)


def find_painted(folder: Path, photograph: Path) -> Path:
    """The picture in ``folder`` that is named as ``photograph``, a relative path, whatever its suffix.

    Raises:
        UserError: there is none, or more than one.
    """
    place = (folder / photograph).parent
    found = [file for file in find_pictures(place) if file.parent == place] if place.is_dir() else []
    same = [file for file in found if file.stem == photograph.stem]
    same = [file for file in same if file.name == photograph.name] or same
    if len(same) != 1:
        many = ", ".join(file.name for file in same)
        raise UserError(
            f"{photograph}: {folder} holds {f'several of it, {many}' if many else 'no picture of it'}"
        )
    return same[0]


def load_painted(file: Path, shape: tuple[int, int]) -> np.ndarray:
    """A stylized picture, reduced to the height and width its photograph should have, but never enlarged.

    Enlarging would make it soft; rather is the photograph judged at the size of its picture.

    Raises:
        UserError: its aspect is another.
    """
    painted = load_image(file)
    height, width = painted.shape[-2:]
    if abs(math.log(width * shape[0] / (height * shape[1]))) > ASPECT:
        wanted = f"{shape[1]}x{shape[0]}"
        raise UserError(f"{file} is {width}x{height} px, of another aspect than its photograph ({wanted})")
    return to_pixels((resize(painted, shape) if max(height, width) > max(shape) else painted)[0])


def as_tensor(pixels: np.ndarray, device: torch.device) -> Tensor:
    """uint8 [H, W, 3] to [1, 3, H, W] in [0, 1]."""
    return to_float(to_tensor(pixels))[None].to(device)


@dataclass(frozen=True)
class BaselineRun:
    """The per-image baseline on one photograph."""

    totals: list[float]
    """Total loss after 0, 1, 2, ... iterations."""
    seconds: list[float]
    """Of each iteration."""
    pictures: dict[int, np.ndarray]
    """uint8 [H, W, 3] after some of the iterations."""


def run_baseline(
    start: Tensor, terms: Callable[[Tensor], dict[str, Tensor]], iterations: int, shown_at: Sequence[int]
) -> BaselineRun:
    """L-BFGS from ``start`` [1, 3, H, W]."""
    descent = Descent(start, terms)
    totals = [float(descent.terms()["total"])]
    seconds: list[float] = []
    pictures: dict[int, np.ndarray] = {}
    for iteration in range(1, iterations + 1):
        started = time.perf_counter()
        descent.step()
        totals.append(float(descent.terms()["total"]))
        seconds.append(time.perf_counter() - started)
        if iteration in shown_at:
            pictures[iteration] = to_pixels(descent.picture[0])
    return BaselineRun(totals, seconds, pictures)


def equals_iterations(totals: Sequence[float], total: float) -> float:
    """The first iteration whose total is not above ``total``; inf where there is none."""
    return next((float(i) for i, value in enumerate(totals) if value <= total), math.inf)


def time_models(models: dict[str, Model], shape: tuple[int, int], threads: int | None) -> dict[str, float]:
    """Seconds of a run on one picture of ``shape`` by name, taken in turns, each in a process of its own.

    Raises:
        UserError: a model cannot be run on that size.
    """
    height, width = shape
    condition = {"width": width, "height": height, "batch": 1, "provider": None, "threads": threads}
    subjects = model_subjects(list(models.values()), list(models))
    cells = measure(subjects, [condition], rounds=TIMED_ROUNDS, seconds=TIMED_SECONDS)
    for cell in cells:
        if cell.failure is not None:
            raise UserError(f"{cell.name}: {cell.failure}")
    return {cell.name: cell.median for cell in cells}
