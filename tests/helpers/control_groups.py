"""What a Linux system says of control groups, below a folder."""

from __future__ import annotations

from pathlib import Path

MIB = 2**20


def system(root: Path, version: int, group: str, top: str = "/") -> Path:
    """A root folder whose one process is in a group; `top` is the group that is mounted."""
    process = root / "proc/self"
    process.mkdir(parents=True)
    rest = "31 23 0:28 / /sys rw - sysfs sysfs rw\n30 23 0:5 / /dev/shm rw - tmpfs tmpfs rw\n"
    if version == 2:
        (process / "cgroup").write_text(f"0::{group}\n")
        mounts = f"41 31 0:38 {top} /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw\n"
    else:
        (process / "cgroup").write_text(f"9:name=systemd:/\n4:memory:{group}\n2:cpu,cpuacct:{group}\n0::/\n")
        mounts = "".join(
            f"{35 + at} 31 0:32 {top} /sys/fs/cgroup/{names} rw shared:9 - cgroup cgroup rw,{names}\n"
            for at, names in enumerate(("memory", "cpu,cpuacct"))
        )
        mounts += "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
    (process / "mountinfo").write_text(rest + mounts)
    return root


def memory_v2(folder: Path, limit: int | None, used: int, of_files: int = 0) -> None:
    """A group's memory in MiB; `of_files` is the part that would go."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text("max\n" if limit is None else f"{limit * MIB}\n")
    (folder / "memory.current").write_text(f"{used * MIB}\n")
    (folder / "memory.stat").write_text(f"anon 1\ninactive_file {of_files * MIB}\n")


def memory_v1(folder: Path, limit: int | None, used: int, of_files: int = 0) -> None:
    """The same in the older files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.limit_in_bytes").write_text(f"{2**63 - 4096 if limit is None else limit * MIB}\n")
    (folder / "memory.usage_in_bytes").write_text(f"{used * MIB}\n")
    (folder / "memory.stat").write_text(f"inactive_file 7\ntotal_inactive_file {of_files * MIB}\n")


def cpu_v2(folder: Path, quota: str) -> None:
    """A group's quota: "150000 100000", or "max 100000"."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cpu.max").write_text(quota + "\n")


def cpu_v1(folder: Path, quota: str) -> None:
    """The same in the older files; -1 for none."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, number in zip(("quota", "period"), quota.replace("max", "-1").split(), strict=True):
        (folder / f"cpu.cfs_{name}_us").write_text(number + "\n")
