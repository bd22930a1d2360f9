"""Paints the style picture of the quickstart: a lake at sunset in thick oil strokes, from a seed.

python scripts/make_style_picture.py --output fast_nst/assets/strokes.jpg
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from sunset_scene import HEIGHT, PAINT, WIDTH, Floats, Scene, compose, rgb

SCALE = 2


def directions(stream: Floats) -> tuple[Floats, Floats]:
    """The angle along the level lines of a stream [H, W], and how it turns along them per px."""
    gy, gx = np.gradient(stream)
    angle = np.arctan2(-gx, gy)
    cosine, sine = np.cos(angle), np.sin(angle)
    cy, cx = np.gradient(cosine)
    sy, sx = np.gradient(sine)
    turn = cosine * (sx * cosine + sy * sine) - sine * (cx * cosine + cy * sine)
    return angle.astype(np.float32), turn.astype(np.float32)


@dataclass
class Canvas:
    """Wet paint: color [H, W, 3] in [0, 1] and its thickness [H, W]."""

    color: Floats
    relief: Floats


@dataclass(frozen=True)
class Stroke:
    """One touch of the brush: px, radians, radians per px, and the two paints on its bristles."""

    x: float
    y: float
    angle: float
    turn: float
    length: float
    width: float
    paint: Floats
    second: Floats
    load: float


def brush(canvas: Canvas, stroke: Stroke, hairs: Floats, rng: np.random.Generator) -> None:
    """Puts one stroke on the canvas, in place; `hairs` [n, m] is the noise of the bristles."""
    height, width = canvas.relief.shape
    half, reach = stroke.width / 2, stroke.length / 2
    span = int(reach + half + 3)
    left, top = max(int(stroke.x) - span, 0), max(int(stroke.y) - span, 0)
    right, bottom = min(int(stroke.x) + span, width), min(int(stroke.y) + span, height)
    if right - left < 2 or bottom - top < 2:
        return
    y, x = np.mgrid[top:bottom, left:right].astype(np.float32)
    cosine, sine = np.cos(stroke.angle), np.sin(stroke.angle)
    along = (x - stroke.x) * cosine + (y - stroke.y) * sine
    across = (y - stroke.y) * cosine - (x - stroke.x) * sine - 0.5 * stroke.turn * along**2
    across = across / np.sqrt(1 + (stroke.turn * along) ** 2)
    offset = rng.integers(0, 100000, 2)
    rows = ((across + half) * 1.0 + offset[0]).astype(int) % hairs.shape[0]
    columns = (along * 0.16 + offset[1]).astype(int) % hairs.shape[1]
    hair = hairs[rows, columns]
    # The brush lands round and lifts off ragged: the hairs end at different places.
    start = (along + reach) / half
    end = (reach - along) / half - 0.9 - 0.7 * hair
    taper = np.sqrt(np.clip(start, 0, 1)) * np.clip(end * 0.35 + 0.75, 0, 1)
    body = half * taper - np.abs(across)
    dry = np.clip(1.35 + 0.55 * hair - 1.25 * np.clip(along / reach - 0.25 + (1 - stroke.load), 0, 1), 0, 1)
    cover = np.clip(body / 1.2, 0, 1) * np.clip(end * 2 + 1, 0, 1) * np.clip(dry * 2.2 - 0.4, 0, 1)
    if not cover.any():
        return
    cut = np.s_[top:bottom, left:right]
    mix = np.clip(0.28 + 0.42 * hair + 0.2 * across / half, 0, 1)[..., None]
    paint = stroke.paint + (stroke.second - stroke.paint) * mix
    paint = paint * (1 + 0.07 * hair[..., None])
    alpha = cover[..., None] * 0.96
    canvas.color[cut] += (paint - canvas.color[cut]) * alpha
    rim = np.exp(-(((np.abs(across) - 0.82 * half * taper) / (0.16 * half + 0.6)) ** 2))
    dab = np.exp(-((start - 0.55) ** 2) * 1.5) + np.exp(-((end - 0.6) ** 2) * 2.0)
    thick = stroke.load * half * (0.42 + 0.20 * hair + 0.42 * rim + 0.22 * dab) * 0.5
    canvas.relief[cut] += (0.55 * canvas.relief[cut] + thick - canvas.relief[cut]) * cover


# Length and width in px of the finished picture, how many, how wild the colors, how thick.
LAYERS = (
    (150.0, 34.0, 900, 0.05, 0.35),
    (100.0, 20.0, 2200, 0.07, 0.7),
    (70.0, 13.0, 3600, 0.09, 1.0),
    (42.0, 8.5, 3600, 0.09, 1.0),
    (28.0, 6.0, 2600, 0.07, 0.9),
)
# Sky, hills, lake, meadow, trees: how long strokes are there, against the layer's own.
STRETCH = (1.0, 0.8, 0.75, 0.6, 0.65)


def wandering(rng: np.random.Generator, paint: Floats, wild: float) -> Floats:
    """A paint near the one given: lighter or darker, warmer or colder, now and then a bold one."""
    shift = rng.normal(0, wild) + rng.normal(0, wild * 0.8, 3)
    if rng.random() < 0.05:
        bold = rgb(list(PAINT)[int(rng.integers(len(PAINT)))])
        paint = paint + 0.45 * (bold - paint)
    return np.clip(paint * (1 + shift), 0.02, 1).astype(np.float32)


def places(
    rng: np.random.Generator, scene: Scene, canvas: Canvas, width: float, count: int, first: bool
) -> NDArray[np.int64]:
    """Where strokes go, [count, 2] x, y: anywhere at first, later where it is still wrong."""
    height, across = scene.thing.shape
    candidates = rng.uniform(0, 1, (count * 3, 2)) * [across, height]
    at = candidates.astype(int)
    if first:
        chosen = at[:count]
    else:
        small = Image.fromarray((canvas.color * 255).clip(0, 255).astype(np.uint8))
        blurred = np.asarray(small.filter(ImageFilter.BoxBlur(width / 2)), np.float32) / 255
        error = np.abs(blurred - scene.color).sum(axis=2)[at[:, 1], at[:, 0]]
        keep = error + rng.exponential(0.22, len(at))
        chosen = at[np.argsort(-keep)[:count]]
    # Far things first, so that near ones lie over them.
    order = scene.thing[chosen[:, 1], chosen[:, 0]] + rng.uniform(0, 0.9, len(chosen))
    return chosen[np.argsort(order, kind="stable")]


def paint(seed: int) -> NDArray[np.uint8]:
    """The picture, uint8 [640, 800, 3]; the same for the same seed."""
    rng = np.random.default_rng(seed)
    height, width = HEIGHT * SCALE, WIDTH * SCALE
    scene = compose(rng, height, width)
    angle, turn = directions(scene.stream)
    hairs = bristles(rng)
    ground = np.broadcast_to(rgb("violet") * 0.5 + rgb("ochre") * 0.25, (height, width, 3))
    canvas = Canvas(ground.astype(np.float32).copy(), np.zeros((height, width), np.float32))
    for index, (length, wide, count, wild, load) in enumerate(LAYERS):
        for x, y in places(rng, scene, canvas, wide * SCALE, count, index == 0):
            thing = scene.thing[y, x]
            long = length * STRETCH[thing] * np.exp(rng.normal(0, 0.25)) * SCALE
            other = rng.normal([y, x], 12 * SCALE).clip(0, [height - 1, width - 1]).astype(int)
            if scene.thing[other[0], other[1]] != thing:
                other = np.array([y, x])
            second = scene.color[other[0], other[1]]
            stroke = Stroke(
                float(x),
                float(y),
                float(angle[y, x] + rng.normal(0, 0.10) + np.pi * rng.integers(2)),
                float(np.clip(turn[y, x], -1.3 / long, 1.3 / long)),
                float(long),
                float(wide * SCALE * np.exp(rng.normal(0, 0.18))),
                wandering(rng, scene.color[y, x], wild),
                wandering(rng, second, wild),
                float(load * rng.uniform(0.75, 1.1)),
            )
            brush(canvas, stroke, hairs, rng)
    return finish(canvas)


def bristles(rng: np.random.Generator) -> Floats:
    """Noise [512, 512] that is rough across the hairs and even along them, deviation 1."""
    rough = rng.standard_normal((512, 512)).astype(np.float32)
    kernel = np.hanning(7)[1:-1]
    for _ in range(2):
        rough = np.apply_along_axis(lambda row: np.convolve(row, kernel, "same"), 1, rough)
    coarse = np.repeat(rng.standard_normal((128, 512)), 4, axis=0)
    soft = np.apply_along_axis(lambda row: np.convolve(row, np.hanning(17), "same"), 1, coarse)
    fine = np.apply_along_axis(lambda row: np.convolve(row, np.hanning(5), "same"), 0, rough)
    field = fine / fine.std() + 0.7 * soft / soft.std()
    return (field / field.std()).clip(-2, 2).astype(np.float32)


def finish(canvas: Canvas) -> NDArray[np.uint8]:
    """The canvas under light from the upper left, made smaller: uint8 [640, 800, 3]."""
    relief = canvas.relief
    gy, gx = np.gradient(relief)
    slope = np.clip((gx + 1.2 * gy) * 0.55, -1.2, 1.2)
    color = canvas.color * (1 + 0.34 * slope)[..., None]
    gloss = np.clip(slope - 0.45, 0, 1) ** 2
    color = color + 0.28 * gloss[..., None]
    pixels = Image.fromarray((np.clip(color, 0, 1) * 255).astype(np.uint8))
    return np.asarray(pixels.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS))


def main() -> None:
    """Paints the picture and writes it as JPEG."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("fast_nst/assets/strokes.jpg"))
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    options.output.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(paint(options.seed)).save(options.output, quality=90, optimize=True)


if __name__ == "__main__":
    main()
