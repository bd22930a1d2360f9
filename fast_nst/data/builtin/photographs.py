"""The photographs inside scikit-image's wheel: which, under which licence, and views of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fast_nst.data.builtin.color import jitter, paint, ramp
from fast_nst.data.builtin.noise import Floats, smooth
from fast_nst.errors import UserError

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Photograph:
    """One picture that scikit-image ships, and why it may be used."""

    name: str
    file: str
    license: str
    credit: str
    weight: float = 1.0
    """How often a random view is taken of it, against the others."""


TRAINING = (
    Photograph("astronaut", "astronaut.png", "public domain", "NASA", 6),
    Photograph("rocket", "rocket.jpg", "public domain", "SpaceX", 3),
    Photograph("camera", "camera.png", "CC0", "Lav Varshney", 5),
    Photograph("retina", "retina.jpg", "CC0", "Mikael Haggstrom", 0.6),
    Photograph("hubble", "hubble_deep_field.jpg", "public domain", "NASA", 0.4),
    Photograph("brick", "brick.png", "CC0", "CC0Textures", 0.8),
    Photograph("grass", "grass.png", "CC0", "linolafett", 1),
    Photograph("gravel", "gravel.png", "CC0", "CC0Textures", 1),
    Photograph("text", "text.png", "public domain", "Wikipedia", 0.3),
)
HELDOUT = (
    Photograph("chelsea", "chelsea.png", "CC0", "Stefan van der Walt"),
    Photograph("coffee", "coffee.png", "CC0", "Rachel Michetti"),
)


def heldout_photographs() -> list[tuple[str, Pixels]]:
    """Name and pixels, uint8 [H, W, 3], of the photographs that no training picture is made from.

    Raises UserError where scikit-image is not installed.
    """
    return [(photograph.name, load(photograph).copy()) for photograph in HELDOUT]


def folder() -> Path:
    """Where the installed scikit-image keeps its pictures. Raises UserError where there is none."""
    spec = find_spec("skimage")
    if spec is None or not spec.submodule_search_locations:
        raise UserError(
            "the built-in pictures need scikit-image, which is not installed: pip install 'fast-nst[train]'"
        )
    return Path(spec.submodule_search_locations[0]) / "data"


@cache
def load(photograph: Photograph) -> Pixels:
    """The pixels, uint8 [H, W, 3], gray ones too. Raises UserError where they cannot be read."""
    path = folder() / photograph.file
    try:
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("RGB"))
    except OSError as error:
        raise UserError(
            f"scikit-image's own picture {path} cannot be read ({error}): "
            "pip install --force-reinstall scikit-image"
        ) from error
    pixels.setflags(write=False)
    return pixels


@cache
def levels(photograph: Photograph) -> tuple[Image.Image, ...]:
    """The photograph at full, half, quarter size and so on, so that views do not alias."""
    picture = Image.fromarray(load(photograph))
    pyramid = [picture]
    while min(pyramid[-1].size) >= 192:
        pyramid.append(pyramid[-1].reduce(2))
    return tuple(pyramid)


@cache
def mirrored(photograph: Photograph, level: int) -> Floats:
    """The photograph beside its mirror images, which tiles: [2H, 2W, 3] in [0, 1]."""
    pyramid = levels(photograph)
    pixels = np.asarray(pyramid[min(level, len(pyramid) - 1)], np.float32) / 255
    wide = np.concatenate([pixels, pixels[:, ::-1]], axis=1)
    return np.concatenate([wide, wide[::-1]], axis=0)


def choose(rng: np.random.Generator) -> Photograph:
    """One training photograph, by weight."""
    weights = np.array([photograph.weight for photograph in TRAINING])
    return TRAINING[int(rng.choice(len(TRAINING), p=weights / weights.sum()))]


def corners(rng: np.random.Generator, width: int, height: int, size: int) -> NDArray[np.float64]:
    """A random quadrilateral inside a picture, [4, 2] x, y: a square, turned and in perspective.

    Its sides are not much shorter than the `size` px it is shown at, so that the view stays sharp.
    """
    shortest = min(width, height)
    side = np.exp(rng.uniform(np.log(min(0.8 * size, shortest)), np.log(shortest)))
    square = np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]]) * side / 2
    if rng.random() < 0.7:
        square = square + rng.uniform(-0.14, 0.14, (4, 2)) * side
    angle = rng.normal(0, 0.12) if rng.random() < 0.85 else rng.uniform(-np.pi, np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    square = square * np.exp(rng.normal(0, 0.15, 2)) @ turn.T
    if rng.random() < 0.5:
        square[:, 0] *= -1
    extent = np.maximum(-square.min(axis=0), square.max(axis=0))
    room = np.array([width, height]) / 2
    square *= min(1.0, *(room / extent))
    extent = np.maximum(-square.min(axis=0), square.max(axis=0))
    # Rounding can make the room left a hair less than nothing.
    left_over = np.maximum(np.array([width, height]) - 2 * extent, 0)
    return square + extent + rng.uniform(0, 1, 2) * left_over


def cut(pyramid: tuple[Image.Image, ...], square: NDArray[np.float64], size: int) -> Floats:
    """The quadrilateral [4, 2] of the full picture as a square [size, size, 3] in [0, 1]."""
    side = float(np.hypot(*(square - np.roll(square, 1, axis=0)).T).mean())
    level = int(np.clip(np.floor(np.log2(max(side / size, 1))), 0, len(pyramid) - 1))
    data = (square / 2**level).reshape(-1).tolist()
    view = pyramid[level].transform((size, size), Image.Transform.QUAD, data, Image.Resampling.BICUBIC)
    return np.asarray(view, np.float32) / 255


def view(rng: np.random.Generator, size: int) -> Floats:
    """A random view of a training photograph in random colors: [size, size, 3], about [0, 1]."""
    photograph = choose(rng)
    pyramid = levels(photograph)
    image = cut(pyramid, corners(rng, *pyramid[0].size, size), size)
    if rng.random() < (0.12 if photograph.name in COLORED else 0.8):
        image = tint(rng, image)
    return jitter(rng, image)


COLORED = frozenset({"astronaut", "rocket", "retina", "hubble"})


def tint(rng: np.random.Generator, image: Floats) -> Floats:
    """A gray picture in the colors of two gradient maps that meet along a soft random border."""
    gray = image.mean(axis=2)
    first = paint(ramp(rng), gray)
    second = paint(ramp(rng), gray)
    share = smooth(rng, gray.shape[0], gray.shape[1], int(rng.integers(1, 5)))
    share = 1 / (1 + np.exp(-share * np.float32(rng.uniform(1, 8))))[..., None]
    # Part of the plain gray is kept so that the tones of the photograph survive any map.
    return 0.35 * image + 0.65 * (first + (second - first) * share)
