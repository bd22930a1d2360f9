"""Servers for the tests, and a gate that holds their network to see what waits for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

pytest.importorskip("httpx", reason="part of the test install")

from gate import Gate
from running_server import Running, running


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Starts servers that end with the test."""
    with ExitStack() as stack:

        def begin(*arguments: object, code: str = "") -> Running:
            log = tmp_path / f"{len(list(tmp_path.iterdir()))}.log"
            return stack.enter_context(running(log, *arguments, code=code))

        yield begin


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Iterator[Running]:
    """One server for a file of tests: the shipped style and one of negatives, which is the default."""
    log = tmp_path_factory.mktemp("server") / "log"
    limits = ("--max-bytes", 200_000, "--max-pixels", 1_000_000, "--max-size", 500)
    with running(log, "--model", f"{tiny_model}, strokes", *limits) as found:
        yield found


@pytest.fixture
def gate(tmp_path_factory: pytest.TempPathFactory) -> Gate:
    """Holds the network of servers started with its code."""
    return Gate(tmp_path_factory.mktemp("gate") / "gate")
