"""Requests made up from the page of the interface, right ones and wrong ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from running_server import Running


def test_the_service_does_as_its_page_says(server: Running, tmp_path: Path) -> None:
    """Never a 5xx nor a hang; what is wrong is refused, every answer is as documented."""
    pytest.importorskip("schemathesis")
    run = [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()", "run"]
    bounds = [
        "--max-examples",
        "15",
        "--phases",
        "examples,coverage,fuzzing",
        "--continue-on-failure",
        "--seed",
        "1",
    ]
    # Right by the page, random bytes are still no picture.
    bounds += ["--exclude-checks", "positive_data_acceptance"]
    done = subprocess.run(
        [*run, f"{server.url}/openapi.json", *bounds, "--request-timeout", "30"],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout
    assert server.metric("fast_nst_requests_total", route="/v1/stylize", status="200") > 0
    assert server.metric("fast_nst_requests_total", route="/v1/stylize", status="422") > 0
