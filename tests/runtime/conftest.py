"""Fixtures for what serves over HTTP."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

Demo = tuple[str, "subprocess.Popen[str]"]


@pytest.fixture(scope="session")
def start_demo() -> Callable[..., AbstractContextManager[Demo]]:
    """`fast-nst demo ARGUMENTS` on a free port: its address and process. It must end well and say no more
    on stderr than `says`, one of those where there are several."""
    for package in ("fastapi", "uvicorn", "websockets"):
        pytest.importorskip(package, reason="the demo's extra is not installed")

    @contextmanager
    def demo(*arguments: str, says: str | tuple[str, ...] = "", code: str = "") -> Iterator[Demo]:
        command = [sys.executable, *(["-c", code] if code else ["-m", "fast_nst.cli"])]
        command += ["demo", "--port", "0", "--no-open", "--threads", "1"]
        process = subprocess.Popen(
            [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            address = process.stdout.readline().strip()
            assert address.startswith("http://127.0.0.1:"), process.stderr.read()
            yield address, process
        finally:
            process.terminate()
            said = process.communicate(timeout=60)[1]
        assert process.returncode == 0, said
        assert said in (says if isinstance(says, tuple) else (says,))  # no traceback, whatever a test did

    return demo
