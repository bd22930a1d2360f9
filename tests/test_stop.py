"""The request to stop in good order."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from fast_nst import stop as stop_module
from fast_nst.stop import StopRequest


def test_the_same_request_twice_is_not_impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """`timeout` signals a process and at once its group; the state was lost."""
    monkeypatch.setattr(stop_module, "LATER", 1000)
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.signal == signal.SIGTERM


def test_a_later_second_request_is_obeyed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stop_module, "LATER", 0.01)
    with StopRequest():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no SIGHUP here")
def test_a_closed_terminal_does_not_end_the_run_without_its_state() -> None:
    former = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run under nohup
    try:
        with StopRequest() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert stop.signal == signal.SIGHUP
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with StopRequest() as stop:  # under nohup
            os.kill(os.getpid(), signal.SIGHUP)
            assert stop.signal is None
    finally:
        signal.signal(signal.SIGHUP, former)


def test_it_does_nothing_outside_the_main_thread() -> None:
    caught: list[Exception] = []

    def run() -> None:
        try:
            with StopRequest():
                pass
        except ValueError as error:  # signals are the main thread's
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert not caught
