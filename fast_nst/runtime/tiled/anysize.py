"""Small pictures whole, large ones in tiles."""

from __future__ import annotations

import logging
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from fast_nst.errors import UserError
from fast_nst.machine.limits import available_memory
from fast_nst.runtime.scratch import Plane, Raster
from fast_nst.runtime.stylizer import Stylizer

if TYPE_CHECKING:
    from fast_nst.runtime.tiled.stylizer import TiledStylizer

logger = logging.getLogger("fast_nst")

# What a process takes for each byte of tensors: onnxruntime's arena grows by doubling, convolutions keep
# copies in other layouts. Measured 1.4 to 2.4 for widths 8 to 32 at 512 to 1500 pixels a side.
OVERHEAD = 2.5
_ANY_MODEL = 8000  # bytes per pixel, more than any; the standard network of width 32 takes 1300


class AnySizeStylizer:
    """Runs a picture whole if that fits into memory, else in tiles.

    `tile` is "auto", or the side in pixels above which pictures are run in tiles of that side. `memory` is
    the budget in bytes that "auto" goes by; None: half of what is available now.

    Raises UserError for a `tile` too small, or asked for with a model that cannot be run in tiles.
    """

    def __init__(self, stylizer: Stylizer, tile: int | str = "auto", memory: float | None = None) -> None:
        self._whole = stylizer
        self._side = None if tile == "auto" else int(tile)
        self._memory = available_memory() / 2 if memory is None else memory
        if self._side is not None:
            _ = self._tiled

    def in_tiles(self, height: int, width: int) -> bool:
        """Whether a picture of this size is run in tiles."""
        if self._side is not None:
            return max(height, width) > self._side
        pixels = height * width
        if pixels * _ANY_MODEL <= self._memory or self._tiled is None:
            return False
        return pixels * self._tiled.bytes_per_pixel * OVERHEAD > self._memory

    def __call__(self, pixels: Raster, *, strength: float = 1.0, preserve_color: bool = False) -> Raster:
        """Stylize uint8 RGB [H, W, 3] into one of its kind, in memory or on disk.

        Raises as Stylizer and TiledStylizer do.
        """
        tiled = self._tiled if self.in_tiles(*pixels.shape[:2]) else None
        if tiled is None:
            return self._whole(pixels[:, :], strength=strength, preserve_color=preserve_color)
        make = np.empty if isinstance(pixels, np.ndarray) else Plane
        result = make(pixels.shape, np.uint8)
        tiled.run(pixels, result, strength=strength, preserve_color=preserve_color)
        return result

    @cached_property
    def _tiled(self) -> TiledStylizer | None:
        # Here, for onnx and two runs take a moment that small pictures need not wait for.
        from fast_nst.runtime.tiled.stylizer import DEFAULT_MEMORY, TiledStylizer

        memory = self._memory / (2 * OVERHEAD)  # tiles at borders differ in size: more arena
        try:
            return TiledStylizer(self._whole, self._side, min(DEFAULT_MEMORY, memory))
        except UserError as error:
            if self._side is not None:
                raise
            logger.warning("%s", error)
            return None
