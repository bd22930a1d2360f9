"""How much memory there is, in and out of a container or a batch job."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
from control_groups import MIB, memory_v1, memory_v2, system

from fast_nst.machine.limits import available_memory


@pytest.mark.parametrize("version", [1, 2])
def test_the_tightest_limit_up_to_the_root_counts_less_what_is_in_use(tmp_path: Path, version: int) -> None:
    memory = {1: memory_v1, 2: memory_v2}[version]
    root = system(tmp_path, version, "/slurm/job_7/step_0")
    mount = root / ("sys/fs/cgroup" if version == 2 else "sys/fs/cgroup/memory")
    memory(mount, None, used=9000)
    memory(mount / "slurm/job_7", 512, used=300, of_files=100)
    memory(mount / "slurm/job_7/step_0", 800, used=10)
    assert available_memory(root) == (512 - 300 + 100) * MIB
    memory(mount / "slurm/job_7/step_0", 40, used=50)
    assert available_memory(root) == 0


def test_a_container_that_sees_its_own_group_under_the_hosts_name(tmp_path: Path) -> None:
    root = system(tmp_path, 1, "/docker/4dab", top="/docker/4dab")
    memory_v1(root / "sys/fs/cgroup/memory", 200, used=50)
    assert available_memory(root) == 150 * MIB
    root = system(tmp_path / "other", 1, "/docker/4dab", top="/kubepods/9")
    memory_v1(root / "sys/fs/cgroup/memory", 300, used=50)
    assert available_memory(root) == 250 * MIB


def test_what_systemd_throttles_at_is_a_limit_too(tmp_path: Path) -> None:
    root = system(tmp_path, 2, "/user.slice/run.scope")
    folder = root / "sys/fs/cgroup/user.slice/run.scope"
    memory_v2(folder, 900, used=50)
    (folder / "memory.high").write_text(f"{200 * MIB}\n")
    assert available_memory(root) == 150 * MIB


def test_without_a_limit_it_is_the_machines(tmp_path: Path) -> None:
    assert available_memory(tmp_path) > 50 * MIB  # no control groups at all
    for version, memory in ((1, memory_v1), (2, memory_v2)):
        root = system(tmp_path / str(version), version, "/job")
        mount = root / ("sys/fs/cgroup" if version == 2 else "sys/fs/cgroup/memory")
        memory(mount / "job", None, used=10)
        assert available_memory(root) > psutil.virtual_memory().available / 2
