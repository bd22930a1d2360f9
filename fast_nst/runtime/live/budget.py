"""The size of live frames that a machine keeps up with, by the times measured.

The demo's page decides in the browser, by the same rule: `demo/static/budget.js`. A test compares the two.
"""

from __future__ import annotations

SIDES = (256, 320, 384, 448, 512, 640, 768, 960, 1280)  # below the first, strokes swallow a face
FIRST = 384
TARGET = 0.75  # of the time between two frames of the camera
MARGIN = 0.85  # of the target: a larger size has to be expected below
WINDOW = 7  # frames of which the middle one counts: a hiccup is none
PATIENCE = 30  # frames at one size before a larger one is tried
LASTING = 900  # frames after which a step up was right, though it may be taken back some time


class Budget:
    """Steps down when frames take more than `TARGET` of the time there is, up when more pixels will fit.

    A step up that had to be taken back soon doubles the patience before the next one, so that sizes do not
    flicker where the time grows faster than the pixels. `side` is the longer side for the next frame.
    """

    def __init__(self) -> None:
        self.side = FIRST
        self._frames = 0  # at this size
        self._shares: list[float] = []
        self._patience = PATIENCE
        self._rose = False

    def note(self, share: float, longest: int) -> None:
        """Note how long a frame took, as a share of the time between two, of a camera whose longer side is
        `longest`."""
        most = min(longest, SIDES[-1])
        sides = [side for side in SIDES if side < most] + [most]
        now = min(self.side, most)
        self._frames += 1
        if self._frames > 1:  # memory and kernels are got ready in the first
            self._shares = [*self._shares, share][-WINDOW:]
        if len(self._shares) < WINDOW:
            return
        per_pixel = sorted(self._shares)[WINDOW // 2] / now**2
        smaller = [side for side in sides if side < now]
        larger = [side for side in sides if side > now]
        if smaller and per_pixel * now**2 > TARGET:
            if self._rose:
                self._patience = 2 * self._patience if self._frames < LASTING else PATIENCE
            fitting = [side for side in smaller if per_pixel * side**2 <= TARGET]
            self._change(max(fitting, default=smaller[0]), rose=False)
        elif larger and self._frames >= self._patience and per_pixel * larger[0] ** 2 <= TARGET * MARGIN:
            self._change(larger[0], rose=True)

    def _change(self, side: int, rose: bool) -> None:
        self.side, self._rose = side, rose
        self._frames, self._shares = 0, []
