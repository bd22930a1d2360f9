"""Stability and artefacts of networks beside the unchanged picture; works where torch is not installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps
from tqdm import tqdm

from fast_nst.data.builtin.scenes import flat, glow, heap, lit
from fast_nst.errors import UserError, one_line
from fast_nst.evaluation import sharpness
from fast_nst.evaluation.artefacts import SIDE, Artefacts, artefacts
from fast_nst.evaluation.flow import Transition, find_sequences
from fast_nst.evaluation.options import EvaluateOptions
from fast_nst.evaluation.sharpness import mean_octaves
from fast_nst.evaluation.stability import SHIFTS, Stability, Stylize, stability, warped_error
from fast_nst.pictures import UnreadablePicture, decode_picture, find_pictures
from fast_nst.runtime.models import Model, find_model, unique_names
from fast_nst.runtime.stylizer import Stylizer

UNCHANGED = "photograph"
SEEDS = (0, 2, 5, 7)  # of the built-in pictures


@dataclass
class Quality:
    """What was measured of one method of stylizing."""

    stability: Stability | None = None
    octaves: np.ndarray | None = None
    """`sharpness.octaves` over all pictures: beside the stability, unless losses are judged as well, which
    tell it with the style picture's."""
    artefacts: Artefacts | None = None


@dataclass
class QualityCard:
    """All methods of stylizing beside each other, the unchanged picture first."""

    methods: dict[str, Quality]
    pictures: list[str]
    """Names; empty = the built-in ones."""
    skipped: list[str] = field(default_factory=list)
    """What could not be read, and why."""


def measure_quality(models: Sequence[str], options: EvaluateOptions) -> QualityCard:
    """Measure ``models``, ONNX files or names, as ``options`` say.

    Raises:
        UserError: no such model or folder; nothing in it that can be read.
    """
    if not models and options.style is None:
        raise UserError("name a model to measure: fast-nst evaluate MODEL --stability")
    stylizers = open_models(named_models(models), options.threads)
    pictures = builtin_pictures()
    names: list[str] = []
    skipped: list[str] = []
    if options.content is not None:
        pictures, names, skipped = _squares(options.content, options.count)
    sequences, without = find_sequences(options.flow) if options.flow is not None else ({}, [])
    card = QualityCard({}, names, skipped + without)
    with tqdm(unit="picture", disable=None) as bar:
        methods: dict[str, Stylize] = {UNCHANGED: np.copy, **stylizers}
        for name, stylize in methods.items():

            def counted(pixels: np.ndarray, stylize: Stylize = stylize) -> np.ndarray:
                bar.update()
                return stylize(pixels)

            bar.set_description(name)
            quality = Quality()
            if options.stability:
                quality.stability = stability(counted, pictures)
                quality.stability.e_stab = _e_stab(counted, sequences, card.skipped)
                if options.style is None:
                    quality.octaves = mean_octaves([counted(picture) for picture in pictures])
            if options.artefacts:
                quality.artefacts = artefacts(counted, pictures)
            card.methods[name] = quality
    return card


def summary(model: str | Path, flow: Path | None = None, threads: int | None = None) -> dict[str, Any]:
    """Stability, sharpness and artefacts of one network on the built-in pictures, as its card tells them.

    The same figures as `fast-nst evaluate MODEL --stability --artefacts [--flow DIR]` writes.

    Raises:
        UserError: no such model, or no sequence in ``flow``.
    """
    options = EvaluateOptions(stability=True, artefacts=True, flow=flow, threads=threads)
    methods: dict[str, Any] = as_dict(measure_quality([str(model)], options))["methods"]
    return next(found for name, found in methods.items() if name != UNCHANGED)


def named_models(models: Sequence[str]) -> dict[str, Model]:
    """Models by short names: the file's, or its folder's for a run's model.onnx, with the style asked for.

    Raises UserError where there is no such model.
    """
    found = list(dict.fromkeys(find_model(name) for name in models))
    return dict(zip(unique_names(found, taken=[UNCHANGED]), found, strict=True))


def open_models(models: Mapping[str, Model], threads: int | None) -> dict[str, Stylizer]:
    """The models, ready to run. Raises UserError for one that does not load or needs a style named."""
    stylizers = {name: Stylizer(model.path, model.style, threads=threads) for name, model in models.items()}
    for name, stylizer in stylizers.items():
        if stylizer.style is None:
            example = f"{name}:{stylizer.style_names[0]}"
            raise UserError(
                f"{name} holds {len(stylizer.styles)} styles; name one behind a colon, {example}, of"
                f" {', '.join(stylizer.style_names)}"
            )
    return stylizers


def builtin_pictures() -> list[np.ndarray]:
    """Four painted scenes, uint8 [384, 384, 3], the same everywhere; they need neither a file nor torch."""
    return [_scene(np.random.default_rng(seed)) for seed in SEEDS]


def _scene(rng: np.random.Generator) -> np.ndarray:
    """Things with textures before a smooth backdrop: sharp edges, detail and quiet areas."""
    canvas = glow(rng, SIDE)
    pool = [*(flat(rng, SIDE, photo=0) for _ in range(3)), glow(rng, SIDE)]
    image = lit(rng, heap(rng, canvas, pool, 24))
    return np.clip(np.rint(image * 255), 0, 255).astype(np.uint8)


def _squares(folder: Path, count: int) -> tuple[list[np.ndarray], list[str], list[str]]:
    """The middle squares of a folder's first pictures, their names, and what could not be read."""
    if not folder.is_dir():
        raise UserError(f"--content {folder} is not a folder")
    squares, names, skipped = [], [], []
    for file in find_pictures(folder)[:count]:
        try:
            picture = Image.fromarray(decode_picture(file).pixels)
        except UnreadablePicture as error:
            skipped.append(one_line(error))
            continue
        squares.append(np.asarray(ImageOps.fit(picture, (SIDE, SIDE), Image.Resampling.LANCZOS)))
        names.append(file.relative_to(folder).as_posix())
    if not squares:
        raise UserError(skipped[0] if skipped else f"{folder} holds no pictures")
    return squares, names, skipped


def _e_stab(stylize: Stylize, sequences: dict[str, list[Transition]], skipped: list[str]) -> dict[str, float]:
    """By sequence; one that cannot be read, or is too large to stylize, is added to ``skipped``, once."""
    found = {}
    for name, transitions in sequences.items():
        try:
            found[name] = warped_error(stylize, transitions)
        except UserError as error:
            if (reason := one_line(error)) not in skipped:
                skipped.append(reason)
    return found


def as_dict(card: QualityCard) -> dict[str, Any]:
    """Plain values, rounded to what means something."""
    floor = card.methods[UNCHANGED]
    found = {name: _plain(method, floor) for name, method in card.methods.items()}
    return {"pictures": card.pictures or "built in", "methods": found}


def _plain(method: Quality, floor: Quality) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if method.stability is not None and floor.stability is not None:
        still = method.stability
        found["stability"] = {
            **{f"shift_{by}px": round(error, 4) for by, error in still.shift.items()},
            "noise": round(still.noise, 4),
            "brightness": round(still.brightness, 4),
        }
        if still.e_stab:
            found["stability"]["e_stab"] = {name: round(error, 4) for name, error in still.e_stab.items()}
            found["stability"]["flicker"] = {
                name: round(ratio, 2) for name, ratio in flicker(still, floor.stability).items()
            }
    if method.octaves is not None and floor.octaves is not None:
        found["sharpness"] = sharpness.as_dict(method.octaves, floor.octaves)
    if method.artefacts is not None:
        found["artefacts"] = {name: round(value, 2) for name, value in asdict(method.artefacts).items()}
    return found


def flicker(method: Stability, floor: Stability) -> dict[str, float]:
    """By sequence: e_stab over that of the unstylized frames; 1 = as still as the video itself."""
    return {name: error / max(floor.e_stab[name], 1e-6) for name, error in method.e_stab.items()}


def as_markdown(card: QualityCard) -> str:
    """A table for each measure that was taken."""
    floor = card.methods[UNCHANGED].stability
    what = f"{len(card.pictures)} pictures" if card.pictures else "the built-in pictures"
    parts = []
    if floor is not None:
        sequences = list(floor.e_stab)
        heads = [*(f"{by} px" for by in SHIFTS), "noise", "brightness"]
        heads += [f"{kind} {name}" for name in sequences for kind in ("e_stab", "flicker")]
        rows = {}
        for name, method in card.methods.items():
            still = method.stability
            if still is None:
                continue
            ratios = flicker(still, floor)
            cells = [still.shift[by] for by in SHIFTS]
            rows[name] = [f"{value:.4f}" for value in (*cells, still.noise, still.brightness)]
            for sequence in sequences:
                measured = sequence in ratios
                rows[name].append(f"{still.e_stab[sequence]:.4f}" if measured else "")
                rows[name].append(f"{ratios[sequence]:.1f}x" if measured else "")
        parts.append(
            f"## Stability\n\nRMSE / 255 on {what}; 0 = stands still."
            f' "{UNCHANGED}" is the unstylized picture.\n\n{_table(heads, rows)}'
        )
    detail = {name: m.octaves for name, m in card.methods.items() if m.octaves is not None}
    if detail:
        parts.append(sharpness.as_markdown(detail, UNCHANGED))
    taken = {name: asdict(m.artefacts) for name, m in card.methods.items() if m.artefacts is not None}
    if taken:
        heads = [name.replace("_", " ") for name in taken[UNCHANGED]]
        rows = {name: [f"{value:.2f}" for value in scores.values()] for name, scores in taken.items()}
        parts.append(
            f"## Artefacts\n\nOn flats and skies; the border ratio on {what}.\n\n{_table(heads, rows)}"
        )
    return "\n\n".join(parts)


def _table(heads: Sequence[str], rows: dict[str, list[str]]) -> str:
    lines = ["| " + " | ".join(["", *heads]) + " |", "|" + "---|" * (len(heads) + 1)]
    return "\n".join(lines + ["| " + " | ".join([name, *cells]) + " |" for name, cells in rows.items()])
