"""A camera for other programs, by way of pyvirtualcam."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction

import numpy as np
import pyvirtualcam

from fast_nst.errors import UserError, one_line

_WAYS = {
    "linux": "load v4l2loopback: sudo modprobe v4l2loopback exclusive_caps=1 (package v4l2loopback-dkms)",
}
_OBS = "install OBS Studio (obsproject.com) and start its virtual camera once"


@contextmanager
def virtual_camera(
    name: str | None, size: tuple[int, int], rate: Fraction
) -> Iterator[tuple[str, Callable[[np.ndarray], None]]]:
    """The device's name, and a function that shows a frame in it: uint8 RGB [H, W, 3] of `size`.

    `name` is the device's; None takes the first there is. Raises UserError where there is none, and when it
    fails later.
    """
    try:
        camera = pyvirtualcam.Camera(*size, float(rate), device=name)
    except RuntimeError as error:
        raise UserError(f"no virtual camera: {_explain(one_line(error))}") from error

    def send(pixels: np.ndarray) -> None:
        try:
            camera.send(pixels)
        except RuntimeError as error:
            raise UserError(f"the virtual camera {camera.device} failed: {one_line(error)}") from error

    with camera:
        yield camera.device, send


def _explain(reason: str) -> str:
    """What pyvirtualcam says, and what to do, which it says of permissions alone."""
    reason = re.sub(r"'\w+' backend: ", "", reason)
    if "permission" in reason:
        return reason
    return f"{reason.partition('. ')[0].rstrip('.')}; {_WAYS.get(sys.platform, _OBS)}"
