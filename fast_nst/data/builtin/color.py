"""Natural colors: related palettes, gradient maps, and the camera's own marks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from fast_nst.data.builtin.noise import Floats

# Luminance, orange against blue, green against magenta: the axes natural colors fall along.
AXES = np.array([[1.0, 1.0, 1.0], [0.75, 0.05, -0.85], [-0.45, 0.55, -0.35]], np.float32)
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)


def chroma(rng: np.random.Generator) -> tuple[float, float]:
    """A place on the two color axes: mostly gray, earthy or green, now and then vivid."""
    kind = rng.random()
    if kind < 0.35:
        return float(rng.normal(0.03, 0.05)), float(rng.normal(0.0, 0.02))
    if kind < 0.60:
        return float(rng.uniform(0.06, 0.30)), float(rng.normal(0.0, 0.06))
    if kind < 0.78:
        return float(rng.uniform(0.0, 0.18)), float(rng.uniform(0.05, 0.28))
    if kind < 0.88:
        return float(rng.uniform(-0.35, -0.06)), float(rng.normal(0.0, 0.05))
    return float(rng.normal(0.0, 0.4)), float(rng.normal(0.0, 0.3))


def color(rng: np.random.Generator, light: float | None = None) -> Floats:
    """One color [3] in [0, 1]; `light` fixes its brightness."""
    level = float(rng.beta(1.6, 1.9)) if light is None else light
    warm, green = chroma(rng)
    # Color fades towards black and white, as it does in photographs.
    room = 0.35 + 2.6 * level * (1 - level)
    value = level + room * (warm * AXES[1] + green * AXES[2])
    return np.clip(value, 0, 1).astype(np.float32)


def ramp(rng: np.random.Generator) -> Floats:
    """A gradient map [256, 3] from a shade to a tint of related colors, in [0, 1]."""
    low, spread = rng.uniform(0.0, 0.45), rng.uniform(0.12, 0.75)
    warm, green = chroma(rng)
    count = int(rng.integers(2, 5))
    levels = np.clip(low + spread * np.linspace(0, 1, count), 0, 1)
    if rng.random() < 0.15:
        rng.shuffle(levels)
    stops = np.empty((count, 3), np.float32)
    for index, level in enumerate(levels):
        drift = rng.normal(0, 0.06, 2)
        room = 0.35 + 2.6 * level * (1 - level)
        stops[index] = level + room * ((warm + drift[0]) * AXES[1] + (green + drift[1]) * AXES[2])
    at = np.linspace(0, 1, 256)
    places = np.linspace(0, 1, count)
    table = np.stack([np.interp(at, places, stops[:, channel]) for channel in range(3)], axis=1)
    return np.clip(table, 0, 1).astype(np.float32)


def paint(table: Floats, field: Floats) -> Floats:
    """A field [h, w] in about [0, 1] through a gradient map [256, 3]: [h, w, 3]."""
    return np.take(table, np.clip(field * 255, 0, 255).astype(np.uint8), axis=0)


def jitter(rng: np.random.Generator, image: Floats) -> Floats:
    """Another camera, light and white balance: [h, w, 3] to the same, about [0, 1]."""
    matrix = np.eye(3, dtype=np.float32)
    if rng.random() < 0.10:
        matrix = matrix[rng.permutation(3)]
    saturation = float(np.clip(rng.normal(0.9, 0.3), 0, 1.6)) if rng.random() < 0.9 else 0.0
    matrix = saturation * matrix + (1 - saturation) * np.tile(LUMINANCE, (3, 1))
    matrix = matrix + rng.normal(0, 0.035, (3, 3)).astype(np.float32)
    gain = np.exp(rng.normal(0, 0.10, 3)) * np.exp(rng.normal(0, 0.15))
    image = np.maximum(image @ (matrix * gain[:, None]).T.astype(np.float32), 0)
    if rng.random() < 0.06:
        image = np.maximum(1 - image, 0)
    if rng.random() < 0.7:
        image = image ** np.float32(np.exp(rng.normal(0, 0.3)))
    contrast = np.float32(np.exp(rng.normal(0.0, 0.2)))
    middle = np.float32(rng.uniform(0.35, 0.55))
    return (image - middle) * contrast + middle + np.float32(rng.normal(0, 0.05))


def camera(rng: np.random.Generator, image: Floats) -> NDArray[np.uint8]:
    """What a lens and a sensor add: falloff, a little blur, grain. [h, w, 3] in [0, 1] to uint8."""
    height, width = image.shape[:2]
    if rng.random() < 0.4:
        y = np.linspace(-1, 1, height, dtype=np.float32)[:, None, None]
        x = np.linspace(-1, 1, width, dtype=np.float32)[None, :, None]
        image = image * (1 - np.float32(rng.uniform(0, 0.25)) * (x * x + y * y))
    image = soft_clip(exposed(rng, image))
    if rng.random() < 0.5:
        deviation = rng.uniform(0.002, 0.025)
        grain = rng.standard_normal((height, width, 1), dtype=np.float32)
        image = image + np.float32(deviation) * grain
    pixels = np.clip(image * 255 + 0.5, 0, 255).astype(np.uint8)
    lens = rng.random()
    if lens < 0.12:
        return filtered(pixels, ImageFilter.BoxBlur(float(rng.uniform(0.2, 0.8))))
    if lens < 0.55:
        # Pictures made smaller for a screen are sharper than a lens draws.
        return filtered(pixels, ImageFilter.UnsharpMask(1, int(rng.integers(20, 140)), 0))
    return pixels


def filtered(pixels: NDArray[np.uint8], with_: ImageFilter.Filter) -> NDArray[np.uint8]:
    """Pixels uint8 [h, w, 3] through one of Pillow's filters."""
    return np.asarray(Image.fromarray(pixels).filter(with_))


def exposed(rng: np.random.Generator, image: Floats) -> Floats:
    """The picture [h, w, 3] with a brightness and contrast such as photographs have."""
    gray = image[::2, ::2] @ LUMINANCE
    middle, spread = float(gray.mean()), float(gray.std())
    wanted = float(np.clip(rng.normal(0.225, 0.06), 0.06, 0.38))
    gain = min(wanted / max(spread, 0.03), 3.0) ** rng.uniform(0.6, 1.0)
    centre = middle + rng.uniform(0.3, 1.0) * (rng.beta(5, 6) - middle)
    light = (image @ LUMINANCE)[..., None]
    # Colors gain less than light and shade, or flat pictures would turn into vivid ones.
    hue = (image - light) * np.float32(gain**0.4)
    return (light - np.float32(middle)) * np.float32(gain) + np.float32(centre) + hue


def soft_clip(image: Floats) -> Floats:
    """Highlights roll off instead of being cut: values above 0.85 are pressed into [0.85, 1]."""
    over = np.maximum(image - 0.85, 0)
    return np.maximum(np.minimum(image, 0.85) + 0.15 * (1 - np.exp(-over / 0.15)), 0)
