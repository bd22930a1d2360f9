"""Sequences with optical flow for the tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from fast_nst.evaluation.flow import MAGIC


def write_flow(path: Path, flow: np.ndarray) -> None:
    height, width = flow.shape[:2]
    head = np.float32(MAGIC).tobytes() + np.array([width, height], np.int32).tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head + flow.astype("<f4").tobytes())


def write_picture(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def sequence(folder: Path, numbers: range, flow: float = 0.0) -> None:
    for number in numbers:
        write_picture(folder / f"frame_{number:04}.png", np.full((6, 8, 3), number, np.uint8))
        if number + 1 in numbers:
            write_flow(folder / f"flow_{number:04}_to_{number + 1:04}.flo", np.full((6, 8, 2), flow))
