"""What a measurement was taken on, and what about it makes timings unsure."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from fast_nst import __version__
from fast_nst.machine.cgroups import lines
from fast_nst.machine.limits import usable_cores

BUSY = 0.25  # load average, as a share of the cores, above which timings scatter


def describe_machine() -> dict[str, Any]:
    """Hardware and versions as plain values; what cannot be found out is None."""
    import onnxruntime

    return {
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "usable_cores": usable_cores(),
        "gpu": gpu_name(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
        "fast_nst": __version__,
        "governor": _first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "load_average": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def in_words(machine: dict[str, Any]) -> str:
    """One line: the processor, its cores, the versions."""
    cores, usable = machine["cores"], machine["usable_cores"]
    counted = f"{cores} cores" if usable == cores else f"{usable} of {cores} cores"
    parts = [machine["cpu"], counted, machine["gpu"]]
    parts += [
        f"onnxruntime {machine['onnxruntime']}",
        f"torch {machine['torch']}" if "torch" in machine else None,
    ]
    parts += [f"Python {machine['python']}", machine["system"], f"fast_nst {machine['fast_nst']}"]
    governor = machine["governor"]
    return ", ".join([*filter(None, parts), *([f"governor {governor}"] if governor else [])])


def doubts(machine: dict[str, Any], threads: list[int] | None = None) -> list[str]:
    """Why timings may be off here: other load, a saving governor, fewer cores than ``threads``."""
    found = []
    load, cores = machine["load_average"], machine["cores"] or 1
    if load is not None and load > BUSY * cores:
        found.append(
            f"the machine was busy at the start (load average {load} on {cores} cores): "
            "absolute times are too high and scatter; ratios suffer less"
        )
    if machine["governor"] not in (None, "performance"):
        found.append(
            f"the CPU's governor is {machine['governor']!r}, not 'performance': the clock may change"
        )
    usable = machine["usable_cores"]
    if max(threads or [0]) > usable:
        found.append(f"{max(threads or [0])} threads share {usable} usable core{'s' if usable > 1 else ''}")
    return found


def cpu_name() -> str:
    """The processor's name as its maker gives it, where the system tells."""
    if sys.platform == "darwin":
        return _output("sysctl", "-n", "machdep.cpu.brand_string") or platform.machine()
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()


def gpu_name() -> str | None:
    """Of the first NVIDIA GPU, where its driver's tool is installed."""
    listed = _output("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")
    return listed.splitlines()[0].strip() if listed else None


def _first_line(path: str) -> str | None:
    return next(iter(lines(Path(path))), None)


def _output(*command: str) -> str | None:
    """What a tool prints; None where it is missing or fails."""
    if shutil.which(command[0]) is None:
        return None
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
