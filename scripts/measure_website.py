"""Frames per second of the page that `fast-nst demo --static` writes, in Chromium without WebGPU.

    python scripts/measure_website.py DIR
    python scripts/measure_website.py DIR --sizes 256,384 --threads 1,2 --seconds 10 --rounds 3

The camera is Chromium's own, 1280x720 at 30 frames a second. Counted are the frames that the page shows, so
camera, canvas and network together. Numbers of threads take turns; the table holds the medians.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import sync_playwright

from fast_nst.machine.description import cpu_name
from fast_nst.machine.limits import usable_cores

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--use-fake-ui-for-media-stream"),
    "--use-fake-device-for-media-stream=fps=30",
)
COUNT = """async (seconds) => {
    let frames = 0;
    const observer = new MutationObserver(() => frames++);  // the corner tells of each
    observer.observe(document.getElementById("stats"), { childList: true });
    const started = performance.now();
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    return frames / (performance.now() - started) * 1000;
}"""


def main() -> int:
    """Measure, print the table; the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="what fast-nst demo --static wrote")
    parser.add_argument("--sizes", default="256,384", help="live sizes, as the page offers them")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    sizes, threads = options.sizes.split(","), options.threads.split(",")
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    rates: dict[tuple[str, str], list[float]] = {(size, count): [] for size in sizes for count in threads}
    with hosted(options.folder) as address, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=FLAGS)
        print(f"Chromium {browser.version}; {cpu_name()}, {usable_cores()} cores")
        for _ in range(options.rounds):
            for count in threads:
                for size, rate in measure(browser, address, count, sizes, options.seconds):
                    rates[size, count].append(rate)
        browser.close()
    print("| live size | " + " | ".join(f"threads: {count}" for count in threads) + " |")
    print("|---" * (1 + len(threads)) + "|")
    for size in sizes:
        cells = (f"{median(rates[size, count]):.1f} fps" for count in threads)
        print(f"| {size} px | " + " | ".join(cells) + " |")
    return 0


def measure(
    browser: Any, address: str, threads: str, sizes: list[str], seconds: float
) -> Iterator[tuple[str, float]]:
    """Live size and its frames per second, in a fresh profile."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.add_init_script(
        f"Object.defineProperty(Navigator.prototype, 'hardwareConcurrency', {{ get: () => {threads} }})"
    )
    page = context.new_page()
    page.goto(address)
    runs_on = "one thread" if threads == "1" else f"{threads} threads"
    page.get_by_text(f"on {runs_on} (WebAssembly)").wait_for()
    page.get_by_role("tab", name="Webcam").click()
    page.get_by_role("button", name="Start the camera").click()
    for size in sizes:
        page.get_by_label("Live size").select_option(size)
        page.wait_for_selector("#frame:not(.unpainted)")
        page.wait_for_timeout(2000)
        yield size, page.evaluate(COUNT, seconds)
    context.close()


@contextmanager
def hosted(folder: Path) -> Iterator[str]:
    """The folder on a free port of this machine."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


if __name__ == "__main__":
    sys.exit(main())
