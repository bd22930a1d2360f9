"""Pictures that networks trained under a former student painted: what the next one must know better.

A transformation network finds the patterns that please its loss network more than they should. The teacher's
word on those very pictures takes them away (dataset aggregation, Ross et al. 2011).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fast_nst.crops import load_image, to_tensor
from fast_nst.errors import UserError
from fast_nst.pictures import decode_picture, find_pictures
from fast_nst.training.report import to_pixels

STYLE_SIZE = 256  # shorter side of a painting, as in training


class Challenges:
    """Paintings, and for each a folder of pictures stylized after it."""

    def __init__(self, stylized: str, styles: str | None) -> None:
        """``stylized`` holds a folder for each painting in ``styles``, named like its file without suffix.

        Raises:
            UserError: a folder without its painting, or without pictures.
        """
        paintings = {path.stem: path for path in find_pictures(Path(styles))} if styles else {}
        folders = sorted(path for path in Path(stylized).iterdir() if path.is_dir())
        self.pairs: list[tuple[np.ndarray, list[Path]]] = []
        for folder in folders:
            pictures = find_pictures(folder)
            if folder.name not in paintings:
                raise UserError(f"{folder}: there is no painting {folder.name} in --styles {styles}")
            if not pictures:
                raise UserError(f"{folder} holds no pictures")
            self.pairs.append((to_pixels(load_image(paintings[folder.name], STYLE_SIZE)[0]), pictures))
        if not self.pairs:
            raise UserError(f"--stylized {stylized} holds no folders")

    def crops(self, size: int, seed: tuple[int, ...]) -> Tensor:
        """One painting and two pictures stylized after it, uint8 [3, 3, size, size]; the same for a seed."""
        rng = np.random.default_rng(seed)
        painting, pictures = self.pairs[int(rng.integers(len(self.pairs)))]
        chosen = [decode_picture(pictures[int(i)]).pixels for i in rng.integers(len(pictures), size=2)]
        return torch.stack([_crop(pixels, size, rng) for pixels in (painting, *chosen)])


def _crop(pixels: np.ndarray, size: int, rng: np.random.Generator) -> Tensor:
    """At its own scale: that of the strokes."""
    top, left = (int(rng.integers(max(1, side - size + 1))) for side in pixels.shape[:2])
    part = pixels[top : top + size, left : left + size]
    missing = [(0, size - side) for side in part.shape[:2]]
    return to_tensor(np.pad(part, [*missing, (0, 0)], mode="reflect"))
