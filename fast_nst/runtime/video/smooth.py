"""Less flicker: every frame is mixed with the one before it, moved to where things are now."""

from __future__ import annotations

from typing import Any

import numpy as np

from fast_nst.errors import UserError

_KEPT = 0.6  # share of the moved result before, where it is trusted
_CUT = 0.35  # share of trusted pixels below which a new scene begins
_CHANGE = 25.0  # gray levels that a pixel may change on its way
_LEAST = 64  # pixels: OpenCV's DIS crashes on sides below 16 and gives NaN on thin ones


class Smoother:
    """Blends stylized frames along the motion of the film; to be called in the frames' order.

    The motion is DIS optical flow (Kroeger et al. 2016) between the film's own frames, both ways. A
    pixel is trusted where going there and back ends where it began (the test for occlusion of Ruder
    et al. 2016, after Sundaram et al. 2010) and its gray stays; elsewhere the new frame is taken as
    it is. Where too few pixels are trusted a new scene begins, and nothing is taken over.

    Raises UserError that names the install if OpenCV is missing.
    """

    def __init__(self) -> None:
        try:
            import cv2
        except ModuleNotFoundError as error:
            raise UserError("--smooth needs OpenCV: pip install 'fast-nst[smooth]'") from error
        self._cv: Any = cv2
        self._dis: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._before: tuple[np.ndarray, np.ndarray] | None = None  # gray film, result

    def __call__(self, content: np.ndarray, stylized: np.ndarray) -> np.ndarray:
        """A frame of the film and its stylized self to a steadier one, all uint8 RGB [H, W, 3]."""
        gray = self._cv.cvtColor(content, self._cv.COLOR_RGB2GRAY)
        result = stylized
        if self._before is not None:
            moved, trust = self.move(*self._before, gray)
            if trust.mean() >= _CUT:
                share = (_KEPT * trust)[..., None]
                mixed = stylized + share * (moved.astype(np.float32) - stylized)
                result = np.rint(mixed).astype(np.uint8)
        self._before = gray, result
        return result

    def move(self, old: np.ndarray, result: np.ndarray, new: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The result of frame `old` where things are in frame `new`, and the trust in it.

        Both frames are uint8 gray [H, W]; the results are uint8 [H, W, 3] and [H, W] from 0 to 1.
        """
        height, width = new.shape
        back, forth = self._flow(new, old), self._flow(old, new)  # [H, W, 2], pixels
        columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
        x, y = columns + back[..., 0], rows + back[..., 1]
        inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
        returning = self._sample(forth, x, y)
        gap = ((back + returning) ** 2).sum(-1)
        travelled = (back**2).sum(-1) + (returning**2).sum(-1)
        same = np.abs(self._sample(old, x, y).astype(np.float32) - new) < _CHANGE
        trusted = inside & same & (gap < 0.01 * travelled + 0.5)
        # A soft edge, so that no seam shows where trust ends.
        trust = self._cv.blur(trusted.astype(np.float32), (5, 5)) * trusted
        return self._sample(result, x, y), trust

    def _sample(self, values: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return self._cv.remap(values, x, y, self._cv.INTER_LINEAR, borderMode=self._cv.BORDER_REPLICATE)

    def _flow(self, start: np.ndarray, end: np.ndarray) -> np.ndarray:
        """Where each pixel of `start` is in `end`: float32 [H, W, 2], x and y in pixels from its own."""
        height, width = start.shape
        least = max(_LEAST, max(height, width) // 32)
        edges = (0, max(0, least - height), 0, max(0, least - width))
        padded = [self._cv.copyMakeBorder(gray, *edges, self._cv.BORDER_REPLICATE) for gray in (start, end)]
        return np.nan_to_num(self._dis.calc(*padded, None)[:height, :width])
