"""Whole synthetic scenes: heaps of things, landscapes, still lifes, streets, close-ups."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from fast_nst.data.builtin import noise, shapes
from fast_nst.data.builtin.color import color, paint, ramp
from fast_nst.data.builtin.noise import Floats
from fast_nst.data.builtin.textures import Texture, plane, texture

GREY = np.float32(0.5)


def light_from(rng: np.random.Generator) -> tuple[float, float]:
    """The way light travels over a picture, mostly from above: x, y of a unit vector."""
    angle = rng.normal(np.pi / 2, 0.7)
    return float(np.cos(angle)), float(np.sin(angle))


def flat(rng: np.random.Generator, size: int, photo: float = 0.35) -> Floats:
    """A surface seen straight on, [size, size, 3]."""
    return texture(rng, photo)(*plane(size, size))


def glow(rng: np.random.Generator, size: int) -> Floats:
    """A smooth backdrop, [size, size, 3]: colors that run into each other, as in a sky."""
    field = np.linspace(0, 1, size, dtype=np.float32)[:, None]
    field = field * np.float32(rng.uniform(-1, 1)) + np.float32(rng.uniform(0.3, 0.7))
    bumps = noise.smooth(rng, size, size, int(rng.choice([1, 2, 3, 6, 10])))
    return paint(ramp(rng), field + np.float32(rng.uniform(0.0, 0.25)) * bumps)


def out_of_focus(image: Floats, radius: float) -> Floats:
    """The picture [h, w, 3] in [0, 1] as behind a wide open lens."""
    pixels = Image.fromarray(np.clip(image * 255, 0, 255).astype(np.uint8))
    blurred = pixels.filter(ImageFilter.BoxBlur(radius)).filter(ImageFilter.BoxBlur(radius / 2))
    return np.asarray(blurred, np.float32) / 255


def lit(rng: np.random.Generator, image: Floats, strength: float = 0.35) -> Floats:
    """The picture under uneven light: patches of sun and shade, or a soft fall to one side."""
    size = image.shape[0]
    field = noise.smooth(rng, size, size, int(rng.integers(1, 5)))
    if rng.random() < 0.3:
        field = np.tanh(field * np.float32(rng.uniform(2, 10)))
    return image * np.exp(np.float32(rng.uniform(0, strength)) * field)[..., None]


def backdrop(rng: np.random.Generator, size: int) -> Floats:
    """What lies behind things: sky, wall, ground or a blurred scene, [size, size, 3]."""
    kind = rng.random()
    if kind < 0.25:
        return glow(rng, size)
    if kind < 0.55:
        return flat(rng, size)
    if kind < 0.8:
        return out_of_focus(flat(rng, size), float(rng.uniform(0.5, 0.02 * size)))
    return landscape(rng, size)


def sizes(rng: np.random.Generator, count: int, size: int) -> Floats:
    """Radii [count] px, large ones first, their density a falling power of the radius."""
    low, high = max(2.0, 0.02 * size), rng.uniform(0.3, 0.5) * size
    at = rng.uniform(0, 1, count)
    exponent = rng.uniform(0.1, 1.3)
    radii = (high**-exponent + at * (low**-exponent - high**-exponent)) ** (-1 / exponent)
    return np.sort(radii)[::-1]


def heap(rng: np.random.Generator, canvas: Floats, pool: list[Floats], count: int) -> Floats:
    """Things of all sizes over a canvas [S, S, 3], in place, far and large ones first."""
    size = canvas.shape[0]
    light = light_from(rng)
    focus, aperture = rng.uniform(0, 1), float(rng.choice([0.0, 0.0, 0.01, 0.03])) * size
    depth = rng.uniform(0.2, 1.6)
    shadow = rng.uniform(0.2, 0.7) if rng.random() < 0.7 else 0.0
    for index, radius in enumerate(sizes(rng, count, size)):
        points = shapes.outline(rng) * radius + rng.uniform(-0.1, 1.1, 2) * size
        surface = pool[int(rng.integers(len(pool)))]
        at = (rng.random(), rng.random())
        tint = color(rng) + GREY if rng.random() < 0.6 else None
        soft = aperture * abs(index / count - focus)
        shapes.lay(canvas, points, surface, light, soft, depth, shadow, at, tint)
    return canvas


def dead_leaves(rng: np.random.Generator, size: int) -> Floats:
    """A heap of shaded, textured things on a backdrop, [size, size, 3]."""
    pool = [flat(rng, size) for _ in range(int(rng.integers(2, 5)))] + [glow(rng, size)]
    count = int(np.exp(rng.uniform(np.log(12), np.log(90))))
    return lit(rng, heap(rng, backdrop(rng, size), pool, count))


def ground(rng: np.random.Generator, size: int, horizon: int, look: Texture) -> Floats:
    """A plane that recedes to a horizon row: [size - horizon, size, 3]."""
    rows = np.arange(size - horizon, dtype=np.float32)[:, None] + 3
    reach = np.float32(size * rng.uniform(0.15, 0.6))
    v = reach * size * 0.25 / rows
    u = (np.arange(size, dtype=np.float32)[None, :] - size / 2) * reach / rows + 4096
    v = np.broadcast_to(v, u.shape)
    # Far off a texture is finer than a pixel: it fades to its mean instead of flickering.
    near = np.clip(rows / (0.25 * size), 0.1, 1)[..., None]
    image = look(v + 4096, u)
    mean = image.mean(axis=(0, 1))
    return mean + (image - mean) * near


def landscape(rng: np.random.Generator, size: int) -> Floats:
    """Sky, ridges in haze, ground or water, and now and then trees, [size, size, 3]."""
    horizon = int(size * rng.uniform(0.25, 0.75))
    canvas = glow(rng, size)
    if rng.random() < 0.6:
        cover = noise.window(rng, 1.9, size, size) + np.float32(rng.uniform(-1, 1))
        cover = np.clip(cover * np.float32(rng.uniform(0.3, 1.5)), 0, 1)[..., None]
        canvas = canvas + (color(rng, float(rng.uniform(0.5, 1))) - canvas) * cover * 0.7
    haze = canvas[max(horizon - 1, 0)].mean(axis=0)
    column = np.arange(size)
    layers = int(rng.integers(0, 4))
    for index in range(layers):
        ridge = noise.window(rng, float(rng.choice([1.4, 1.9])), 1, size)[0] * size * 0.06
        crest = horizon - size * rng.uniform(0.0, 0.25) * (layers - index) / layers + ridge
        surface = flat(rng, size)
        near = (index + 1) / (layers + 1) * rng.uniform(0.5, 1)
        surface = haze + (surface - haze) * np.float32(near)
        inside = np.clip(column[:, None] - crest[None, :], 0, 1).astype(np.float32)[..., None]
        canvas = canvas + (surface - canvas) * inside
    below = ground(rng, size, horizon, texture(rng))
    if rng.random() < 0.25:
        mirror = canvas[horizon - 1 :: -1][: size - horizon]
        share = np.float32(rng.uniform(0.3, 0.9))
        below[: len(mirror)] += (mirror - below[: len(mirror)]) * share
    canvas[horizon:] = below
    return scattered(rng, canvas, horizon) if rng.random() < 0.7 else canvas


def scattered(rng: np.random.Generator, canvas: Floats, horizon: int) -> Floats:
    """Trees, bushes, stones or huts that stand on the ground of a landscape [S, S, 3], in place."""
    size = canvas.shape[0]
    light = light_from(rng)
    pool = [flat(rng, size, 0.2), flat(rng, size, 0.2)]
    shape = shapes.OUTLINES[int(rng.integers(len(shapes.OUTLINES)))]
    scale, squash = rng.uniform(0.1, 0.5), np.exp(rng.normal(0.2, 0.4))
    for foot in np.sort(rng.uniform(0, 1, int(rng.integers(3, 26))) ** 2):
        tall = size * scale * (0.12 + foot) * rng.uniform(0.5, 1)
        points = shapes.ragged(rng, shape(rng)) * [tall / squash, tall]
        at = [rng.uniform(0, 1) * size, horizon + foot * (size - horizon) - tall * 0.8]
        tint = color(rng, 0.5) + GREY if rng.random() < 0.5 else None
        part = (rng.random(), rng.random())
        shapes.lay(canvas, points + at, pool[int(rng.integers(2))], light, 0, 1.0, 0.4, part, tint)
    return canvas


def still_life(rng: np.random.Generator, size: int) -> Floats:
    """A few round bodies with true shading and highlights on a table, [size, size, 3]."""
    canvas = backdrop(rng, size)
    if rng.random() < 0.7:
        edge = int(size * rng.uniform(0.35, 0.8))
        canvas[edge:] = ground(rng, size, edge, texture(rng))
    canvas = out_of_focus(canvas, float(rng.uniform(0.3, 0.015 * size)))
    lamp = rng.normal(0, 1, 3) * [1, 0.6, 0.5] + [0, -0.8, 0.9]
    lamp = (lamp / np.linalg.norm(lamp)).astype(np.float32)
    pool = [flat(rng, size), flat(rng, size), glow(rng, size)]
    for radius in np.sort(rng.uniform(0.05, 0.34, int(rng.integers(2, 8))))[::-1] * size:
        body(rng, canvas, radius, lamp, pool[int(rng.integers(3))])
    return lit(rng, canvas)


def body(rng: np.random.Generator, canvas: Floats, radius: float, lamp: Floats, surface: Floats) -> None:
    """One shaded super-ellipsoid with its shadow on the canvas [S, S, 3], in place."""
    size = canvas.shape[0]
    v, u = plane(size, size)
    centre = rng.uniform(0.1, 0.9, 2) * size
    squash = np.exp(rng.normal(0, 0.25))
    y = (v - np.float32(centre[1])) / np.float32(radius * squash)
    x = (u - np.float32(centre[0])) / np.float32(radius / squash)
    power = float(rng.choice([2, 2, 2, 4]))
    swell = x**2 + y**2 if power == 2 else x**4 + y**4
    alpha = np.clip((1 - swell) * np.float32(radius / 2.5), 0, 1)[..., None]
    z = np.sqrt(np.maximum(1 - swell, 0))
    facing = np.clip(x * lamp[0] + y * lamp[1] + z * lamp[2], 0, 1)
    dark = np.clip(1.4 - (x + lamp[0] * 0.6) ** 2 - ((y - 0.75) * 2.2) ** 2, 0, 1) * 0.5
    canvas *= (1 - np.float32(rng.uniform(0.4, 1)) * dark)[..., None]
    gloss = np.float32(rng.choice([0.0, 0.1, 0.5, 0.9])) * facing ** rng.uniform(8, 60)
    shaded = surface * (np.float32(rng.uniform(0.15, 0.4)) + 0.95 * facing)[..., None]
    canvas += (shaded + gloss[..., None] - canvas) * alpha


def street(rng: np.random.Generator, size: int) -> Floats:
    """Fronts of buildings with windows that recede, a road, poles and wires, [size, size, 3]."""
    canvas = glow(rng, size)
    horizon = int(size * rng.uniform(0.45, 0.75))
    canvas[horizon:] = ground(rng, size, horizon, texture(rng))
    pool = [flat(rng, size, 0.5) for _ in range(2)]
    light = light_from(rng)
    edge = -0.1 * size
    while edge < size:
        width = size * rng.uniform(0.12, 0.5)
        top = horizon - size * rng.uniform(0.1, 0.7)
        lean = rng.normal(0, 0.12) * width
        corners = [[edge, top], [edge, horizon + 4], [edge + width, horizon + 4]]
        front = np.array([*corners, [edge + width, top + lean]])
        wall = pool[int(rng.integers(2))] * (color(rng) + GREY)
        shapes.lay(canvas, front, wall, light)
        windows(rng, canvas, front)
        edge += width * rng.uniform(0.8, 1.3)
    return lit(rng, wires(rng, canvas))


def windows(rng: np.random.Generator, canvas: Floats, front: shapes.Points) -> None:
    """Rows of windows over a front [4, 2] px on the canvas [S, S, 3], in place."""
    box = shapes.bounds(front, canvas.shape[0], 0)
    if box is None:
        return
    left, top, right, bottom = box
    step = canvas.shape[0] * rng.uniform(0.04, 0.12)
    v, u = plane(bottom - top, right - left)
    part = float(rng.uniform(0.4, 0.8))
    inside = (v / np.float32(step * 1.3) % 1 < part) & (u / np.float32(step) % 1 < part)
    wall = np.asarray(shapes.mask(front, box), np.float32) / 255
    alpha = (inside * wall * np.float32(0.85))[..., None]
    shine = color(rng) + 0.15 * noise.window(rng, 1.0, *v.shape)[..., None]
    canvas[top:bottom, left:right] += (shine - canvas[top:bottom, left:right]) * alpha


def wires(rng: np.random.Generator, canvas: Floats) -> Floats:
    """The canvas [S, S, 3] behind thin things: poles, wires, twigs, bars, writing."""
    size = canvas.shape[0]
    drawn = Image.new("L", (2 * size, 2 * size))
    pen = ImageDraw.Draw(drawn)
    for _ in range(int(rng.integers(1, 10))):
        ends = rng.uniform(-0.2, 1.2, 4) * 2 * size
        if rng.random() < 0.4:
            ends[2] = ends[0] + rng.normal(0, 4)
        sag = rng.normal(0, 0.1) * size
        at = np.linspace(0, 1, 12)
        x = ends[0] + (ends[2] - ends[0]) * at
        y = ends[1] + (ends[3] - ends[1]) * at + sag * 4 * at * (1 - at)
        line = np.stack([x, y], axis=1).reshape(-1).tolist()
        pen.line(line, fill=int(rng.integers(120, 256)), width=int(rng.integers(1, 10)))
    alpha = np.asarray(drawn.reduce(2), np.float32)[..., None] / 255
    return canvas + (color(rng, float(rng.uniform(0, 0.5))) - canvas) * alpha


def close_up(rng: np.random.Generator, size: int) -> Floats:
    """One or two surfaces that fill the frame, straight or receding, [size, size, 3]."""
    image = flat(rng, size) if rng.random() < 0.6 else ground(rng, size, 0, texture(rng))
    if rng.random() < 0.5:
        border = noise.window(rng, 1.9, size, size) + np.float32(rng.normal(0, 0.8))
        share = np.clip(border * np.float32(rng.uniform(0.5, 20)) + 0.5, 0, 1)[..., None]
        image = image + (flat(rng, size) - image) * share
    return lit(rng, image, 0.6)
