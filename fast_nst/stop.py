"""Stopping in good order: SIGINT, SIGTERM and SIGHUP are noted, and obeyed at the next good moment."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, ClassVar

from fast_nst.errors import Interrupted

logger = logging.getLogger("fast_nst")

LATER = 2  # seconds after which a second signal means impatience
PATIENCE = 5  # seconds that a wait for others goes on after the request


class StopRequest:
    """Notes SIGINT, SIGTERM and SIGHUP while a run goes on; one that comes `LATER` is obeyed at once.

    ``promise`` is said when the signal comes. Outside the main thread, where signals cannot be
    caught, it does nothing. A SIGHUP that is ignored, as `nohup` asks, stays ignored.
    """

    active: ClassVar[StopRequest | None] = None

    def __init__(self, promise: str = "stopping after this step; the state will be saved") -> None:
        self.signal: int | None = None
        self._promise = promise
        self._first = 0.0
        self._waits = False
        self._former: dict[int, Any] = {}
        self._terminals: list[int] = []

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            self._terminals = [output for output in (1, 2) if os.isatty(output)]
            hangup = getattr(signal, "SIGHUP", None)  # not on Windows
            if hangup is not None and signal.getsignal(hangup) == signal.SIG_IGN:
                hangup = None
            for number in filter(None, (signal.SIGINT, signal.SIGTERM, hangup)):
                self._former[number] = signal.signal(number, self._note)
            StopRequest.active = self
        return self

    def __exit__(self, *_: object) -> None:
        StopRequest.active = None
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            if time.monotonic() - self._first > LATER:
                raise KeyboardInterrupt
            return  # the same request: `timeout` signals a process and then its group
        self.signal, self._first = number, time.monotonic()
        for output in self._terminals:
            if not os.isatty(output):  # it was closed: writing to it would fail, and end the run
                os.dup2(os.open(os.devnull, os.O_WRONLY), output)
        logger.warning(self._promise)
        if self._waits:
            self._lose_patience()

    def _lose_patience(self) -> None:
        if hasattr(signal, "setitimer"):  # not on Windows
            signal.signal(signal.SIGALRM, self._break_off)
            signal.setitimer(signal.ITIMER_REAL, PATIENCE)

    def _break_off(self, number: int, frame: FrameType | None) -> None:
        if self._waits:
            assert self.signal is not None
            raise Interrupted(
                self.signal, "stopped while nothing came: go on from the last state saved with --resume"
            )


@contextmanager
def waiting() -> Iterator[None]:
    """While this process waits for others: a request to stop breaks that off, `PATIENCE` seconds later.

    Raises:
        Interrupted: it did.
    """
    request = StopRequest.active
    if request is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    request._waits = True
    if request.signal is not None:
        request._lose_patience()
    try:
        yield
    finally:
        request._waits = False
        if request.signal is not None and hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)


@contextmanager
def tidying() -> Iterator[None]:
    """What is undone on the way out of the block is undone on SIGTERM and SIGHUP too, as it is on Ctrl-C.

    For work of which nothing is worth saving; a `StopRequest` inside goes before it. Raises `Interrupted`.
    """
    came: list[int] = []

    def leave(number: int, frame: FrameType | None) -> None:
        came.append(number)
        for ours in former:  # `timeout` signals a process and then its group: no disturbing the tidying
            signal.signal(ours, signal.SIG_IGN)
        raise KeyboardInterrupt  # which nobody takes for a failure of what runs

    former: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in filter(None, (signal.SIGTERM, getattr(signal, "SIGHUP", None))):
            if signal.getsignal(number) != signal.SIG_IGN:  # as nohup asks
                former[number] = signal.signal(number, leave)
    try:
        yield
    except KeyboardInterrupt:
        if not came:
            raise
        raise Interrupted(came[0], "interrupted") from None
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
