"""Some cases of scripts/fuzz_inputs.py: bad files of every kind end in one clear line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(sys.platform != "linux", reason="the script watches processes as Linux shows them")
def test_bad_files_end_in_one_clear_line_and_leave_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "scripts/fuzz_inputs.py", "--count", "60", "--keep", str(tmp_path / "wrong")]
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("60 cases of seed 0")
    assert not (tmp_path / "wrong").exists()
