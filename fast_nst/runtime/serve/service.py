"""What one process serves, and one request's way through it: decode, network, encode."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from fast_nst.errors import UserError, one_line
from fast_nst.lists import comma_separated
from fast_nst.runtime.models import find_model
from fast_nst.runtime.serve.batching import Batcher
from fast_nst.runtime.serve.errors import Refused
from fast_nst.runtime.serve.limits import Room
from fast_nst.runtime.serve.metrics import Metrics
from fast_nst.runtime.serve.options import ServeOptions
from fast_nst.runtime.serve.parameters import Parameters, shares_for
from fast_nst.runtime.serve.work import decode_upload, encode_result, mix
from fast_nst.runtime.stylizer import OutOfMemory, Stylizer
from fast_nst.shipped import list_models

_PATIENCE_AT_THE_END = 2.0  # seconds

_LOG = logging.getLogger("fast_nst.serve")

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Painted:
    """An answer."""

    data: bytes
    media_type: str
    pixels: int


class Service:
    """The models, and the places, bytes and threads that requests share.

    At most `queue` requests are in `places`, and their bodies and those still arriving are within
    `uploads`. Of them twice `max_batch` at a time are decoded, so that pixels take little memory.
    """

    def __init__(self, models: dict[str, Stylizer], options: ServeOptions) -> None:
        self.models = models
        self.options = options
        self.draining = False
        self.fault: BaseException | None = None
        """What ended the batcher, without which nothing is painted."""
        self._readings = 0
        self.places = Room(options.queue)
        self.uploads = Room(options.queue * options.max_bytes)
        self.metrics = Metrics()
        self.batcher = Batcher(
            models,
            max_batch=options.max_batch,
            max_wait=options.max_wait / 1000,
            max_pixels=options.max_size**2,
            observe=self.metrics.observe_batch,
        )
        self._in_work = asyncio.Semaphore(2 * options.max_batch)
        self._pool = ThreadPoolExecutor(options.workers, thread_name_prefix="pictures")
        self._waiting = 0
        gauge = self.metrics.gauge
        gauge(
            "queue_depth", "Pictures that wait for the network.", lambda: self._waiting + self.batcher.depth
        )
        gauge("in_flight", "Pictures accepted and not yet answered.", lambda: self.places.held)
        gauge("upload_bytes", "Bytes of bodies held.", lambda: self.uploads.held)

    async def stylize(self, data: bytes, wanted: Parameters) -> Painted:
        """One picture's way; raises Refused."""
        try:
            async with asyncio.timeout(self.options.timeout):
                self._waiting += 1
                try:
                    await self._in_work.acquire()
                finally:
                    self._waiting -= 1
                try:
                    return await self._stylize(data, wanted)
                finally:
                    self._in_work.release()
        except TimeoutError:
            raise Refused(504, f"not done within {self.options.timeout:g} s") from None
        except (OutOfMemory, MemoryError) as error:
            raise Refused(413, f"{one_line(error)}; try a smaller size") from None

    async def _stylize(self, data: bytes, wanted: Parameters) -> Painted:
        limits = self.options.max_pixels, self.options.max_size
        shares = shares_for(wanted, self.models[wanted.model])
        with self.batcher.coming(wanted.model):
            picture = await self._on_thread(decode_upload, data, wanted.size, *limits)
            result = self.batcher.submit(wanted.model, picture.pixels, shares)
        stylized = await result

        def finish() -> Painted:
            pixels = mix(picture.pixels, stylized, wanted.strength, wanted.preserve_color)
            encoded = encode_result(pixels, wanted.format, picture.format, wanted.quality, picture.exif)
            return Painted(*encoded, pixels[..., 0].size)

        return await self._on_thread(finish)

    async def _on_thread(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        # Cancelled while it waits for a thread, it never runs.
        return await asyncio.wrap_future(self._pool.submit(function, *args, **kwargs))

    def retry_after(self) -> int:
        """Seconds until there should be a place again."""
        return min(60, max(1, math.ceil(self.places.held * self.batcher.seconds_each)))

    def idle(self) -> bool:
        """Whether every request accepted is answered."""
        return self.places.held == 0 and self._readings == 0

    @contextmanager
    def reading(self) -> Iterator[None]:
        """While a body arrives."""
        self._readings += 1
        try:
            yield
        finally:
            self._readings -= 1

    def patience(self) -> float:
        """Seconds a body may pass without a byte."""
        return _PATIENCE_AT_THE_END if self.draining else math.inf

    def batcher_ended(self, worker: asyncio.Task[None]) -> None:
        """Note the fault that ended the batcher's task, if one did."""
        if not worker.cancelled() and worker.exception() is not None:
            self.fault = worker.exception()
            _LOG.critical("the batcher failed; the process ends", exc_info=self.fault)

    def close(self) -> None:
        """End the threads."""
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
