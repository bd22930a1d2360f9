"""Procedural surfaces: functions of texture coordinates, so that they can lie flat or recede."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fast_nst.data.builtin import noise, photographs
from fast_nst.data.builtin.color import LUMINANCE, color, paint, ramp
from fast_nst.data.builtin.noise import COPIES, Floats

# Rows and columns [h, w] in pixels to colors [h, w, 3] in about [0, 1].
Texture = Callable[[Floats, Floats], Floats]
# The same to one value per pixel [h, w] in about [0, 1].
Pattern = Callable[[Floats, Floats], Floats]


def plane(height: int, width: int) -> tuple[Floats, Floats]:
    """Rows and columns [h, w] of a surface that is looked at straight."""
    v, u = np.mgrid[0:height, 0:width].astype(np.float32)
    return v, u


def turned(rng: np.random.Generator, pattern: Pattern, bend: float = 0.0) -> Pattern:
    """The pattern turned by a random angle, moved, and bent by a cloud of `bend` px."""
    angle = rng.uniform(0, 2 * np.pi) if rng.random() < 0.6 else rng.integers(4) * np.pi / 2
    sine, cosine = np.float32(np.sin(angle)), np.float32(np.cos(angle))
    top, left = rng.uniform(0, 4096, 2).astype(np.float32) + np.float32(4096)
    field = noise.cloud(1.9, int(rng.integers(COPIES)))

    def look(v: Floats, u: Floats) -> Floats:
        if bend:
            push = np.float32(bend) * noise.sample(field, v + top, u + left)
            v, u = v + push, u - push
        return pattern(v * cosine - u * sine + top, v * sine + u * cosine + left)

    return look


def stochastic(rng: np.random.Generator) -> Pattern:
    """Clouds, stone, sand, foliage far away: one or two scales of 1/f noise."""
    field = noise.cloud(float(rng.choice(noise.SLOPES)), int(rng.integers(COPIES)))
    strength = np.float32(rng.uniform(0.10, 0.30))
    return lambda v, u: 0.5 + strength * noise.sample(field, v, u)


def fibres(rng: np.random.Generator) -> Pattern:
    """Fur, hair, wood, brushed metal, long grass: noise drawn out along one direction."""
    field = noise.cloud(float(rng.choice([0.5, 1.0, 1.4])), int(rng.integers(COPIES)))
    stretch = np.float32(1 / rng.uniform(4, 24))
    across = np.float32(rng.uniform(0.4, 1.2))
    strength = np.float32(rng.uniform(0.12, 0.28))
    return lambda v, u: 0.5 + strength * noise.sample(field, v * across, u * stretch)


def grains(rng: np.random.Generator) -> Pattern:
    """Gravel, leaves, scales, crackle: cells that are domed, flat or outlined."""
    distance, border, value = noise.cells(int(rng.integers(COPIES)))
    dome, flat, line = rng.dirichlet([1.0, 1.2, 0.8]).astype(np.float32)
    scale = np.float32(np.exp(rng.uniform(np.log(0.6), np.log(4.5))))
    squash = np.float32(scale * np.exp(rng.normal(0, 0.4)))
    width = np.float32(rng.uniform(4, 14))

    def look(v: Floats, u: Floats) -> Floats:
        v, u = v * scale, u * squash
        edge = np.minimum(noise.sample(border, v, u) * width, 1)
        round_ = 1 - noise.sample(distance, v, u)
        return dome * round_ * edge + flat * noise.sample(value, v, u) + line * edge

    return look


def bricks(rng: np.random.Generator) -> Pattern:
    """Bricks, tiles, planks, windows, books: rows of boxes, each of its own shade."""
    high = np.float32(rng.uniform(6, 40))
    wide = high * np.float32(np.exp(rng.uniform(np.log(0.5), np.log(4))))
    joint = np.float32(rng.uniform(0.04, 0.3))
    shift = np.float32(rng.choice([0.0, 0.5, 0.37]))
    shades = noise.cloud(0.5, int(rng.integers(COPIES)))
    rough = noise.cloud(1.0, int(rng.integers(COPIES)))
    relief = np.float32(rng.uniform(0.2, 0.6) * rng.choice([-1, 1]))
    spread = np.float32(rng.uniform(0.02, 0.2))

    def look(v: Floats, u: Floats) -> Floats:
        row = np.floor(v / high)
        place = u / wide + shift * row
        column = np.floor(place)
        depth = np.minimum(v / high - row, (place - column) * (wide / high))
        inside = np.clip((depth - joint) * 12 + 1, 0, 1)
        shade = noise.sample(shades, row * 37 + 4096, column * 91 + 4096)
        return 0.5 + relief * (inside - 0.5) + spread * shade + 0.06 * noise.sample(rough, v, u)

    return look


def stripes(rng: np.random.Generator) -> Pattern:
    """Waves, zebra, corduroy, blinds, ploughed earth: a bent wave, soft or hard."""
    wavelength = np.float32(2 * np.pi / np.exp(rng.uniform(np.log(4), np.log(50))))
    hard = np.float32(np.exp(rng.uniform(-0.7, 1.6)))
    wander = np.float32(rng.uniform(0, 2.5))
    field = noise.cloud(1.9, int(rng.integers(COPIES)))
    cross = rng.random() < 0.25

    def look(v: Floats, u: Floats) -> Floats:
        wave = np.sin(v * wavelength + wander * noise.sample(field, v, u * 0.5))
        if cross:
            wave = wave * np.sin(u * wavelength)
        return 0.5 + 0.4 * np.tanh(wave * hard)

    return look


def spots(rng: np.random.Generator) -> Pattern:
    """Lichen, cow hide, camouflage, foam, petals in grass: a cloud cut at a level."""
    field = noise.cloud(float(rng.choice([1.0, 1.4, 1.9])), int(rng.integers(COPIES)))
    level, hard = np.float32(rng.normal(0, 0.8)), np.float32(rng.uniform(1, 8))
    return lambda v, u: 0.5 + 0.4 * np.tanh((noise.sample(field, v, u) - level) * hard)


PATTERNS = (stochastic, fibres, grains, bricks, stripes, spots)
CHANCES = (0.27, 0.22, 0.20, 0.10, 0.07, 0.14)


def pattern(rng: np.random.Generator) -> Pattern:
    """A random pattern, turned and sometimes bent."""
    make = PATTERNS[int(rng.choice(len(PATTERNS), p=CHANCES))]
    bend = float(rng.uniform(1, 12)) if rng.random() < 0.5 else 0.0
    return turned(rng, make(rng), bend)


def painted(rng: np.random.Generator) -> Texture:
    """A pattern through a gradient map, with fine detail and a drift of brightness over it."""
    main, table = pattern(rng), ramp(rng)
    detail = noise.cloud(float(rng.choice([0.5, 1.0])), int(rng.integers(COPIES)))
    drift = noise.cloud(1.9, int(rng.integers(COPIES)))
    fine = np.float32(rng.uniform(0.0, 0.10))
    broad = np.float32(rng.uniform(0.0, 0.12))
    top, left = rng.uniform(4096, 8192, 2).astype(np.float32)

    def look(v: Floats, u: Floats) -> Floats:
        field = main(v, u) + fine * noise.sample(detail, v + top, u + left)
        return paint(table, field + broad * noise.sample(drift, v * 0.5 + top, u * 0.5 + left))

    return look


def photographed(rng: np.random.Generator) -> Texture:
    """A training photograph as a surface, repeated by mirrors, in one tint."""
    photograph = photographs.choose(rng)
    picture = photographs.mirrored(photograph, int(rng.integers(0, 3)))
    top, left = rng.uniform(4096, 8192, 2).astype(np.float32)
    keep = np.float32(rng.uniform(0.3, 1.0) if rng.random() < 0.6 else 0.0)
    tint = color(rng, 0.5) * np.float32(rng.uniform(1.2, 2.4))
    sine, cosine = np.sin(angle := rng.uniform(0, 2 * np.pi)), np.cos(angle)
    mix = keep * np.eye(3, dtype=np.float32) + (1 - keep) * np.outer(LUMINANCE, tint)

    def look(v: Floats, u: Floats) -> Floats:
        rows, columns = v * cosine - u * sine + top, v * sine + u * cosine + left
        return noise.sample(picture, rows.astype(np.float32), columns.astype(np.float32)) @ mix

    return look


def texture(rng: np.random.Generator, photo: float = 0.35) -> Texture:
    """A random surface; `photo` is the chance that it comes from a photograph."""
    return photographed(rng) if rng.random() < photo else painted(rng)
