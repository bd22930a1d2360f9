"""How much fine detail pictures hold: luma by octave bands. Pure numpy.

A guard beside the figures for stability: a soft picture stands still, too. Here softness shows as a loss in
the finest bands, against the photograph and against the style picture.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fast_nst.evaluation.artefacts import LUMA

OCTAVES = ((2, 4), (4, 8), (8, 16), (16, 32))  # px, periods; what is finer than 2 px across lies in the first
BANDS = tuple(f"{low}-{high} px" for low, high in OCTAVES)


def octaves(pixels: np.ndarray) -> np.ndarray:
    """RMS of luma in each of `BANDS`, in gray levels, of a picture uint8 [H, W, 3]."""
    height, width = pixels.shape[:2]
    luma = pixels @ LUMA
    window = np.hanning(height + 2)[1:-1, None] * np.hanning(width + 2)[1:-1]  # edges have no detail to tell
    mean = (luma * window).sum() / window.sum()
    power = np.square(np.abs(np.fft.fft2((luma - mean) * window))) / (luma.size * np.square(window).sum())
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))  # cycles per px
    frequency = np.minimum(frequency, 0.5)
    return np.array(
        [np.sqrt(power[(frequency > 1 / high) & (frequency <= 1 / low)].sum()) for low, high in OCTAVES]
    )


def mean_octaves(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """`octaves` over several pictures, root of the mean square."""
    return np.sqrt(np.mean([np.square(octaves(picture)) for picture in pictures], axis=0))


def as_dict(bands: np.ndarray, photograph: np.ndarray, style: np.ndarray | None = None) -> dict[str, object]:
    """Plain values: gray levels by band, and their shares of the photographs' and of the style picture's."""
    found: dict[str, object] = {
        "gray_levels": dict(zip(BANDS, bands.round(2).tolist(), strict=True)),
        "of_photograph": dict(zip(BANDS, _share(bands, photograph).round(2).tolist(), strict=True)),
    }
    if style is not None:
        found["of_style"] = dict(zip(BANDS, _share(bands, style).round(2).tolist(), strict=True))
    return found


def as_markdown(rows: dict[str, np.ndarray], photograph: str, style: str | None = None) -> str:
    """A table of ``rows``; those called ``photograph`` and ``style`` are what the others are held against."""
    against = "the photograph's" + (" and of the style picture's" if style is not None else "")
    lines = [
        "## Sharpness\n",
        f"RMS of luma by period, in gray levels; in brackets the share of {against}. Below both is soft.\n",
        "| " + " | ".join(["", *BANDS]) + " |",
        "|" + "---|" * (len(BANDS) + 1),
    ]
    for name, bands in rows.items():
        cells = [f"{value:.1f}" for value in bands]
        if name not in (photograph, style):
            references = [rows[photograph], *([rows[style]] if style is not None else [])]
            shares = [_share(bands, reference) for reference in references]
            cells = [
                f"{cell} ({', '.join(f'{share[index]:.2f}' for share in shares)})"
                for index, cell in enumerate(cells)
            ]
        lines.append("| " + " | ".join([name, *cells]) + " |")
    return "\n".join(lines)


def _share(bands: np.ndarray, reference: np.ndarray) -> np.ndarray:
    return bands / np.maximum(reference, 1e-6)
