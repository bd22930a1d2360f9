"""A real server process as a client meets it."""

from __future__ import annotations

import io
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image


class Running:
    """A server process and a client for it."""

    def __init__(self, process: subprocess.Popen[str], url: str, log: Path) -> None:
        self.process, self.url, self._log = process, url, log
        self.host, self.port = url.removeprefix("http://").rsplit(":", 1)[0], int(url.rsplit(":", 1)[1])
        self.client = httpx.Client(base_url=url, timeout=60)

    def stylize(self, data: bytes, **parameters: Any) -> httpx.Response:
        """A picture as the body."""
        return self.client.post("/v1/stylize", content=data, params=parameters)

    def metric(self, name: str, **labels: str) -> float:
        """A number of /metrics, summed over the series that have these labels."""
        total = 0.0
        for series, value in re.findall(
            rf"^{name}(\{{.*\}})? (\S+)$", self.client.get("/metrics").text, re.M
        ):
            if all(f'{key}="{text}"' in series for key, text in labels.items()):
                total += float(value)
        return total

    def wait_for(self, name: str, value: float) -> None:
        """Until a metric has this value."""
        for _ in range(1000):
            if self.metric(name) == value:
                return
            time.sleep(0.02)
        raise AssertionError(f"{name} is {self.metric(name)}, not {value}")

    def log(self) -> list[dict[str, Any]]:
        """The lines on stderr."""
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    def last_line(self) -> str:
        """What it said last on stderr, JSON or not."""
        return self._log.read_text().splitlines()[-1]

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


@contextmanager
def running(log: Path, *arguments: object, code: str = "") -> Iterator[Running]:
    """`fast-nst serve` on a free port, with one thread."""
    start = [sys.executable, *(["-c", code] if code else ["-m", "fast_nst.cli"])]
    command = [*start, "serve", "--port", "0", "--threads", "1", *map(str, arguments)]
    with log.open("w") as stderr:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True)
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        assert url, log.read_text()
        server = Running(process, url, log)
        with server.client:
            yield server
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    """uint8 [H, W, 3]."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def encoded(pixels: np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
    """A picture's file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def pixels_of(answer: httpx.Response) -> np.ndarray:
    """uint8 [H, W, 3] of an answer that is a picture."""
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)))


def assert_refused(answer: httpx.Response, status: int, code: str, named: str = "") -> None:
    """The one form of error."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message", "request_id"}
    assert body["error"]["code"] == code
    assert named in body["error"]["message"]
    assert "\n" not in body["error"]["message"]
