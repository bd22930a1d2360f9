"""From a camera through a style to whoever watches, at the size that keeps up."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import numpy as np
from tqdm import tqdm

from fast_nst.pictures.h273 import BICUBIC, EXACT
from fast_nst.runtime.live.budget import Budget
from fast_nst.runtime.live.camera import Camera

if TYPE_CHECKING:
    from av.video.reformatter import VideoReformatter

_IDLE = 0.2  # seconds without a frame after which to look whether to stop


class Painter(Protocol):
    """A `Stylizer`."""

    def __call__(self, image: np.ndarray, *, strength: float) -> np.ndarray: ...


def run_live(
    painter: Painter,
    camera: Camera,
    send: Callable[[np.ndarray], None],
    *,
    side: int | None = None,
    strength: float = 1.0,
    stop: Callable[[], bool],
    clock: Callable[[], float] = time.perf_counter,
) -> int:
    """Paint the camera's newest frame again and again until `stop` is true; returns how many were sent.

    `side` is the longer side the network sees; None keeps to the budget, by the times that `clock` tells in
    seconds. What is sent has the camera's size: uint8 RGB [H, W, 3]. Raises what the others raise.
    """
    from av.video.reformatter import VideoReformatter

    scaler = VideoReformatter()
    budget, frames = Budget(), 0
    # disable=None: no bar unless stderr is a terminal
    with tqdm(unit="frame", disable=None, delay=1) as bar:
        while not stop():
            frame = camera.take(_IDLE)
            if frame is None:
                continue
            begun = clock()
            pixels = camera.pixels(frame, side or budget.side)
            painted = _enlarged(scaler, painter(pixels, strength=strength), camera.size)
            budget.note((clock() - begun) * float(camera.rate), max(camera.size))
            send(painted)
            frames += 1
            bar.set_postfix_str(f"{max(pixels.shape)} px", refresh=False)
            bar.update()
    return frames


def _enlarged(scaler: VideoReformatter, pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    from av import VideoFrame

    if pixels.shape[1::-1] == size:
        return pixels
    frame = VideoFrame.from_ndarray(pixels)  # Pillow takes twice as long
    return scaler.reformat(frame, *size, format="rgb24", interpolation=BICUBIC | EXACT).to_ndarray()
