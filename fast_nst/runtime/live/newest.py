"""The newest of things that come by themselves: older ones are let go."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Newest(Generic[Item]):
    """Takes items on a thread of its own as they come, and keeps the last one.

    As a context manager it reads from the beginning of the block to its end.
    """

    def __init__(self, items: Iterator[Item]) -> None:
        self._items = items
        self._change = threading.Condition()
        self._item: Item | None = None
        self._error: BaseException | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Newest[Item]:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        self._thread.join(1)  # no longer: a camera that gives nothing may hold it for good

    def take(self, seconds: float) -> Item | None:
        """One that was not taken yet, the newest; None if none comes for that long.

        Raises what the items raise.
        """
        with self._change:
            self._change.wait_for(lambda: self._item is not None or self._error is not None, seconds)
            item, self._item = self._item, None
            if item is None and self._error is not None:
                raise self._error
            return item

    def _read(self) -> None:
        error: BaseException | None = None
        try:
            for item in self._items:
                self._set(item, None)
                if self._stopped:
                    return
        except BaseException as raised:
            error = raised
        self._set(None, error)

    def _set(self, item: Item | None, error: BaseException | None) -> None:
        with self._change:
            self._item = self._item if item is None else item
            self._error = error
            self._change.notify_all()
