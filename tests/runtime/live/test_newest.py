"""Of what comes while nobody looks, the last is kept."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from fast_nst.runtime.live.newest import Newest

LONG = 60  # seconds


def test_what_was_not_taken_is_let_go() -> None:
    asked, go = threading.Event(), threading.Event()

    def numbers() -> Iterator[int]:
        yield from range(10)
        asked.set()  # the tenth was kept before this one was asked for
        go.wait(LONG)
        yield 10

    with Newest(numbers()) as newest:
        assert asked.wait(LONG)
        assert newest.take(LONG) == 9
        assert newest.take(0) is None  # no number is taken twice
        go.set()
        assert newest.take(LONG) == 10


def test_what_goes_wrong_is_raised_after_the_last_one() -> None:
    broken = threading.Event()

    def numbers() -> Iterator[int]:
        try:
            yield 1
            raise OSError("unplugged")
        finally:
            broken.set()

    with Newest(numbers()) as newest:
        assert broken.wait(LONG)
        assert newest.take(LONG) == 1
        with pytest.raises(OSError, match="unplugged"):
            newest.take(LONG)


def test_it_ends_with_its_block() -> None:
    def numbers() -> Iterator[int]:
        number = 0
        while True:
            yield (number := number + 1)

    with Newest(numbers()) as newest:
        assert newest.take(LONG)
    newest._thread.join(LONG)
    assert not newest._thread.is_alive()
