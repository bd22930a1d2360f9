"""How much memory there is."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")  # of the container this process runs in


def available_memory(cgroup: Path = _CGROUP) -> int:
    """Bytes to be had without swapping: what the machine has free, or what its container may still take."""
    import psutil

    free = int(psutil.virtual_memory().available)
    with suppress(OSError, ValueError):  # no container, or one without a limit ("max")
        limit = int((cgroup / "memory.max").read_text())
        statistics = dict(line.split() for line in (cgroup / "memory.stat").read_text().splitlines())
        used = int((cgroup / "memory.current").read_text()) - int(statistics.get("inactive_file", 0))
        free = min(free, max(0, limit - used))
    return free
