"""Artefact scores: how much of the usual faults of stylization networks a network shows.

Each is a number, 0 (or 1, for a ratio) in a network without the fault. They are measured on flat colors and
smooth "skies" made here, where nothing hides a fault, and the border also on pictures. Pure numpy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fast_nst.evaluation.stability import MARGIN, Stylize

SIDE, INSET = 384, 64  # px: a picture, and what is cut off each side for the smaller one
FLAT_SIDE = 192
PERIODS = 8  # px; the strides of networks are 2, 4 or 8
BAND = 4  # px, where a frame shows
STROKE, TREND = 6.0, 24.0  # px, deviations of the Gaussians between which blobs are looked for
ROUNDING = 1 / 12  # variance of rounding to gray levels
LUMA = np.array([0.299, 0.587, 0.114])  # BT.601
FLATS = ((128, 128, 128), (230, 230, 230), (40, 40, 40), (120, 160, 210), (150, 60, 50))
SKIES = (  # top, bottom, whether it runs diagonally
    ((95, 145, 205), (200, 215, 225), False),
    ((60, 60, 60), (190, 190, 190), False),
    ((220, 150, 110), (90, 60, 110), True),
)


@dataclass
class Artefacts:
    """Scores of one method of stylizing; skies and flats are the worst of several."""

    lattice: float
    """Checkerboard: RMS of what repeats every 2, 4 or 8 px on flats and skies, gray levels. 0 = none."""
    lattice_share: float
    """Its share of the picture's variance, 0 to 1."""
    border_ratio: float
    """Error at the border over error in the middle, on pictures. 1 = none."""
    frame: float
    """How far the mean color of the border is off on skies, gray levels. 0 = none."""
    blobs: float
    """The largest deviation on a sky, in robust standard deviations of its strokes. To 6 = none."""
    stripes: float
    """Color at periods below 4 px on skies, RMS of Cb and Cr in gray levels. 0 = none."""
    weave: float
    """Luma at periods below 4 px on skies, RMS in gray levels. 0 = none; fine strokes have some too."""


def artefacts(stylize: Stylize, pictures: Sequence[np.ndarray]) -> Artefacts:
    """Scores of ``stylize``; ``pictures``, uint8 [384, 384, 3], are for the border alone."""
    flats = [stylize(np.full((FLAT_SIDE, FLAT_SIDE, 3), color, np.uint8)) for color in FLATS]
    skies = [_twice(stylize, sky(*colors, seed=seed)) for seed, colors in enumerate(SKIES)]
    cut = [part for part, _ in skies]
    lattices = [lattice(picture) for picture in [*flats, *cut]]
    octaves = [highest_octave(picture) for picture in cut]
    return Artefacts(
        lattice=max(levels for levels, _ in lattices),
        lattice_share=max(share for _, share in lattices),
        border_ratio=border_ratio([_twice(stylize, picture) for picture in pictures]),
        frame=frame(skies),
        blobs=max(blobs(picture) for picture in cut),
        stripes=max(chroma for chroma, _ in octaves),
        weave=max(luma for _, luma in octaves),
    )


def sky(top: Sequence[float], bottom: Sequence[float], diagonal: bool, seed: int) -> np.ndarray:
    """A slow gradient with the gray noise of a quiet sensor, uint8 [384, 384, 3]."""
    along = np.linspace(0, 1, SIDE)[:, None] + np.zeros((1, SIDE))
    share = ((along + along.T) / 2 if diagonal else along)[..., None]
    grain = np.random.default_rng([1, seed]).normal(0, 1, (SIDE, SIDE, 1))
    values = np.asarray(top) * (1 - share) + np.asarray(bottom) * share + grain
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def lattice(picture: np.ndarray) -> tuple[float, float]:
    """What repeats every 2, 4 or 8 px either way, beyond what neighboring frequencies hold.

    Returns:
        Its RMS in gray levels, and its share of the variance of ``picture`` [H, W, 3], 0 to 255.
    """
    power, scale = _spectrum(_inner(picture))
    side = power.shape[0]
    excess = 0.0
    for row in range(PERIODS):
        for column in range(PERIODS):
            if row == column == 0:
                continue
            around = [(at * side // PERIODS + np.arange(-6, 7)) % side for at in (row, column)]
            near = power[np.ix_(*around)]
            own = near[5:8, 5:8].sum()
            ring = (near.sum() - near[4:9, 4:9].sum()) / (near.size - 25)
            excess += float(own - 9 * ring)
    excess = max(0.0, excess) * scale
    return float(np.sqrt(excess)), excess / (float(power.sum()) * scale + ROUNDING)


def highest_octave(picture: np.ndarray) -> tuple[float, float]:
    """RMS of chroma (Cb and Cr) and luma of ``picture`` at periods below 4 px, gray levels."""
    inner = _inner(picture)
    luma = inner @ LUMA
    chroma = np.stack([0.564 * (inner[..., 2] - luma), 0.713 * (inner[..., 0] - luma)], axis=-1)
    rms = []
    for part in (chroma, luma[..., None]):
        power, scale = _spectrum(part)
        frequency = np.abs(np.fft.fftfreq(power.shape[0]))
        high = np.maximum(frequency[:, None], frequency) > 0.25
        rms.append(float(np.sqrt(power[high].sum() * part.shape[2] * scale)))
    return rms[0], rms[1]


def blobs(picture: np.ndarray) -> float:
    """The largest deviation of a blurred sky from its surroundings, over their robust deviation.

    Instance norm lets networks hide large values in a few spots; a stroke is one of many. At least one gray
    level counts as deviation, or a smooth picture would be all blobs.
    """
    blurred = _blur(picture.astype(np.float64), STROKE)
    local = _inner(blurred - _blur(blurred, TREND))
    off = np.abs(local - np.median(local, axis=(0, 1)))
    return float((off / (1.4826 * np.median(off, axis=(0, 1)) + 1)).max())


def border_ratio(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    """RMS error in the outer `BAND` px over that in the middle, both plus one gray level.

    The error is the difference of a stylized part of a picture, and that part of the stylized picture:
    what the network does for want of the pixels beyond.
    """
    band, middle = [], []
    for part, whole in pairs:
        error = np.square(part - whole)
        total = error[BAND:-BAND, BAND:-BAND].sum()
        band.append((error.sum() - total) / (error.size - error[BAND:-BAND, BAND:-BAND].size))
        middle.append(error[INSET:-INSET, INSET:-INSET].mean())
    return float((np.sqrt(np.mean(band)) + 1) / (np.sqrt(np.mean(middle)) + 1))


def frame(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    """RMS over the four sides of how far their mean color is from the one without a border, gray levels."""
    off = []
    for part, whole in pairs:
        error = part - whole
        sides = (error[:BAND], error[-BAND:], error[:, :BAND], error[:, -BAND:])
        off += [np.square(side.mean(axis=(0, 1))).mean() for side in sides]
    return float(np.sqrt(np.mean(off)))


def _twice(stylize: Stylize, picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The stylized middle of a picture, and the middle of the stylized picture, float [256, 256, 3]."""
    middle = (slice(INSET, -INSET), slice(INSET, -INSET))
    part = stylize(np.ascontiguousarray(picture[middle]))
    return part.astype(np.float64), stylize(picture)[middle].astype(np.float64)


def _inner(picture: np.ndarray) -> np.ndarray:
    """Without the border, where a frame would be taken for something else; sides are multiples of 8."""
    side = (min(picture.shape[:2]) - 2 * MARGIN) // PERIODS * PERIODS
    return picture[MARGIN : MARGIN + side, MARGIN : MARGIN + side].astype(np.float64)


def _spectrum(picture: np.ndarray) -> tuple[np.ndarray, float]:
    """Power [S, S] of [S, S, C] behind a Hann window, mean over C, and what makes it a variance."""
    side = picture.shape[0]
    hann = np.hanning(side + 1)[:-1]
    window = hann[:, None] * hann
    centered = (picture - picture.mean(axis=(0, 1))) * window[..., None]
    power = np.square(np.abs(np.fft.fft2(centered, axes=(0, 1)))).mean(axis=2)
    return power, 1 / (side**2 * float(np.square(window).sum()))


def _blur(picture: np.ndarray, deviation: float) -> np.ndarray:
    """Gaussian blur of [H, W, C], mirrored at the edges."""
    reach = int(4 * deviation)
    kernel = np.exp(-0.5 * np.square(np.arange(-reach, reach + 1) / deviation))
    kernel /= kernel.sum()
    for axis in (0, 1):
        size = picture.shape[axis]
        lines = np.moveaxis(picture, axis, 0)
        lines = np.pad(lines, ((reach, reach), (0, 0), (0, 0)), mode="reflect")
        lines = sum(weight * lines[at : at + size] for at, weight in enumerate(kernel))
        picture = np.moveaxis(lines, 0, axis)
    return picture
