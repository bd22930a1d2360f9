#!/usr/bin/env python3
"""Load on a service: many requests at once, none may be lost and the server's memory must stay flat.

    python scripts/load_service.py                                  # starts `fast-nst serve` itself
    python scripts/load_service.py --serve "--model mine.onnx"      # with these arguments
    python scripts/load_service.py --url http://127.0.0.1:8000      # or loads one that runs

A 429 is obeyed: the request is sent again after Retry-After. Exit code 1 if a request got anything else
than its picture, or if memory moved by more than --tolerance from the third quarter to the last, by their
medians: at any moment it is up or down by the pictures at work.
"""

from __future__ import annotations

import argparse
import http.client
import io
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from statistics import median
from urllib.parse import urlsplit

import numpy as np
from PIL import Image
from tqdm import tqdm


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", help="a service that runs; default: start one")
    parser.add_argument("--serve", default="", help="arguments of the service that is started")
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument(
        "--sides", type=int, nargs="+", default=[64, 96, 128], help="pictures' sides in pixels"
    )
    parser.add_argument("--tolerance", type=float, default=0.05, help="of memory over the second half")
    options = parser.parse_args()
    with started(shlex.split(options.serve)) if options.url is None else given(options.url) as url:
        return load(url, options)


def load(url: str, options: argparse.Namespace) -> int:
    """Send everything, print the figures; the exit code."""
    bodies = [picture(side, kind) for side in options.sides for kind in ("JPEG", "PNG")]
    before = metrics(url)
    local = threading.local()
    memory: list[float] = []
    seconds: list[float] = []
    lost: list[str] = []
    again = 0

    def one(index: int) -> None:
        nonlocal again
        side, body = bodies[index % len(bodies)]
        if not hasattr(local, "connection"):
            local.connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=120)
        begun = time.perf_counter()
        try:
            while True:
                local.connection.request("POST", "/v1/stylize", body)
                answer = local.connection.getresponse()
                data = answer.read()
                if answer.status != 429:
                    break
                again += 1
                local.connection.close()  # the service would, after some idle seconds
                time.sleep(float(answer.headers["Retry-After"]))
            seconds.append(time.perf_counter() - begun)
            if answer.status != 200:
                lost.append(f"{answer.status} {data[:200]!r}")
            elif Image.open(io.BytesIO(data)).size != (side, side):
                lost.append("a picture of another size")
        except (OSError, http.client.HTTPException) as error:
            lost.append(repr(error))
            local.connection.close()

    begun = time.perf_counter()
    with ThreadPoolExecutor(options.concurrency) as pool, tqdm(total=options.requests, disable=None) as bar:
        for done, _ in enumerate(pool.map(one, range(options.requests)), 1):
            bar.update()
            if done >= options.requests // 2 and done % max(1, options.requests // 100) == 0:
                memory.append(metrics(url)["process_resident_memory_bytes"] / 2**20)
    took = time.perf_counter() - begun

    after = metrics(url)
    runs, seconds_of_runs = (
        after[f"fast_nst_network_seconds_{key}"] - before.get(f"fast_nst_network_seconds_{key}", 0.0)
        for key in ("count", "sum")
    )
    third, last = (median(half) for half in (memory[: len(memory) // 2], memory[len(memory) // 2 :]))
    moved, spread = abs(last - third) / third, (max(memory) - min(memory)) / min(memory)
    late = sorted(seconds)
    print(f"requests    {options.requests} at {options.concurrency} at once")
    print(f"lost        {len(lost)}; {again} times told to wait")
    print(f"time        {took:.1f} s, {options.requests / took:.1f} requests/s")
    print(
        f"latency     {late[len(late) // 2]:.3f} s in the middle, {late[int(0.99 * len(late))]:.3f} s at 99 %"
    )
    print(f"network     {runs:.0f} runs, {seconds_of_runs / runs:.3f} s each")
    print(f"memory      {third:.0f} MiB in the third quarter, {last:.0f} MiB in the last")
    print(f"            moved {100 * moved:.1f} % from one to the other")
    print(f"            {100 * spread:.1f} % between the least and the most of both")
    for reason in sorted(set(lost)):
        print(f"lost: {reason}")
    return int(bool(lost) or moved > options.tolerance)


def picture(side: int, kind: str) -> tuple[int, bytes]:
    """A side and the bytes of a smooth picture with it."""
    small = np.random.default_rng(side).integers(0, 256, (4, 4, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC).save(buffer, kind)
    return side, buffer.getvalue()


def metrics(url: str) -> dict[str, float]:
    """The service's numbers, summed over their labels."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=120) as answer:
        text = answer.read().decode()
    numbers: dict[str, float] = {}
    for name, value in re.findall(r"^(\w+)(?:\{.*\})? (\S+)$", text, re.MULTILINE):
        numbers[name] = numbers.get(name, 0.0) + float(value)
    return numbers


@contextmanager
def started(arguments: list[str]) -> Iterator[str]:
    """The address of a service of our own; its log is dropped."""
    command = [sys.executable, "-m", "fast_nst.cli", "serve", "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        if not url:
            sys.exit("the service did not start; try: " + shlex.join(command))
        try:
            yield url
        finally:
            process.send_signal(signal.SIGTERM)


@contextmanager
def given(url: str) -> Iterator[str]:
    """The address of one that runs."""
    yield url.rstrip("/")


if __name__ == "__main__":
    sys.exit(main())
