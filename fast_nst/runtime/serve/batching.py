"""Dynamic batching: pictures of one model and size that wait together go through the network together."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from fast_nst.runtime.stylizer import RunFailed, Stylizer

_MANY_PIXELS = 2**18  # a model that last ran more holds memory worth giving back


@dataclass(eq=False)
class _Waiting:
    """One picture in the queue and where its result goes."""

    model: str
    pixels: np.ndarray
    """uint8 [H, W, 3]."""
    shares: np.ndarray
    """Of the model's styles, [1, K]."""
    result: asyncio.Future[np.ndarray]

    def fits(self, other: _Waiting) -> bool:
        return self.model == other.model and self.pixels.shape == other.pixels.shape


class Batcher:
    """Runs all models on one thread, first come first served, one batch at a time.

    A batch has at most `max_batch` pictures and, beyond the first, `max_pixels` in all, so that it
    takes no more memory than the largest single picture. It waits up to `max_wait` seconds, and
    only while a picture for the same model is being decoded (`coming`). `observe` is told of every
    batch: model, pictures, seconds.
    """

    def __init__(
        self,
        models: Mapping[str, Stylizer],
        *,
        max_batch: int,
        max_wait: float,
        max_pixels: int,
        observe: Callable[[str, int, float], None],
    ) -> None:
        self._models = models
        self._max_batch, self._max_wait, self._max_pixels = max_batch, max_wait, max_pixels
        self._observe = observe
        self._waiting: list[_Waiting] = []
        self._coming: Counter[str] = Counter()
        self._changed = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="network")
        self._last_model, self._last_pixels = "", 0
        self.seconds_each = 0.0
        """Seconds one picture takes, a running mean."""

    @property
    def depth(self) -> int:
        """Decoded pictures that wait for the network."""
        return len(self._waiting)

    @contextmanager
    def coming(self, model: str) -> Iterator[None]:
        """While a picture for `model` is being decoded: worth a short wait of the others."""
        self._coming[model] += 1
        try:
            yield
        finally:
            self._coming[model] -= 1
            self._changed.set()

    def submit(self, model: str, pixels: np.ndarray, shares: np.ndarray) -> asyncio.Future[np.ndarray]:
        """uint8 RGB [H, W, 3] and the shares of its styles [1, K] into the queue; its result.

        Cancelled, it leaves the queue. The future raises RunFailed or OutOfMemory as Stylizer does.
        """
        item = _Waiting(model, pixels, shares, asyncio.get_running_loop().create_future())
        item.result.add_done_callback(lambda _: self._drop([item]))
        self._waiting.append(item)
        self._changed.set()
        return item.result

    async def run(self) -> None:
        """Work until cancelled."""
        loop = asyncio.get_running_loop()
        batch: list[_Waiting] = []
        try:
            while True:
                batch = await self._gather()
                results = await loop.run_in_executor(self._thread, self._run, batch)
                for item, result in zip(batch, results, strict=True):
                    if item.result.done():
                        continue  # its client left or its time was up
                    if isinstance(result, Exception):
                        item.result.set_exception(result)
                    else:
                        item.result.set_result(result)
        finally:
            self._thread.shutdown(wait=False, cancel_futures=True)
            for item in [*batch, *self._waiting]:  # nobody else would answer them
                if not item.result.done():
                    item.result.set_exception(RuntimeError("the batcher ended"))

    async def _gather(self) -> list[_Waiting]:
        """The next batch, taken out of the queue."""
        deadline = None
        while True:
            self._changed.clear()
            batch, room = self._candidates()
            if batch:
                now = asyncio.get_running_loop().time()
                deadline = now + self._max_wait if deadline is None else deadline
                if len(batch) == room or not self._coming[batch[0].model] or now >= deadline:
                    self._drop(batch)
                    return batch
            try:
                async with asyncio.timeout_at(deadline if batch else None):
                    await self._changed.wait()
            except TimeoutError:
                pass

    def _drop(self, items: list[_Waiting]) -> None:
        self._waiting = [item for item in self._waiting if item not in items]

    def _candidates(self) -> tuple[list[_Waiting], int]:
        """What may run with the one that waits longest, and how many fit."""
        if not self._waiting:
            return [], 0
        first = self._waiting[0]
        height, width = first.pixels.shape[:2]
        room = min(self._max_batch, max(1, self._max_pixels // (height * width)))
        return [item for item in self._waiting if item.fits(first)][:room], room

    def _run(self, batch: list[_Waiting]) -> list[np.ndarray | Exception]:
        """On the network's thread: a result or an error for each."""
        model = batch[0].model
        started = time.perf_counter()
        try:
            self._release_last(model)
            pixels = batch[0].pixels[None] if len(batch) == 1 else np.stack([item.pixels for item in batch])
            shares = np.concatenate([item.shares for item in batch])
            results: list[np.ndarray | Exception] = list(self._models[model](pixels, style=shares))
        except (RunFailed, MemoryError) as error:
            if len(batch) > 1:  # one of them may be to blame, or the memory for all
                return [result for item in batch for result in self._run([item])]
            return [error]
        except Exception as error:
            return [error for _ in batch]
        finally:
            self._last_model, self._last_pixels = model, len(batch) * batch[0].pixels[..., 0].size
        seconds = time.perf_counter() - started
        weight = 0.2 if self.seconds_each else 1.0
        self.seconds_each += weight * (seconds / len(batch) - self.seconds_each)
        self._observe(model, len(batch), seconds)
        return results

    def _release_last(self, model: str) -> None:
        """Give back what another model keeps, so that only one holds memory for large pictures."""
        if self._last_model != model and self._last_pixels > _MANY_PIXELS:
            # onnxruntime shrinks its memory at the end of a run: of one pixel.
            self._models[self._last_model].warm_up([(1, 1)])
