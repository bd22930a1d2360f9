"""What one process serves, and one picture's way through it: decode, network, encode."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from fast_nst.errors import UserError, one_line
from fast_nst.lists import comma_separated
from fast_nst.runtime.models import find_model
from fast_nst.runtime.serve.errors import Refused
from fast_nst.runtime.serve.metrics import Metrics
from fast_nst.runtime.serve.options import ServeOptions
from fast_nst.runtime.serve.parameters import Parameters, shares_for
from fast_nst.runtime.serve.work import decode_upload, encode_result
from fast_nst.runtime.stylizer import OutOfMemory, Stylizer
from fast_nst.shipped import list_models

_MANY_PIXELS = 2**18  # a model that last ran more holds memory worth giving back


@dataclass(frozen=True)
class EncodedResult:
    """An answer."""

    data: bytes
    media_type: str
    pixels: int


class Service:
    """The models, and the places and threads that requests share.

    At most `queue` requests hold a place, from before their body is read. A few threads work on them,
    a picture each; one at a time is in the network.
    """

    def __init__(self, models: dict[str, Stylizer], options: ServeOptions) -> None:
        self.models = models
        self.options = options
        self.metrics = Metrics()
        self.metrics.gauge("in_flight", "Requests that hold a place.", lambda: self._held)
        self._held = 0
        self._seconds_each = 0.0  # of the network, a running mean
        self._pool = ThreadPoolExecutor(options.workers, thread_name_prefix="pictures")
        self._network = threading.Lock()
        self._last_model, self._last_pixels = "", 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """One of the places in the queue; raises Refused (429) where none is free."""
        if self._held >= self.options.queue:
            seconds = min(60, max(1, math.ceil(self._held * self._seconds_each)))
            raise Refused(429, f"the queue is full: try again in {seconds} s", seconds)
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1

    async def stylize(self, data: bytes, wanted: Parameters) -> EncodedResult:
        """One picture's way; raises Refused. Cancelled before the network has it, it never runs."""
        gone = threading.Event()
        shares = shares_for(wanted, self.models[wanted.model])
        try:
            async with asyncio.timeout(self.options.timeout):
                return await asyncio.wrap_future(self._pool.submit(self._work, data, wanted, shares, gone))
        except TimeoutError:
            raise Refused(504, f"not done within {self.options.timeout:g} s") from None
        except (OutOfMemory, MemoryError) as error:
            raise Refused(413, f"{one_line(error)}; try a smaller size") from None
        finally:
            gone.set()

    def _work(
        self, data: bytes, wanted: Parameters, shares: np.ndarray, gone: threading.Event
    ) -> EncodedResult:
        picture = decode_upload(data, wanted.size, self.options.max_pixels, self.options.max_size)
        with self._network:
            if gone.is_set():
                raise Refused(499, "the client left while waiting")
            pixels = self._run(picture.pixels, wanted, shares)
        encoded = encode_result(pixels, wanted.format, picture.format, wanted.quality, picture.exif)
        return EncodedResult(*encoded, pixels[..., 0].size)

    def _run(self, pixels: np.ndarray, wanted: Parameters, shares: np.ndarray) -> np.ndarray:
        started = time.perf_counter()
        model = self.models[wanted.model]
        if self._last_model != wanted.model and self._last_pixels > _MANY_PIXELS:
            # Only one model keeps memory for large pictures: onnxruntime gives it back at the end of a
            # run of another size.
            self.models[self._last_model].warm_up([(1, 1)])
        self._last_model, self._last_pixels = wanted.model, pixels[..., 0].size
        result = model(pixels, style=shares, strength=wanted.strength, preserve_color=wanted.preserve_color)
        seconds = time.perf_counter() - started
        self._seconds_each += (0.2 if self._seconds_each else 1.0) * (seconds - self._seconds_each)
        self.metrics.network_seconds.labels(wanted.model).observe(seconds)
        return result

    def close(self) -> None:
        """Drop what waits."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def load_models(options: ServeOptions) -> dict[str, Stylizer]:
    """Every model to serve, run once: name -> Stylizer.

    Raises UserError for one that is absent or broken, and where two have one name.
    """
    asked = comma_separated(options.model) or list(list_models())
    if not asked:
        raise UserError("no model ships with this install: name some with --model")
    providers = comma_separated(options.providers) if options.providers is not None else None
    models: dict[str, Stylizer] = {}
    for text in asked:
        model = find_model(text)
        if model.name in models:
            raise UserError(
                f"--model: {models[model.name].name} and {model.path} would both be called {model.name}"
            )
        stylizer = Stylizer(model.path, model.style, threads=options.threads, providers=providers)
        stylizer.warm_up([(64, 64)])  # the first run is slow, and may fail
        models[model.name] = stylizer
    return models
