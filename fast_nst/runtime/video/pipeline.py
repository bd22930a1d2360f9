"""Two ends of a pipeline on threads of their own, with bounded queues to the middle."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from queue import Queue
from typing import Any, TypeVar

Item = TypeVar("Item")

_END = object()


@contextmanager
def ahead(items: Iterable[Item], room: int) -> Iterator[Iterator[Item]]:
    """The same items, made on a thread while earlier ones are worked on; at most `room` wait.

    An error of `items` is raised where the items are taken. Leaving the block stops the thread.
    """
    queue: Queue[tuple[Any, BaseException | None]] = Queue(room)
    stopped = threading.Event()

    def make() -> None:
        error = None
        try:
            for item in items:
                queue.put((item, None))
                if stopped.is_set():
                    break
        except BaseException as raised:
            error = raised
        queue.put((_END, error))

    def take() -> Iterator[Item]:
        while True:
            item, error = queue.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item

    thread = threading.Thread(target=make, daemon=True)
    thread.start()
    try:
        yield take()
    finally:
        stopped.set()
        while thread.is_alive():  # it may be waiting for room
            with queue.mutex:
                queue.queue.clear()
                queue.not_full.notify_all()
            thread.join(0.01)


@contextmanager
def behind(work: Callable[[Item], None], room: int) -> Iterator[Callable[[Item], None]]:
    """A function that has `work` done on its argument later, on a thread; at most `room` wait.

    The arguments are worked on in order. An error of `work` is raised by the next call or at the
    end of the block; leaving the block waits for the rest, or drops it if the block raised.
    """
    queue: Queue[Any] = Queue(room)
    errors: list[BaseException] = []
    dropped = threading.Event()

    def run() -> None:
        while (item := queue.get()) is not _END:
            if errors or dropped.is_set():
                continue  # emptying the queue, so that nobody waits for room
            try:
                work(item)
            except BaseException as error:
                errors.append(error)

    def put(item: Item) -> None:
        if errors:
            raise errors[0]
        queue.put(item)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield put
    except BaseException:
        dropped.set()
        raise
    finally:
        queue.put(_END)
        thread.join()
    if errors:
        raise errors[0]
