"""The queue in front of the network: batches, its end, and who leaves it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from running_server import Running, assert_refused, encoded, noise, pixels_of


def batches(server: Running, model: str = "slow") -> tuple[float, float]:
    """Runs of the network and the pictures they had."""
    count, total = (server.metric(f"fast_nst_batch_size_{part}", model=model) for part in ("count", "sum"))
    return count, total


def test_equal_sizes_that_wait_together_run_together(start: Callable[..., Running], slow_model: Path) -> None:
    server = start("--model", slow_model, "--max-batch", 4)
    first, *same = (noise(20, 30, seed) for seed in range(5))
    other = noise(30, 20, 5)
    with ThreadPoolExecutor(6) as pool:
        alone = pool.submit(server.stylize, encoded(first))
        server.wait_for("fast_nst_in_flight", 1.0)
        server.wait_for("fast_nst_queue_depth", 0.0)
        waiting = [pool.submit(server.stylize, encoded(pixels)) for pixels in (*same, other)]
        for pixels, answer in zip((first, *same, other), (alone, *waiting), strict=True):
            assert np.array_equal(pixels_of(answer.result()), 255 - pixels)  # to each its own
    assert batches(server) == (3.0, 6.0)
    assert server.metric("fast_nst_batch_size_bucket", model="slow", le="1.0") == 2.0


def test_a_batch_takes_no_more_pixels_than_the_largest_picture(
    start: Callable[..., Running], slow_model: Path
) -> None:
    server = start("--model", slow_model, "--max-batch", 4, "--max-size", 40)
    data = encoded(noise(20, 40))
    with ThreadPoolExecutor(5) as pool:
        answers = [pool.submit(server.stylize, data)]
        server.wait_for("fast_nst_in_flight", 1.0)
        server.wait_for("fast_nst_queue_depth", 0.0)
        answers += [pool.submit(server.stylize, data) for _ in range(4)]
        assert [answer.result().status_code for answer in answers] == [200] * 5
    assert batches(server) == (3.0, 5.0)  # 1 and 2 and 2: two of them are 1600 pixels


def test_a_lone_request_does_not_wait_for_company(start: Callable[..., Running], tiny_model: Path) -> None:
    server = start("--model", tiny_model, "--max-wait", 60_000, "--timeout", 20)
    for _ in range(3):
        assert server.stylize(encoded(noise(9, 9))).status_code == 200
    assert batches(server, "negative") == (3.0, 3.0)


def test_a_batch_too_large_for_the_memory_runs_one_by_one(
    start: Callable[..., Running], tmp_path: Path
) -> None:
    server = start("--model", fails_on_batches(tmp_path / "single.onnx"), "--max-wait", 2000)
    pictures = [noise(400, 400, seed) for seed in range(4)]
    sent = [encoded(pixels) for pixels in pictures]
    with ThreadPoolExecutor(4) as pool:
        for pixels, answer in zip(pictures, pool.map(server.stylize, sent), strict=True):
            assert np.array_equal(pixels_of(answer), 255 - pixels)


def fails_on_batches(path: Path) -> Path:
    """A model of negatives that runs on one picture at a time."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Shape", ["image"], ["tail"], start=1),
        helper.make_node("Concat", ["one", "tail"], ["single"], axis=0),
        helper.make_node("Reshape", ["float", "single"], ["checked"]),
        helper.make_node("Sub", ["white", "checked"], ["negative"]),
        helper.make_node("Cast", ["negative"], ["stylized"], to=TensorProto.UINT8),
    ]
    shape = ["N", "H", "W", 3]
    constants = {"white": np.array(255, np.float32), "one": np.array([1], np.int64)}
    graph = helper.make_graph(
        nodes,
        "single",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info("stylized", TensorProto.UINT8, shape)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    return path


def test_a_full_queue_says_when_to_come_back(start: Callable[..., Running], slow_model: Path) -> None:
    server = start("--model", slow_model, "--queue", 2)
    data = encoded(noise(9, 9))
    with ThreadPoolExecutor(2) as pool:
        accepted: list[Future[httpx.Response]] = [pool.submit(server.stylize, data) for _ in range(2)]
        server.wait_for("fast_nst_in_flight", 2.0)
        refused = server.stylize(data)
        assert_refused(refused, 429, "busy", "try again in")
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert [answer.result().status_code for answer in accepted] == [200, 200]
    assert server.metric("fast_nst_rejected_total", reason="busy") == 1.0
    assert server.stylize(data).status_code == 200


def test_who_leaves_is_not_painted_for(start: Callable[..., Running], slow_model: Path) -> None:
    server = start("--model", slow_model, "--max-batch", 1)
    data = encoded(noise(9, 9))
    with ThreadPoolExecutor(1) as pool:
        stays = pool.submit(server.stylize, data)
        server.wait_for("fast_nst_in_flight", 1.0)
        server.wait_for("fast_nst_queue_depth", 0.0)
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{server.url}/v1/stylize", content=data, timeout=0.2)
        server.wait_for("fast_nst_in_flight", 1.0)
        assert stays.result().status_code == 200
    server.wait_for("fast_nst_in_flight", 0.0)
    assert batches(server) == (1.0, 1.0)
    assert server.metric("fast_nst_requests_total", status="499") == 1.0


def test_work_that_takes_too_long_is_given_up(start: Callable[..., Running], slow_model: Path) -> None:
    server = start("--model", slow_model, "--timeout", 0.1)
    assert_refused(server.stylize(encoded(noise(9, 9))), 504, "timed_out", "0.1 s")
    assert server.client.get("/readyz").status_code == 200
    server.wait_for("fast_nst_in_flight", 0.0)
