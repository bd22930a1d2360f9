"""Work ahead and behind on threads: order, bounds, errors, and an end in every case."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from gate import wait_until

from fast_nst.runtime.video.pipeline import ahead, behind


def test_items_come_in_order_and_never_more_than_room_ahead() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(20):
            made.append(number)
            yield number

    with ahead(items(), 3) as taken:
        for number in taken:
            wait_until(lambda number=number: len(made) >= min(20, number + 1 + 3))
            assert len(made) <= number + 1 + 3 + 1  # taken, waiting, and the one that wants to wait
    assert made == list(range(20))


def test_an_error_of_the_source_comes_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    seen = []
    with pytest.raises(ValueError, match="broken"), ahead(items(), 3) as taken:  # noqa: PT012
        for number in taken:
            seen.append(number)
    assert seen == [1]


def test_leaving_early_stops_a_source_that_waits_for_room() -> None:
    def endless() -> Iterator[int]:
        while True:
            yield 0

    before = threading.active_count()
    with ahead(endless(), 2) as taken:
        assert next(taken) == 0
    assert threading.active_count() == before


def test_what_is_put_is_worked_on_in_order_before_the_block_ends() -> None:
    done: list[int] = []

    def work(number: int) -> None:
        time.sleep(0.002)
        done.append(number)

    with behind(work, 2) as put:
        for number in range(20):
            put(number)
            assert len(done) >= number - 3
    assert done == list(range(20))


def test_an_error_of_the_work_stops_the_block_and_the_rest() -> None:
    done: list[int] = []

    def work(number: int) -> None:
        if number == 3:
            raise ValueError("full")
        done.append(number)

    with pytest.raises(ValueError, match="full"), behind(work, 2) as put:  # noqa: PT012
        for number in range(1000):
            put(number)
    assert done == [0, 1, 2]
    with pytest.raises(ValueError, match="full"), behind(work, 2) as put:
        put(3)  # found at the end of the block


def test_a_block_that_raises_drops_the_rest() -> None:
    done: list[int] = []

    def work(number: int) -> None:
        time.sleep(0.05)
        done.append(number)

    with pytest.raises(KeyboardInterrupt), behind(work, 1000) as put:  # noqa: PT012
        for number in range(1000):
            put(number)
        raise KeyboardInterrupt
    assert len(done) < 1000
