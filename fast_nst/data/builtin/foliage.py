"""Plants and fur: branches, blades of grass and leaves drawn stroke by stroke, and furry bodies."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from fast_nst.data.builtin import noise, scenes, shapes
from fast_nst.data.builtin.color import ramp
from fast_nst.data.builtin.noise import Floats


def over(canvas: Floats, drawn: Image.Image) -> Floats:
    """A drawing RGBA at twice the size over the canvas [S, S, 3]."""
    small = np.asarray(drawn.reduce(2), np.float32) / 255
    alpha = small[..., 3:]
    # reduce() averages colors and cover apart, so the color is weighted by its cover here.
    return canvas * (1 - alpha) + small[..., :3]


def branches(rng: np.random.Generator, size: int) -> list[tuple[Floats, float]]:
    """Limbs that fork and thin out: pairs of points [n, 2] px and width px."""
    limbs: list[tuple[Floats, float]] = []
    width = size * rng.uniform(0.01, 0.06)
    start, angle = rng.uniform(-0.1, 1.1, 2) * size, rng.normal(-np.pi / 2, 1.2)
    front = [(start, angle, width)]
    while front and len(limbs) < 70:
        start, angle, width = front.pop(0)
        steps = np.cumsum(rng.normal(0, 0.18, 6)) + angle
        stride = width * rng.uniform(1.0, 2.0) + 0.015 * size
        path = start + np.cumsum(np.stack([np.cos(steps), np.sin(steps)], axis=1) * stride, axis=0)
        limbs.append((np.concatenate([start[None], path]), width))
        if width > 0.8:
            turn = rng.uniform(0.2, 0.9)
            front.append((path[-1], steps[-1] + turn * rng.uniform(0, 1), width * 0.78))
            front.append((path[-1], steps[-1] - turn, width * rng.uniform(0.4, 0.8)))
    return limbs


def thicket(rng: np.random.Generator, size: int, canvas: Floats | None = None) -> Floats:
    """Branches with leaves before a backdrop, or before the canvas given, [size, size, 3]."""
    if canvas is None:
        canvas = scenes.backdrop(rng, size)
        canvas = scenes.out_of_focus(canvas, float(rng.uniform(0.5, 0.025 * size)))
    drawn = Image.new("RGBA", (2 * size, 2 * size))
    pen = ImageDraw.Draw(drawn)
    bark, green = shades(ramp(rng)), shades(ramp(rng))
    tips = []
    for _ in range(int(rng.integers(2, 5))):
        for path, width in branches(rng, size):
            line = (path * 2).reshape(-1).tolist()
            pen.line(line, fill=bark[int(rng.integers(256))], width=max(1, round(2 * width)))
            tips.append(path[-1])
    length = size * rng.uniform(0.015, 0.09)
    for _ in range(int(rng.choice([0, 80, 200]))):
        tip = tips[int(rng.integers(len(tips)))] + rng.normal(0, length, 2)
        points = shapes.leaf(rng) * length * rng.uniform(0.5, 1.2)
        angle = rng.uniform(0, 2 * np.pi)
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        corners = ((points[::3] @ turn + tip) * 2).reshape(-1).tolist()
        pen.polygon(corners, fill=green[int(rng.integers(256))])
    return scenes.lit(rng, over(canvas, drawn))


def shades(table: Floats) -> list[tuple[int, int, int, int]]:
    """A gradient map [256, 3] as 256 opaque pen colors."""
    return [(int(r * 255), int(g * 255), int(b * 255), 255) for r, g, b in table]


def meadow(rng: np.random.Generator, size: int) -> Floats:
    """Blades, stalks and flowers before a landscape, [size, size, 3]."""
    canvas = scenes.landscape(rng, size)
    drawn = Image.new("RGBA", (2 * size, 2 * size))
    pen = ImageDraw.Draw(drawn)
    green, petal = shades(ramp(rng)), shades(ramp(rng))
    height, bend = size * rng.uniform(0.1, 0.7), rng.uniform(0.05, 0.5)
    count = int(rng.integers(60, 260))
    foot = np.sort(rng.uniform(0.6, 1.3, count)) * 2 * size
    for base in foot:
        x, tall = rng.uniform(0, 2 * size), 2 * height * rng.uniform(0.3, 1) * base / (2 * size)
        lean = rng.normal(0, bend) * tall
        line = [x, base, x + lean * 0.3, base - tall * 0.6, x + lean, base - tall]
        pen.line(line, fill=green[int(rng.integers(256))], width=int(rng.integers(1, 6)))
        if rng.random() < 0.08:
            r = rng.uniform(2, 0.05 * size)
            box = [x + lean - r, base - tall - r, x + lean + r, base - tall + r]
            pen.ellipse(box, fill=petal[int(rng.integers(256))])
    return scenes.lit(rng, over(canvas, drawn))


def animal(rng: np.random.Generator, size: int) -> Floats:
    """A furry or feathered body with eyes before a blurred backdrop, [size, size, 3]."""
    canvas = scenes.out_of_focus(scenes.backdrop(rng, size), float(rng.uniform(0.5, 0.03 * size)))
    light = scenes.light_from(rng)
    coat = scenes.flat(rng, size, 0.2)
    rough = noise.window(rng, 1.0, 2, 64)
    centre = rng.uniform(0.3, 0.7, 2) * size
    radius = size * rng.uniform(0.2, 0.45)
    trunk = shapes.creature(rng)
    trunk = trunk * (1 + 0.04 * rough.T[: len(trunk)]) * radius + centre
    shapes.lay(canvas, trunk, coat, light, 1.5, rng.uniform(0.6, 1.8), 0.4)
    for _ in range(int(rng.integers(1, 6))):
        limb = shapes.blob(rng) * radius * rng.uniform(0.2, 0.6) + centre
        limb = limb + rng.normal(0, 0.6, 2) * radius
        shapes.lay(canvas, limb, coat * (0.7 + 0.6 * rng.random()), light, 1.0, 1.2, 0.3)
    if rng.random() < 0.8:
        eyes(rng, canvas, centre + rng.normal(0, 0.2, 2) * radius, radius * rng.uniform(0.06, 0.2))
    return scenes.lit(rng, canvas)


def eyes(rng: np.random.Generator, canvas: Floats, centre: Floats, radius: float) -> None:
    """Two round dark things side by side, each with a ring and a glint, on the canvas, in place."""
    apart = radius * rng.uniform(1.5, 3.5)
    iris = rng.uniform(0.1, 0.8, 3).astype(np.float32)
    circle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    disc = np.stack([np.cos(circle), np.sin(circle) * rng.uniform(0.6, 1)], axis=1)
    rings = ((1.25, iris * 0.15), (1.0, iris), (0.55, iris * 0.05))
    for side in (-1, 1):
        at = centre + np.array([side * apart, 0])
        for part, shade in rings:
            surface = np.broadcast_to(shade, canvas.shape)
            shapes.lay(canvas, disc * radius * part + at, surface, (0.0, 1.0))
        white = np.ones_like(canvas)
        shapes.lay(canvas, disc * radius * 0.2 + at - radius * 0.3, white, (0.0, 1.0))
