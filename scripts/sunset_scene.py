"""The scene of the style picture: a lake at sunset below a turning sky."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float32]

WIDTH, HEIGHT = 800, 640
HORIZON, SHORE = 0.60, 0.82
SUN = (0.66, 0.40)
# Where the sky turns: x, y, strength (its sign is the sense of turning), reach; in picture heights.
EDDIES = ((0.50, 0.19, 0.30, 0.105), (0.86, 0.11, -0.20, 0.075), (1.12, 0.27, 0.18, 0.07))
EDDIES += ((0.28, 0.42, -0.17, 0.07), (0.56, 0.40, 0.10, 0.05), (0.10, 0.10, 0.16, 0.07))

PAINT = {
    "night": "#10163f",
    "ultramarine": "#1d2f86",
    "cobalt": "#2f5fb0",
    "teal": "#1f8a8c",
    "pale": "#9cc9bf",
    "cream": "#f7e8be",
    "ochre": "#e0a52c",
    "orange": "#ea7c25",
    "vermilion": "#d63f25",
    "rose": "#c65f6c",
    "violet": "#563a7d",
    "pine": "#0f3238",
    "olive": "#5f7328",
    "lime": "#a8a83a",
}


def rgb(name: str) -> Floats:
    """A paint as [3] in [0, 1]."""
    code = PAINT[name]
    return np.array([int(code[i : i + 2], 16) for i in (1, 3, 5)], np.float32) / 255


def blend(names: str, at: Floats) -> Floats:
    """The paints, evenly spaced along [0, 1], mixed at the places given: [..., 3]."""
    stops = np.stack([rgb(name) for name in names.split()])
    where = np.linspace(0, 1, len(stops))
    return np.stack([np.interp(at, where, stops[:, c]) for c in range(3)], -1).astype(np.float32)


def cloud(rng: np.random.Generator, shape: tuple[int, int], grid: int) -> Floats:
    """A smooth random field of deviation about 1 with `grid` bumps over the height."""
    coarse = rng.standard_normal((grid + 3, round(grid * shape[1] / shape[0]) + 3))
    picture = Image.fromarray(coarse.astype(np.float32))
    return np.asarray(picture.resize((shape[1], shape[0]), Image.Resampling.BICUBIC)) * 1.4


@dataclass(frozen=True)
class Scene:
    """What is to be painted: colors, the way the brush runs, and which thing lies where."""

    color: Floats  # [H, W, 3]
    stream: Floats  # [H, W]; strokes run along its level lines
    thing: NDArray[np.uint8]  # [H, W]; 0 sky, 1 hills, 2 lake, 3 meadow, 4 trees


def sky(rng: np.random.Generator, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Colors and stream of a turning evening sky; x, y [H, W] in picture heights."""
    stream = y + 0.03 * np.sin(x * 5.0 + 1.0) + 0.02 * cloud(rng, x.shape, 4)
    for ex, ey, strength, reach in EDDIES:
        distance = np.hypot(x - ex * 1.0, y - ey) / reach
        stream = stream + strength * np.exp(-0.5 * distance**2)
    sun = np.hypot(x - SUN[0] * WIDTH / HEIGHT, y - SUN[1])
    stream = stream + 0.55 * np.exp(-0.5 * (sun / 0.14) ** 2)
    waves = rng.uniform(0, 2 * np.pi, 5)
    bands = sum(np.sin(stream * f + p) for f, p in zip((23, 41, 64, 97, 140), waves, strict=True))
    level = y / HORIZON + 0.055 * bands + 0.05 * cloud(rng, x.shape, 6)
    color = blend("night ultramarine ultramarine cobalt teal pale ochre orange rose violet", level)
    rings = 0.5 + 0.5 * np.sin(sun * 95 + 0.4 * bands)
    glow = np.exp(-((sun / 0.17) ** 2))[..., None]
    halo = blend("cream ochre orange vermilion", np.clip(sun / 0.26 + 0.3 * rings - 0.15, 0, 1))
    color = color + (halo - color) * np.clip(1.5 * glow, 0, 1)
    disc = np.clip((0.058 - sun) * 60, 0, 1)[..., None]
    return color + (rgb("cream") - color) * disc, stream


def compose(rng: np.random.Generator, height: int, width: int) -> Scene:
    """The whole scene."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / height
    color, stream = sky(rng, x, y)
    thing = np.zeros((height, width), np.uint8)
    for index, (base, swing, tones) in enumerate(RIDGES):
        crest = base + swing * np.sin(x * (3 + 2 * index) + 2.1 * index + 0.7)
        crest = crest + 0.012 * np.sin(x * 17 + index) + 0.012 * np.sin(x * 9 + 2 * index)
        inside = y > crest
        tone = blend(tones, (y - crest) * 9 + 0.22 * cloud(rng, x.shape, 12))
        color[inside], thing[inside] = tone[inside], 1
        slope = y - crest * np.exp(-3 * np.maximum(y - crest, 0))
        stream = np.where(inside, slope, stream)
    return trees(rng, x, y, meadow(rng, x, y, lake(rng, x, y, Scene(color, stream, thing))))


RIDGES = (
    (0.535, 0.030, "rose violet violet cobalt"),
    (0.560, 0.035, "cobalt ultramarine teal violet"),
    (0.590, 0.020, "lime olive teal pine night"),
)


def lake(rng: np.random.Generator, x: Floats, y: Floats, scene: Scene) -> Scene:
    """Water that mirrors the sky, with a path of light below the sun."""
    height = y.shape[0]
    inside = (y > HORIZON + 0.01 * np.sin(x * 7)) & (y < SHORE + 0.05)
    depth = np.clip((y - HORIZON) / (SHORE - HORIZON), 0, 1)
    source = np.clip((HORIZON - 0.03 - depth * 0.52) * height, 0, height - 1).astype(int)
    columns = (x * height + 5 * np.sin(y * 300)).astype(int).clip(0, x.shape[1] - 1)
    water = 0.78 * scene.color[source, columns] + 0.05
    ripple = np.sin(y * 150 / (0.4 + depth) + 3 * cloud(rng, x.shape, 7))
    water = water + 0.10 * ripple[..., None] * (rgb("teal") + 0.2)
    path = np.abs(x - SUN[0] * WIDTH / HEIGHT - 0.02 * ripple) < 0.03 + 0.07 * depth
    glitter = blend("vermilion orange ochre cream", 0.5 + 0.5 * ripple)
    water = np.where((path & (ripple > -0.35))[..., None], glitter, water)
    color = np.where(inside[..., None], np.clip(water, 0, 1), scene.color)
    stream = np.where(inside, y + 0.004 * np.sin(x * 23 + y * 60), scene.stream)
    return Scene(color.astype(np.float32), stream, np.where(inside, 2, scene.thing))


def meadow(rng: np.random.Generator, x: Floats, y: Floats, scene: Scene) -> Scene:
    """A dark bank with grass and poppies."""
    edge = SHORE + 0.035 * np.sin(x * 3.1 + 2.6) + 0.012 * np.sin(x * 11)
    inside = y > edge
    level = np.clip((y - edge) * 3.2, 0, 1) + 0.26 * cloud(rng, x.shape, 14)
    color = blend("lime olive teal pine olive pine night", level)
    flowers = cloud(rng, x.shape, 60) > 1.75 - 0.9 * np.clip(y - 0.86, 0, 1)
    petals = blend("vermilion orange cream rose", 0.5 + 0.4 * cloud(rng, x.shape, 25))
    color = np.where(flowers[..., None] & (y > edge + 0.03)[..., None], petals, color)
    bent = x + 0.10 * np.sin(x * 4 + 1) * (y - edge) + 0.03 * cloud(rng, x.shape, 6)
    color = np.where(inside[..., None], color, scene.color)
    return Scene(color, np.where(inside, bent, scene.stream), np.where(inside, 3, scene.thing))


def trees(rng: np.random.Generator, x: Floats, y: Floats, scene: Scene) -> Scene:
    """Flame-like poplars at the left, lit from the sun's side."""
    color, stream, thing = scene.color, scene.stream, scene.thing
    for foot, top, wide in ((0.29, 0.25, 0.055), (0.165, 0.03, 0.085), (1.16, 0.37, 0.04)):
        along = np.clip((y - top) / (0.93 - top), 0, 1)
        centre = foot + 0.012 * np.sin(y * 9 + foot * 40)
        half = wide * np.sin(np.pi * np.clip(along, 0, 1) ** 1.35)
        half = half * (1 + 0.10 * np.sin(y * 38 + 9 * foot) + 0.12 * cloud(rng, x.shape, 30))
        inside = (np.abs(x - centre) < half) & (y > top) & (y < 0.93)
        side = (x - centre) / np.maximum(half, 1e-3) * np.sign(SUN[0] * 1.25 - foot)
        level = 0.45 + 0.34 * side + 0.20 * np.sin(x * 160 + 6 * np.sin(y * 19))
        tone = blend("night night pine pine teal olive lime ochre", level)
        color = np.where(inside[..., None], tone, color)
        waves = x + 0.010 * np.sin(y * 22 + foot * 9) - 0.35 * (x - centre) * along
        stream, thing = np.where(inside, waves, stream), np.where(inside, 4, thing)
    return Scene(color.astype(np.float32), stream, thing.astype(np.uint8))
