"""The queue in front of the network: batches, its end, and who leaves it."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from running_server import Running, assert_refused, encoded, noise, pixels_of, running

from fast_nst import Stylizer
from fast_nst.runtime.serve.batching import Batcher
from fast_nst.shipped import list_models


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory, slow_model: Path) -> Iterator[Running]:
    log = tmp_path_factory.mktemp("slow") / "log"
    with running(log, "--model", slow_model, "--max-batch", 4, "--max-size", 40, "--queue", 6) as found:
        yield found


def batches(server: Running, model: str = "slow") -> np.ndarray:
    """Runs of the network, the pictures they had, and the runs of one picture."""
    name = "fast_nst_batch_size"
    alone = server.metric(f"{name}_bucket", model=model, le="1.0")
    return np.array([*(server.metric(f"{name}_{part}", model=model) for part in ("count", "sum")), alone])


def occupy(server: Running, pool: ThreadPoolExecutor, data: bytes) -> Future[httpx.Response]:
    """A request whose picture is in the network now."""
    answer = pool.submit(server.stylize, data)
    server.wait_for("fast_nst_in_flight", 1.0)
    server.wait_for("fast_nst_queue_depth", 0.0)
    return answer


def test_equal_sizes_that_wait_together_run_together(slow: Running) -> None:
    before = batches(slow)
    first, *same = (noise(10, 15, seed) for seed in range(5))
    other = noise(15, 10, 5)
    with ThreadPoolExecutor(6) as pool:
        answers = [occupy(slow, pool, encoded(first))]
        answers += [pool.submit(slow.stylize, encoded(pixels)) for pixels in (*same, other)]
        for pixels, answer in zip((first, *same, other), answers, strict=True):
            assert np.array_equal(pixels_of(answer.result()), 255 - pixels)  # to each its own
    assert (batches(slow) - before).tolist() == [3, 6, 2]


def test_a_batch_takes_no_more_pixels_than_the_largest_picture(slow: Running) -> None:
    before = batches(slow)
    data = encoded(noise(20, 40))
    with ThreadPoolExecutor(5) as pool:
        answers = [occupy(slow, pool, data), *(pool.submit(slow.stylize, data) for _ in range(4))]
        assert [answer.result().status_code for answer in answers] == [200] * 5
    assert (batches(slow) - before).tolist() == [3, 5, 1]  # two of them are 40 x 40 pixels


def test_a_full_queue_says_when_to_come_back(slow: Running) -> None:
    data = encoded(noise(9, 9))
    with ThreadPoolExecutor(6) as pool:
        accepted = [pool.submit(slow.stylize, data) for _ in range(6)]
        slow.wait_for("fast_nst_in_flight", 6.0)
        refused = slow.stylize(data)
        assert_refused(refused, 429, "busy", "try again in")
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert [answer.result().status_code for answer in accepted] == [200] * 6
    assert slow.metric("fast_nst_rejected_total", reason="busy") == 1.0
    assert slow.stylize(data).status_code == 200


def test_who_leaves_is_not_painted_for(slow: Running) -> None:
    before = batches(slow)
    with ThreadPoolExecutor(2) as pool:
        stay = [occupy(slow, pool, encoded(noise(9, 9))), pool.submit(slow.stylize, encoded(noise(7, 7)))]
        slow.wait_for("fast_nst_in_flight", 2.0)
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{slow.url}/v1/stylize", content=encoded(noise(8, 8)), timeout=0.05)
        assert [answer.result().status_code for answer in stay] == [200, 200]
    slow.wait_for("fast_nst_in_flight", 0.0)
    assert (batches(slow) - before).tolist() == [2, 2, 2]
    assert slow.metric("fast_nst_requests_total", status="499") == 1.0


def test_a_lone_request_does_not_wait_for_company(start: Callable[..., Running], tiny_model: Path) -> None:
    server = start("--model", tiny_model, "--max-wait", 60_000, "--timeout", 20)
    for _ in range(3):
        assert server.stylize(encoded(noise(9, 9))).status_code == 200
    assert batches(server, "negative").tolist() == [3, 3, 3]


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


def test_who_leaves_while_the_network_is_busy_leaves_no_pixels(tiny_model: Path) -> None:
    """Else clients that come and go during one long run fill the memory, whatever the queue's limit."""

    async def come_and_go() -> None:
        models = {"negative": Stylizer(tiny_model, threads=1)}
        batcher = Batcher(models, max_batch=1, max_wait=0, max_pixels=100, observe=lambda *_: None)
        pixels = noise(9, 9)
        left = weakref.ref(pixels)
        batcher.submit("negative", pixels, np.ones((1, 1), np.float32)).cancel()
        del pixels
        await asyncio.sleep(0)
        assert batcher.depth == 0
        assert left() is None

    asyncio.run(come_and_go())


@pytest.mark.skipif(not Path("/proc").exists(), reason="the process's memory is read from /proc")
def test_only_the_last_model_keeps_memory_for_large_pictures(
    start: Callable[..., Running], tmp_path: Path
) -> None:
    data = list_models()["strokes"].read_bytes()
    for name in ("one", "two"):
        (tmp_path / f"{name}.onnx").write_bytes(data)
    server = start("--model", f"{tmp_path}/one.onnx,{tmp_path}/two.onnx")
    large, small = encoded(noise(520, 520), "JPEG"), encoded(noise(30, 30))
    for _ in range(2):  # the memory of a size is kept from its second picture on
        assert server.stylize(large, model="one").status_code == 200
    kept = server.metric("process_resident_memory_bytes")
    assert server.stylize(small, model="two").status_code == 200
    assert server.metric("process_resident_memory_bytes") < kept - 80e6


def test_work_that_takes_too_long_is_given_up(start: Callable[..., Running], slow_model: Path) -> None:
    server = start("--model", slow_model, "--timeout", 0.1)
    assert_refused(server.stylize(encoded(noise(9, 9))), 504, "timed_out", "0.1 s")
    assert server.client.get("/readyz").status_code == 200
    server.wait_for("fast_nst_in_flight", 0.0)
