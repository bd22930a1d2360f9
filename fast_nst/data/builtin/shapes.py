"""Outlines of things, and laying them on a picture with shading, soft edges and shadows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from fast_nst.data.builtin.noise import Floats

Points = NDArray[np.float64]


def blob(rng: np.random.Generator) -> Points:
    """A rounded or ragged closed outline, [48, 2] in about [-1, 1]."""
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    order = np.arange(2, 9)[:, None]
    weight = rng.normal(0, 1, (7, 1)) * rng.uniform(0.05, 0.4) / order ** rng.uniform(0.5, 1.5)
    radius = 1 + (weight * np.cos(order * angle + rng.uniform(0, 7, (7, 1)))).sum(axis=0)
    squash = np.exp(rng.normal(0, 0.35))
    return np.stack([radius * np.cos(angle) * squash, radius * np.sin(angle) / squash], axis=1)


def polygon(rng: np.random.Generator) -> Points:
    """A box, a triangle or a plank, [n, 2] in about [-1, 1]."""
    count = int(rng.choice([3, 4, 4, 4, 5, 6]))
    angle = (np.arange(count) + 0.5) * 2 * np.pi / count + rng.normal(0, 0.12, count)
    squash = np.exp(rng.normal(0, 0.6))
    return np.stack([np.cos(angle) * squash, np.sin(angle) / squash], axis=1)


def leaf(rng: np.random.Generator) -> Points:
    """A leaf or petal, pointed at both ends and bent, [40, 2] in about [-1, 1]."""
    along = np.concatenate([np.linspace(-1, 1, 20), np.linspace(1, -1, 20)])
    side = np.repeat([1.0, -1.0], 20) * rng.uniform(0.15, 0.5)
    edge = side * (1 - np.abs(along) ** rng.uniform(1.4, 2.6)) * (1 - rng.uniform(0, 0.5) * along)
    return np.stack([along, edge + rng.normal(0, 0.25) * along**2], axis=1)


def creature(rng: np.random.Generator) -> Points:
    """A mirrored outline with bays and limbs, as of an animal, a vase or a face, [64, 2]."""
    angle = np.linspace(0, np.pi, 32)
    order = np.arange(1, 8)[:, None]
    weight = rng.normal(0, 0.28, (7, 1)) / order**0.6
    radius = np.maximum(1 + (weight * np.cos(order * angle)).sum(axis=0), 0.15)
    half = np.stack([radius * np.sin(angle) * 0.8, -radius * np.cos(angle)], axis=1)
    return np.concatenate([half, half[::-1] * [-1, 1]])


def ragged(rng: np.random.Generator, points: Points) -> Points:
    """The outline [n, 2] with a rough edge, as crowns of trees and broken stone have."""
    if len(points) < 20:
        return points
    return points * (1 + rng.uniform(0, 0.18) * rng.standard_normal((len(points), 1)))


OUTLINES = (blob, polygon, leaf, creature)


def outline(rng: np.random.Generator) -> Points:
    """A random outline at a random angle, [n, 2] in about [-1, 1]."""
    points = OUTLINES[int(rng.choice(4, p=(0.42, 0.22, 0.2, 0.16)))](rng)
    angle = rng.uniform(0, 2 * np.pi) if rng.random() < 0.6 else rng.normal(0, 0.15)
    cosine, sine = np.cos(angle), np.sin(angle)
    return points @ np.array([[cosine, sine], [-sine, cosine]])


def mask(points: Points, box: tuple[int, int, int, int], soft: float = 0.0) -> Image.Image:
    """The filled outline, anti-aliased, inside a box (left, top, right, bottom): gray [h, w]."""
    left, top, right, bottom = box
    drawn = Image.new("L", (2 * (right - left), 2 * (bottom - top)))
    corners = ((points - [left, top]) * 2).reshape(-1).tolist()
    ImageDraw.Draw(drawn).polygon(corners, fill=255)
    small = drawn.reduce(2)
    return small.filter(ImageFilter.BoxBlur(float(soft))) if soft > 0.3 else small


def bounds(points: Points, size: int, margin: float) -> tuple[int, int, int, int] | None:
    """The box of an outline with a margin, cut to the picture; None where it lies outside."""
    low = np.maximum(np.floor(points.min(axis=0) - margin), 0).astype(int)
    high = np.minimum(np.ceil(points.max(axis=0) + margin), size).astype(int)
    if (high - low < 2).any():
        return None
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def shade(gray: Image.Image, radius: float, light: tuple[float, float], depth: float) -> Floats:
    """Light over a mask as if it were a swollen body: factors [h, w] about 1."""
    height = np.asarray(gray.filter(ImageFilter.BoxBlur(float(radius))), np.float32) / 255
    steps = max(1, int(radius * 0.7))
    lower = moved(height, round(light[1] * steps), round(light[0] * steps))
    return 1 + np.float32(depth) * (height - lower) - np.float32(0.25 * depth) * (1 - height)


def moved(field: Floats, down: int, right: int) -> Floats:
    """The field [h, w] moved by whole pixels, with zeros where it moved away from."""
    height, width = field.shape
    result = np.zeros_like(field)
    rows, columns = max(height - abs(down), 0), max(width - abs(right), 0)
    source = field[max(-down, 0) :, max(-right, 0) :][:rows, :columns]
    result[max(down, 0) :, max(right, 0) :][:rows, :columns] = source
    return result


def lay(
    canvas: Floats,
    points: Points,
    surface: Floats,
    light: tuple[float, float],
    soft: float = 0.0,
    depth: float = 0.0,
    shadow: float = 0.0,
    at: tuple[float, float] | None = None,
    tint: Floats | None = None,
) -> None:
    """Lays the outline [n, 2] px, covered with a surface, on the canvas, [S, S, 3] both, in place.

    `light` points away from the lamp, `soft` is the blur of the edge in px, `depth` the strength of
    the shading, `shadow` how dark the shadow is that it throws. `at`, in [0, 1], says which part of
    the surface is taken instead of the one behind the outline; `tint` [3] multiplies it.
    """
    size = canvas.shape[0]
    extent = float(np.ptp(points, axis=0).min()) / 2
    throw = extent * 0.35 if shadow else 0.0
    box = bounds(points, size, 1 + 2 * soft + 2 * throw)
    if box is None:
        return
    left, top, right, bottom = box
    gray = mask(points, box, soft)
    alpha = np.asarray(gray, np.float32)[..., None] / 255
    below = canvas[top:bottom, left:right]
    if shadow:
        cast = np.asarray(gray.filter(ImageFilter.BoxBlur(float(max(throw * 0.5, 0.5)))), np.float32)
        cast = moved(cast, round(light[1] * throw), round(light[0] * throw))
        below = below * (1 - np.float32(shadow / 255) * cast[..., None])
    if at is not None:
        top_, left_ = (int(at[0] * (size - bottom + top)), int(at[1] * (size - right + left)))
        above = surface[top_ : top_ + bottom - top, left_ : left_ + right - left]
    else:
        above = surface[top:bottom, left:right]
    if tint is not None:
        above = above * tint
    if depth:
        above = above * shade(gray, max(extent * 0.5, 1.0), light, depth)[..., None]
    canvas[top:bottom, left:right] = below + (above - below) * alpha
