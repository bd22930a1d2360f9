"""The queue in front of the network: its end, and who leaves it."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from gate import Gate, wait_until
from running_server import Running, assert_refused, encoded, noise, pixels_of

from fast_nst.shipped import list_models


@pytest.fixture
def held(start: Callable[..., Running], gate: Gate, tiny_model: Path) -> Running:
    return start("--model", tiny_model, "--queue", 6, code=gate.code)


def runs(server: Running) -> float:
    """Of the network."""
    return server.metric("fast_nst_network_seconds_count")


def occupy(server: Running, gate: Gate, pool: ThreadPoolExecutor, data: bytes) -> Future[httpx.Response]:
    """A request whose picture is in the network, which is held."""
    answer = pool.submit(server.stylize, data)
    wait_until(gate.reached)
    return answer


def test_pictures_that_wait_together_come_back_each_as_its_own(held: Running, gate: Gate) -> None:
    pictures = [noise(10, 15, seed) for seed in range(6)]
    with ThreadPoolExecutor(6) as pool:
        with gate.shut():
            answers = [pool.submit(held.stylize, encoded(pixels)) for pixels in pictures]
            held.wait_for("fast_nst_in_flight", 6.0)
        for pixels, answer in zip(pictures, answers, strict=True):
            assert np.array_equal(pixels_of(answer.result()), 255 - pixels)
    assert runs(held) == 6


def test_a_full_queue_says_when_to_come_back(held: Running, gate: Gate) -> None:
    data = encoded(noise(9, 9))
    with ThreadPoolExecutor(6) as pool:
        with gate.shut():
            accepted = [pool.submit(held.stylize, data) for _ in range(6)]
            held.wait_for("fast_nst_in_flight", 6.0)
            refused = held.stylize(data)
        assert_refused(refused, 429, "busy", "try again in")
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert [answer.result().status_code for answer in accepted] == [200] * 6
    assert held.metric("fast_nst_rejected_total", reason="busy") == 1.0
    held.wait_for("fast_nst_in_flight", 0.0)
    assert held.stylize(data).status_code == 200


def test_who_leaves_is_not_painted_for(held: Running, gate: Gate) -> None:
    """Whether its picture is decoded already or not."""
    with ThreadPoolExecutor(2) as pool:
        with gate.shut():
            stay = [occupy(held, gate, pool, encoded(noise(9, 9)))]
            leave = [http.client.HTTPConnection(held.host, held.port) for _ in range(4)]
            for connection in leave:
                connection.request("POST", "/v1/stylize", encoded(noise(8, 8)))
            held.wait_for("fast_nst_in_flight", 5.0)
            stay.append(pool.submit(held.stylize, encoded(noise(7, 7))))
            held.wait_for("fast_nst_in_flight", 6.0)
            for connection in leave:
                connection.close()
            held.wait_for("fast_nst_in_flight", 2.0)
        assert [answer.result().status_code for answer in stay] == [200, 200]
    assert runs(held) == 2
    assert held.metric("fast_nst_requests_total", status="499") == 4.0


@pytest.mark.skipif(not Path("/proc").exists(), reason="the process's memory is read from /proc")
def test_only_the_last_model_keeps_memory_for_large_pictures(
    start: Callable[..., Running], tmp_path: Path
) -> None:
    data = list_models()["strokes"].read_bytes()
    for name in ("one", "two"):
        (tmp_path / f"{name}.onnx").write_bytes(data)
    server = start("--model", f"{tmp_path}/one.onnx,{tmp_path}/two.onnx")
    large, small = encoded(noise(1040, 1040), "JPEG"), encoded(noise(30, 30))
    for _ in range(2):  # the memory of a size is kept from its second picture on
        assert server.stylize(large, model="one").status_code == 200
    kept = server.metric("process_resident_memory_bytes")
    assert server.stylize(small, model="two").status_code == 200
    assert server.metric("process_resident_memory_bytes") < kept - 80e6


def test_work_that_takes_too_long_is_given_up(
    start: Callable[..., Running], gate: Gate, tiny_model: Path
) -> None:
    server = start("--model", tiny_model, "--timeout", 0.1, code=gate.code)
    with gate.shut():
        assert_refused(server.stylize(encoded(noise(9, 9))), 504, "timed_out", "0.1 s")
        assert server.client.get("/readyz").status_code == 200
        server.wait_for("fast_nst_in_flight", 0.0)
