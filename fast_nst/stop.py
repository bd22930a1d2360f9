"""Stopping in good order: SIGINT and SIGTERM are noted, and obeyed at the next good moment."""

from __future__ import annotations

import logging
import signal
import threading
import time
from types import FrameType
from typing import Any

logger = logging.getLogger("fast_nst")

LATER = 2  # seconds after which a second signal means impatience


class StopRequest:
    """Notes SIGINT and SIGTERM while a run goes on; one that comes `LATER` is obeyed at once.

    ``promise`` is said when the signal comes. Outside the main thread, where signals cannot be
    caught, it does nothing.
    """

    def __init__(self, promise: str = "stopping after this step; the state will be saved") -> None:
        self.signal: int | None = None
        self._promise = promise
        self._first = 0.0
        self._former: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
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
        logger.warning(self._promise)
