"""Pictures side by side, with names below."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_GAP = 8  # pixels between pictures
_SMALLEST = 12  # pixels, of letters that can be read


def tiles(pictures: Sequence[np.ndarray], columns: int | None = None) -> np.ndarray:
    """Pictures of one size, uint8 [H, W, 3], then white; by default in about as many rows as columns."""
    columns = columns or math.ceil(len(pictures) ** 0.5)
    blank = np.full_like(pictures[0], 255)
    padded = [*pictures, *[blank] * (-len(pictures) % columns)]
    rows = [np.concatenate(padded[start : start + columns], 1) for start in range(0, len(padded), columns)]
    return np.concatenate(rows)


def labelled(pictures: Sequence[np.ndarray], names: Sequence[str]) -> list[np.ndarray]:
    """Pictures of one size, uint8 [H, W, 3], each above its name on white; again of one size, no name cut."""
    height, width, _ = pictures[0].shape
    font = ImageFont.load_default(max(_SMALLEST, max(height, width) // 20))
    boxes = [font.getbbox(name) for name in names]
    wide = math.ceil(max(width, *(box[2] for box in boxes))) + _GAP
    high = height + math.ceil(max(box[3] for box in boxes)) + 2 * _GAP
    cells = []
    for pixels, name, box in zip(pictures, names, boxes, strict=True):
        cell = Image.new("RGB", (wide, high), "white")
        cell.paste(Image.fromarray(pixels), ((wide - width) // 2, _GAP // 2))
        ImageDraw.Draw(cell).text(((wide - box[2]) / 2, height + _GAP), name, "black", font)
        cells.append(np.asarray(cell))
    return cells
