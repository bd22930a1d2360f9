"""What bounds the memory of a process: places in the queue and bytes of bodies held."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Full(Exception):
    """There is no room for this much more."""


class Room:
    """So many of something (places, bytes), which requests hold for a while."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0

    def check(self, amount: int = 1) -> None:
        """Raises Full if there is no room for this much more."""
        if self.held + amount > self.limit:
            raise Full

    @contextmanager
    def hold(self, amount: int = 1) -> Iterator[None]:
        """Raises Full at once rather than wait."""
        with self.growing() as take:
            take(amount)
            yield

    @contextmanager
    def growing(self) -> Iterator[Callable[[int], None]]:
        """A function that holds so many more, until the end of the context; it raises Full."""
        mine = 0

        def take(amount: int) -> None:
            nonlocal mine
            self.check(amount)
            self.held += amount
            mine += amount

        try:
            yield take
        finally:
            self.held -= mine
