"""What bounds the memory of a process: places in the queue and bytes of bodies held."""

from __future__ import annotations

from collections.abc import Iterator
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
        self.check(amount)
        self.held += amount
        try:
            yield
        finally:
            self.held -= amount
