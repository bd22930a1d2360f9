"""What Linux says of control groups is read as it is written."""

from __future__ import annotations

from pathlib import Path

import pytest
from control_groups import MIB, cpu_v2, memory_v2, system

from fast_nst.machine.limits import available_memory, usable_cores


def test_a_mount_with_a_space_in_its_name_is_found(tmp_path: Path) -> None:
    root = system(tmp_path, 2, "/job")
    mounts = root / "proc/self/mountinfo"
    mounts.write_text(mounts.read_text().replace("/sys/fs/cgroup", r"/sys/fs/my\040control\011groups"))
    memory_v2(root / "sys/fs/my control\tgroups/job", 200, used=50)
    assert available_memory(root) == 150 * MIB


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("proc/self/cgroup", "garbage\n"),
        ("proc/self/mountinfo", "1 2 - cgroup2 cgroup2 rw\n\n - cgroup2 cgroup2 rw\n"),
        ("sys/fs/cgroup/job/memory.max", "12 kB\n"),
        ("sys/fs/cgroup/job/memory.current", "x\n"),
        ("sys/fs/cgroup/job/memory.stat", "inactive_file 1 2\n\n"),
        ("sys/fs/cgroup/job/cpu.max", "fast 0\n"),
        ("sys/fs/cgroup/job/cpu.max", "1000 0\n"),
    ],
)
def test_what_makes_no_sense_is_passed_over(tmp_path: Path, file: str, text: str) -> None:
    root = system(tmp_path, 2, "/job/step")
    memory_v2(root / "sys/fs/cgroup/job/step", 200, used=50)
    memory_v2(root / "sys/fs/cgroup/job", 900, used=60)
    cpu_v2(root / "sys/fs/cgroup/job/step", "100000 100000")
    path = root / file
    path.write_text(path.read_text() + text if file.startswith("proc") else text)
    assert available_memory(root) == 150 * MIB
    assert usable_cores(root) == 1
