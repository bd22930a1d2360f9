"""Ray, up while it is needed: quiet, stopped in good order, and down again."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import FrameType

import ray
import ray.data

from fast_nst.errors import Interrupted, UserError, one_line
from fast_nst.machine.limits import usable_cores

_OBJECT_STORE = 128 * 2**20  # bytes; names and reasons travel through it, never pictures


@contextmanager
def ray_session(address: str | None) -> Iterator[None]:
    """Ray up, and down again if this started it; SIGINT and SIGTERM become Interrupted."""
    if ray.is_initialized():
        with _interruptible():
            yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # else Ray Data is scolded by Ray for its ways
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    here = {"num_cpus": usable_cores(), "object_store_memory": _OBJECT_STORE, "include_dashboard": False}
    # Ray tells of workers that died on stdout, where our results go.
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        try:
            with _without_stderr():
                ray.init(address or "local", **quiet, **({} if address else here))
        except Exception as error:  # of many kinds
            where = f"cannot reach Ray at {address}" if address else "cannot start Ray"
            raise UserError(f"{where}: {one_line(error)}") from error
        for handler in logging.getLogger("ray.data").handlers:
            if type(handler).__name__ == "PlainRayHandler":
                handler.setLevel(logging.CRITICAL + 1)  # its file has all of it
        try:
            with _interruptible():
                yield
        finally:
            ray.shutdown()


@contextmanager
def _without_stderr() -> Iterator[None]:
    """Ray's C++ part says there how it logs, whatever the level."""
    kept = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Instead of KeyboardInterrupt, and of Ray's exit on SIGTERM."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise Interrupted(number, "interrupted; the same command does what is missing")

    former = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
