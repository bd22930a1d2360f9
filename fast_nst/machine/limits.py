"""How many CPUs and how much memory there are, within the limits that containers and users are set."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path

from fast_nst.machine.cgroups import ROOT, groups, lines, number, to_number


def usable_cores(root: Path = ROOT) -> int:
    """CPUs this process may use at once: of its affinity mask, within the quotas of its control groups."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = (_cpu_quota(folder) for folder in groups("cpu", root))
    return min([cores, *(max(1, math.ceil(quota)) for quota in quotas if math.isfinite(quota))])


def limited_threads() -> int | None:
    """Threads to tell a library that sees no limits; None where all the machine is ours: its own choice."""
    usable = usable_cores()
    return None if usable == os.cpu_count() else usable


def available_memory(root: Path = ROOT) -> int:
    """Bytes to be had without swapping: what the machine has free, or what a control group may still take."""
    import psutil

    free = int(psutil.virtual_memory().available)
    return max(0, int(min([free, *(_memory_left(folder) for folder in groups("memory", root))])))


def peak_memory() -> int | None:
    """Largest resident set this process ever had, in bytes; None on Windows."""
    # Not ru_maxrss on Linux: a child inherits there what its parent held when it was started.
    for line in lines(Path("/proc/self/status")):
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        return None
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _cpu_quota(folder: Path) -> float:
    """CPUs, inf without a quota."""
    v2 = next(iter(lines(folder / "cpu.max")), "").split()
    if len(v2) == 2:
        quota, period = map(to_number, v2)
    else:
        quota, period = (number(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    return quota / period if 0 < quota < math.inf and 0 < period < math.inf else math.inf


def _memory_left(folder: Path) -> float:
    v2 = (folder / "memory.max").exists()
    names = ("memory.max", "memory.high") if v2 else ("memory.limit_in_bytes",)
    limit = min(number(folder / name) for name in names)
    used = number(folder / ("memory.current" if v2 else "memory.usage_in_bytes"))
    if math.inf in (limit, used):
        return math.inf
    # What was read from files lately counts as used, and goes when the memory is needed.
    kept = "inactive_file" if v2 else "total_inactive_file"
    statistics = (line.split() for line in lines(folder / "memory.stat"))
    files = sum(to_number(fields[1]) for fields in statistics if fields[:1] == [kept] and len(fields) == 2)
    return limit - used + files
