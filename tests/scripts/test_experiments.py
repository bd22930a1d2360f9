"""The report is rebuilt by one command, from next to nothing here."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import datasets
import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def write_parquet(path: Path, count: int) -> None:
    rng = np.random.default_rng(0)
    rows = []
    for index in range(count):
        buffer = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(buffer, "png")
        rows.append({"image": {"bytes": buffer.getvalue(), "path": None}, "label": index % 2})
    features = datasets.Features(
        {"image": datasets.Image(decode=False), "label": datasets.ClassLabel(names=["a", "b"])}
    )
    datasets.Dataset.from_list(rows, features=features).to_parquet(path)


def test_one_command_writes_the_report(tmp_path: Path) -> None:
    write_parquet(tmp_path / "few.parquet", 40)
    data = str(tmp_path / "few.parquet")
    command = [sys.executable, "scripts/experiments/build_report.py", "--scale", "0.01", "--size", "32"]
    command += ["--cifar10", data, "--cifar10-test", data, "--caltech101", data]
    command += ["--runs", str(tmp_path / "runs"), "--output", str(tmp_path / "docs")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr[-2000:]
    text = (tmp_path / "docs" / "report.md").read_text()
    for heading in ("Loss networks side by side", "Adam and L-BFGS", "learns", "one at a time"):
        assert heading in text
    pictures = {path.name for path in (tmp_path / "docs" / "pictures").iterdir()}
    assert all(f"pictures/{name}" in text for name in pictures)
    assert len(pictures) == 5


def test_what_is_there_is_kept_and_other_settings_are_computed_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts" / "experiments"))
    from build_report import cached

    judges: list[str] = []

    def compute(judge: str) -> tuple[dict[str, str], dict[str, np.ndarray]]:
        judges.append(judge)
        return {"judge": judge}, {}

    for judge in ("one", "one", "another"):
        assert cached(tmp_path, "networks", {"judge": judge}, compute) == ({"judge": judge}, {})
    assert judges == ["one", "another"]
