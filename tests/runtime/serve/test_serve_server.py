"""The process: how it starts, how it ends, what it lasts."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from gate import Gate, wait_until
from running_server import Running, encoded, noise

from fast_nst.cli import main

ROOT = Path(__file__).parents[3]


def test_sigterm_finishes_what_was_begun(start: Callable[..., Running], gate: Gate, tiny_model: Path) -> None:
    server = start("--model", tiny_model, code=gate.code)
    data = encoded(noise(9, 9))
    with ThreadPoolExecutor(6) as pool, gate.shut():
        accepted = [pool.submit(server.stylize, data) for _ in range(6)]
        server.wait_for("fast_nst_in_flight", 6.0)
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: is_closed(server))
        gate.open()
        assert [answer.result().status_code for answer in accepted] == [200] * 6
    assert server.process.wait(timeout=60) == 0


def test_a_second_signal_does_not_wait(start: Callable[..., Running], gate: Gate, tiny_model: Path) -> None:
    server = start("--model", tiny_model, code=gate.code)
    with ThreadPoolExecutor(8) as pool:
        with gate.shut():
            lost = [pool.submit(server.stylize, encoded(noise(9, 9))) for _ in range(8)]
            server.wait_for("fast_nst_in_flight", 8.0)
            server.process.send_signal(signal.SIGTERM)
            wait_until(lambda: is_closed(server))
            server.process.send_signal(signal.SIGINT)
            for answer in lost:  # though the network is held
                assert answer.exception(timeout=60) is not None or answer.result().status_code == 500
        assert server.process.wait(timeout=60) == 128 + signal.SIGINT


def is_closed(server: Running) -> bool:
    """Whether it takes no new connections."""
    try:
        socket.create_connection((server.host, server.port), timeout=20).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--model", "nowhere"], "nowhere"),
        (["--model", "{text}"], "does not load"),
        (["--model", "strokes,strokes"], "both be called strokes"),
        (["--port", "{taken}"], "cannot listen on 127.0.0.1"),
        (["--host", "no.such.host.invalid"], "no.such.host.invalid"),
        (["--port", "70000"], "--port"),
        (["--queue", "0"], "--queue"),
        (["--timeout", "0"], "--timeout"),
        (["--providers", "abacus"], "abacus"),
    ],
)
def test_a_mistake_at_the_start_is_one_line(
    arguments: list[str], named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.onnx").write_text("no model")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        given = [argument.format(text=tmp_path / "text.onnx", taken=port) for argument in arguments]
        assert main(["serve", *(given if "--port" in given else ["--port", "0", *given])]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.strip().splitlines()
    assert named in line


@pytest.mark.parametrize("package", ["fastapi", "python_multipart"])
def test_without_the_extra_the_install_is_named(package: str) -> None:
    hidden = f"import sys; sys.modules[{package!r}] = None; from fast_nst.cli import main"
    code = f"{hidden}; sys.exit(main(['serve', '--port', '0']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"fast-nst: serve needs {package}")
    assert line.endswith(": pip install 'fast-nst[serve]'")


def test_a_run_is_called_as_its_folder(
    start: Callable[..., Running], tiny_model: Path, tmp_path: Path
) -> None:
    run = tmp_path / "runs" / "candy"
    run.mkdir(parents=True)
    (run / "model.onnx").write_bytes(tiny_model.read_bytes())
    server = start("--model", run)
    assert [model["name"] for model in server.client.get("/v1/models").json()["models"]] == ["candy"]
    assert server.stylize(encoded(noise(5, 5)), model="candy").status_code == 200
    assert server.stop() == 0  # at once, though our connection is open


def test_web_pages_of_an_origin_that_is_let_in(start: Callable[..., Running], tiny_model: Path) -> None:
    server = start("--model", tiny_model, "--cors-origin", "https://example.org, https://example.com")
    ours = {"Origin": "https://example.com"}
    refused = server.client.post("/v1/stylize", headers=ours)
    assert refused.status_code == 422
    assert refused.headers["access-control-allow-origin"] == "https://example.com"
    asked = {
        **ours,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    answer = server.client.request("OPTIONS", "/v1/stylize", headers=asked)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://example.com"
    other = server.client.request(
        "OPTIONS", "/v1/stylize", headers={**asked, "Origin": "https://example.net"}
    )
    assert "access-control-allow-origin" not in other.headers


@pytest.mark.skipif(not Path("/proc").exists(), reason="the process's memory is read from /proc")
def test_a_load_loses_nothing_and_memory_stays_flat(tiny_model: Path) -> None:
    command = [
        sys.executable,
        ROOT / "scripts/load_service.py",
        "--serve",
        f"--model {tiny_model} --threads 1",
    ]
    sizes = ("--requests", "300", "--concurrency", "16", "--sides", "24", "40")
    done = subprocess.run(
        [*command, *sizes],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "lost        0;" in done.stdout
