"""How many CPUs are ours, and who keeps to them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from control_groups import cpu_v1, cpu_v2, system

from fast_nst.machine.limits import usable_cores


@pytest.fixture
def sixteen_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 16)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.usefixtures("sixteen_cores")
def test_the_smallest_quota_up_to_the_root_counts(tmp_path: Path, version: int) -> None:
    root = system(tmp_path, version, "/kube/pod/c")
    mount = root / ("sys/fs/cgroup" if version == 2 else "sys/fs/cgroup/cpu,cpuacct")
    quota = {1: cpu_v1, 2: cpu_v2}[version]
    quota(mount / "kube/pod/c", "max 100000")
    assert usable_cores(root) == 16
    quota(mount / "kube/pod", "250000 100000")
    assert usable_cores(root) == 3
    quota(mount / "kube", "10000 100000")
    assert usable_cores(root) == 1


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity masks here")
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core only")
@pytest.mark.parametrize("core", [0, -1])
def test_no_thread_of_a_session_leaves_the_mask_of_the_process(tiny_model: Path, core: int) -> None:
    allowed = sorted(os.sched_getaffinity(0))[core]
    code = f"""
import os
os.sched_setaffinity(0, {{{allowed}}})
from fast_nst import Stylizer
stylizer = Stylizer({str(tiny_model)!r})
masks = {{tuple(os.sched_getaffinity(int(task))) for task in os.listdir("/proc/self/task")}}
print(masks == {{({allowed},)}})"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("True\n", "")
