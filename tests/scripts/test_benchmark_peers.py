"""The peer of scripts/benchmark_peers.py paints our picture, and is measured beside it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fast_nst.benchmark.report import BenchmarkReport
from fast_nst.errors import UserError
from fast_nst.networks.transform import TransformConfig, TransformNetwork, save_transform

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "scripts/benchmark_peers.py", *arguments]
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": paths}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)


def test_the_same_network_in_four_ways_and_another_beside(tiny_model: Path, tmp_path: Path) -> None:
    arguments = ["--width", "4", "--sizes", "32x24", "--threads", "1", "--rounds", "1", "--seconds", "0.02"]
    done = run(*arguments, "--output", str(tmp_path), str(tiny_model))
    assert done.returncode == 0, done.stderr
    report = BenchmarkReport.from_json((tmp_path / "benchmark.json").read_text())
    assert report.to_markdown() + "\n" == done.stdout
    assert [cell.name for cell in report.cells] == [
        *("fast_nst", "peer", "peer, free size", "peer, network alone", "negative")
    ]
    assert not report.skipped


@pytest.mark.parametrize(
    ("config", "arguments", "words"),
    [
        (None, ["--sizes", "16x4", "--width", "4"], "--sizes: the peer takes no side below 8"),
        (TransformConfig(4, 1, "fast"), ["--sizes", "32"], "is a fast one"),
        (TransformConfig(4, 1, antialias=True), ["--sizes", "32"], "is an antialiased one"),
    ],
)
def test_what_the_peer_cannot_do_is_one_line(
    config: TransformConfig | None,
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A fast network ended in a traceback, an antialiased one in 'the peer paints another picture'."""
    if config is not None:
        save_transform(TransformNetwork(config), tmp_path / "model.safetensors", {})
        arguments = [*arguments, "--weights", str(tmp_path / "model.safetensors")]
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import benchmark_peers

    monkeypatch.setattr(sys, "argv", ["benchmark_peers", *arguments])
    with pytest.raises(UserError, match=words):
        benchmark_peers.main()


def test_a_size_the_peer_cannot_keep_is_one_line() -> None:
    done = run("--sizes", "30")
    assert done.returncode == 2
    assert done.stderr.startswith("benchmark_peers: --sizes")
    assert len(done.stderr.strip().splitlines()) == 1
