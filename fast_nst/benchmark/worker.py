"""The other end of `fast_nst.benchmark.rounds`: a process that times one thing and says what it took.

python -m fast_nst.benchmark.worker times a model from pixels to pixels, as `Stylizer` runs it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from fast_nst.errors import UserError, one_line
from fast_nst.machine.limits import peak_memory
from fast_nst.runtime.providers import short_name
from fast_nst.runtime.stylizer import Stylizer

WARM_UP = 0.25  # share of the measured seconds
LEAST_RUNS, MOST_RUNS = 3, 500  # timed; the second bounds what is kept of very fast runs

Answer = Callable[[dict[str, Any]], dict[str, Any]]


def serve(answer: Answer) -> None:
    """Read a request, write what ``answer`` makes of it with the peak memory, or why it failed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; our parent ends us
    out = os.dup(1)
    os.dup2(2, 1)  # what libraries print must not mix with the answer
    request = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        found = answer(request)
        found.setdefault("peak_memory", peak_memory())
    except UserError as error:
        found = {"failure": one_line(error)}
    except MemoryError:
        found = {"failure": "not enough memory"}
    except Exception as error:
        found = {"failure": f"{type(error).__name__}: {one_line(error)}"}
    with os.fdopen(out, "w") as stdout:
        stdout.write(json.dumps(found))


def _end_with_parent() -> None:
    sys.stdin.read()  # returns when the parent is gone, however it went
    os._exit(1)


def time_calls(call: Callable[[], object], seconds: float) -> list[float]:
    """Seconds of each call, for about ``seconds`` after a warm-up; at least three calls."""
    # Twice at least: the first run of a size plans its memory, the second takes it.
    _repeat(call, WARM_UP * seconds, least=2)
    return _repeat(call, seconds, least=LEAST_RUNS)


def _repeat(call: Callable[[], object], seconds: float, least: int) -> list[float]:
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < least or (time.perf_counter() < end and len(times) < MOST_RUNS):
        started = time.perf_counter()
        call()
        times.append(round(time.perf_counter() - started, 7))
    return times


def noise(request: dict[str, Any]) -> np.ndarray:
    """uint8 [batch, height, width, 3]; what the picture shows does not matter to the time."""
    shape = (request["batch"], request["height"], request["width"], 3)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def time_stylizer(request: dict[str, Any]) -> dict[str, Any]:
    """Times ``path`` in ``style`` at ``width``, ``height``, ``batch``, ``threads``, ``provider`` for
    ``seconds``."""
    threads, provider = request["threads"], request["provider"]
    providers = [provider] if provider else None
    stylizer = Stylizer(request["path"], request.get("style"), threads=threads, providers=providers)
    if stylizer.style is None:  # all of a file's styles take the same time
        stylizer.style = stylizer.style_names[0]
    pixels = noise(request)
    seconds = time_calls(lambda: stylizer(pixels), request["seconds"])
    return {"seconds": seconds, "provider": short_name(stylizer.providers[0])}


if __name__ == "__main__":
    serve(time_stylizer)
