"""The recipes of training pictures, and how often each: photographs, composites, scenes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fast_nst.data.builtin import foliage, noise, scenes, shapes
from fast_nst.data.builtin.color import jitter
from fast_nst.data.builtin.noise import Floats
from fast_nst.data.builtin.photographs import view

Recipe = Callable[[np.random.Generator, int], Floats]


def blend(rng: np.random.Generator, size: int) -> Floats:
    """Two photographs, or one and a scene, that meet along a soft or hard random border."""
    first = view(rng, size)
    second = view(rng, size) if rng.random() < 0.6 else scenes.landscape(rng, size)
    if rng.random() < 0.5:
        field = noise.smooth(rng, size, size, int(rng.integers(1, 4)))
    else:
        field = noise.window(rng, 1.9, size, size)
    share = np.clip(field * np.float32(np.exp(rng.uniform(-0.5, 4))) + 0.5, 0, 1)[..., None]
    return first + (second - first) * share


def collage(rng: np.random.Generator, size: int) -> Floats:
    """Things cut out of photographs and textures, shaded, on a photograph or a backdrop."""
    canvas = view(rng, size) if rng.random() < 0.6 else scenes.backdrop(rng, size)
    pool = [view(rng, size), view(rng, size), scenes.flat(rng, size)]
    count = int(np.exp(rng.uniform(np.log(3), np.log(40))))
    return scenes.heap(rng, canvas, pool, count)


def figure(rng: np.random.Generator, size: int) -> Floats:
    """One large piece of a photograph before a scene out of focus, with a soft edge."""
    canvas = scenes.backdrop(rng, size)
    canvas = scenes.out_of_focus(canvas, float(rng.uniform(0.3, 0.02 * size)))
    points = shapes.outline(rng) * size * rng.uniform(0.25, 0.5)
    points = points + rng.uniform(0.3, 0.7, 2) * size
    light = scenes.light_from(rng)
    shapes.lay(canvas, points, view(rng, size), light, rng.uniform(0, 4), rng.uniform(0, 0.8), 0.3)
    return canvas


def overgrown(rng: np.random.Generator, size: int) -> Floats:
    """A photograph behind branches, leaves or wires."""
    canvas = view(rng, size)
    return foliage.thicket(rng, size, canvas) if rng.random() < 0.6 else scenes.wires(rng, canvas)


def jittered(recipe: Recipe) -> Recipe:
    """A scene seen by a random camera, as photographs are."""
    return lambda rng, size: jitter(rng, recipe(rng, size))


TABLE: tuple[tuple[Recipe, float], ...] = (
    (view, 0.45),
    (blend, 0.08),
    (collage, 0.10),
    (figure, 0.06),
    (overgrown, 0.04),
    (scenes.dead_leaves, 0.07),
    (scenes.landscape, 0.06),
    (scenes.still_life, 0.04),
    (scenes.street, 0.03),
    (scenes.close_up, 0.02),
    (foliage.thicket, 0.02),
    (foliage.meadow, 0.01),
    (foliage.animal, 0.02),
)
RECIPES = tuple(recipe for recipe, _ in TABLE)
WEIGHTS = np.array([weight for _, weight in TABLE])
WEIGHTS.setflags(write=False)
