"""How much memory there is."""

from __future__ import annotations

import math
from pathlib import Path

from fast_nst.runtime.cgroups import ROOT, groups, lines, number


def available_memory(root: Path = ROOT) -> int:
    """Bytes to be had without swapping: what the machine has free, or what a control group may still take."""
    import psutil

    free = int(psutil.virtual_memory().available)
    return max(0, int(min([free, *(_memory_left(folder) for folder in groups("memory", root))])))


def _memory_left(folder: Path) -> float:
    v2 = (folder / "memory.max").exists()
    names = ("memory.max", "memory.high") if v2 else ("memory.limit_in_bytes",)
    limit = min(number(folder / name) for name in names)
    used = number(folder / ("memory.current" if v2 else "memory.usage_in_bytes"))
    if math.inf in (limit, used):
        return math.inf
    # What was read from files lately counts as used, and goes when the memory is needed.
    kept = "inactive_file" if v2 else "total_inactive_file"
    statistics = dict(line.split() for line in lines(folder / "memory.stat"))
    return limit - used + int(statistics.get(kept, 0))
