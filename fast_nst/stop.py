"""Stopping in good order: SIGINT, SIGTERM and SIGHUP are noted, and obeyed at the next good moment."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from types import FrameType
from typing import Any

logger = logging.getLogger("fast_nst")

LATER = 2  # seconds after which a second signal means impatience


class StopRequest:
    """Notes SIGINT, SIGTERM and SIGHUP while a run goes on; one that comes `LATER` is obeyed at once.

    ``promise`` is said when the signal comes. Outside the main thread, where signals cannot be
    caught, it does nothing. A SIGHUP that is ignored, as `nohup` asks, stays ignored.
    """

    def __init__(self, promise: str = "stopping after this step; the state will be saved") -> None:
        self.signal: int | None = None
        self._promise = promise
        self._first = 0.0
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
        return self

    def __exit__(self, *_: object) -> None:
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
