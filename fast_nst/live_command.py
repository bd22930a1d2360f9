"""The verb `live`: a camera in a style, into a virtual camera or stdout."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from fast_nst.errors import Interrupted, UserError
from fast_nst.lists import comma_separated
from fast_nst.runtime.live.camera import Camera
from fast_nst.runtime.live.options import LiveOptions
from fast_nst.runtime.live.run import run_live
from fast_nst.runtime.stylizer import Stylizer
from fast_nst.stop import StopRequest
from fast_nst.terminal import binary_stdout

logger = logging.getLogger("fast_nst")


def live(options: LiveOptions) -> None:
    """Go on until a signal ends it.

    Raises UserError for what is missing or wrong, Interrupted at the end, BrokenPipeError when nobody reads
    stdout any more, ModuleNotFoundError where pyvirtualcam is needed and not installed.
    """
    if options.virtual_camera:
        import pyvirtualcam  # noqa: F401 - before a camera's light goes on
    elif sys.stdout.isatty():
        raise UserError(
            "stdout is a terminal: send the frames to other programs with --virtual-camera, or pipe them"
        )
    providers = comma_separated(options.providers) if options.providers is not None else None
    stylizer = Stylizer(options.model, options.style, threads=options.threads, providers=providers)
    stylizer.style_rows(None)
    with StopRequest("stopping") as stop, Camera(options.camera) as camera, _target(options, camera) as send:
        frames = run_live(
            stylizer,
            camera,
            send,
            side=None if options.size == "auto" else options.size,
            strength=options.strength,
            stop=lambda: stop.signal is not None,
        )
    assert stop.signal is not None
    raise Interrupted(stop.signal, f"stopped after {frames} frames")


@contextmanager
def _target(options: LiveOptions, camera: Camera) -> Iterator[Callable[[np.ndarray], None]]:
    """A function that a frame is given to."""
    width, height = camera.size
    what = f"{camera.name}, {width}x{height} at {float(camera.rate):g} frames per second"
    if options.virtual_camera:
        from fast_nst.runtime.live.virtual import virtual_camera

        name = options.virtual_camera if isinstance(options.virtual_camera, str) else None
        with virtual_camera(name, camera.size, camera.rate) as (device, send):
            logger.info("%s, to the virtual camera %s; Ctrl-C ends it", what, device)
            yield send
        return
    with binary_stdout() as stdout:
        logger.info("%s, to stdout; Ctrl-C ends it", what)

        def write(pixels: np.ndarray) -> None:
            stdout.write(np.ascontiguousarray(pixels).data)
            stdout.flush()

        yield write
