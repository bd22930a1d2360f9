"""Runs the command line in forked children: `python worker.py` reads a request a line, answers likewise.

Importing everything once and forking for each case costs a few milliseconds a case where a process of its
own takes a second; a child that crashes, hangs or eats memory takes nothing with it.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any

_LOOK = 0.01  # seconds between looks at a child


def main() -> int:
    """Serve requests {"arguments", "folder", "seconds", "bytes"} until stdin ends."""
    import fast_nst.cli
    import fast_nst.runtime.batch.stylize
    import fast_nst.runtime.video.stylize

    _import_all()
    for line in iter(sys.stdin.readline, ""):
        request = json.loads(line)
        sys.stdout.flush()
        child = os.fork()
        if child == 0:  # leaves the loop, to end as the real command does: threads joined, files flushed
            _redirect(Path(request["folder"]))
            return fast_nst.cli.main(request["arguments"])
        print(json.dumps(_watch(child, request)), flush=True)
    return 0


def _import_all() -> None:
    """All but onnxruntime, which starts a thread that a fork would not have."""
    import av  # noqa: F401
    import jsonargparse  # noqa: F401
    from PIL import Image

    import fast_nst.arguments  # noqa: F401

    Image.init()


def _redirect(folder: Path) -> None:
    """Make the child look like a command of its own, with its files below `folder`."""
    os.setpgid(0, 0)
    os.environ["TMPDIR"] = str(folder / "tmp")
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        opened = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _watch(child: int, request: dict[str, Any]) -> dict[str, Any]:
    """What became of a child: {"code" or "signal", "killed", "seconds", "bytes"}, the last its peak."""
    begun = time.monotonic()
    killed = None
    done = os.pidfd_open(child)
    try:
        while not select.select([done], [], [], _LOOK)[0]:
            if time.monotonic() - begun > request["seconds"]:
                killed = f"still running after {request['seconds']} s"
            elif _resident(child) > request["bytes"]:
                killed = f"more than {request['bytes'] / 2**30:g} GiB of memory"
            if killed:
                os.kill(child, signal.SIGKILL)
                break
    finally:
        os.close(done)
    _, status, usage = os.wait4(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return {
        "code": code if code >= 0 else None,
        "signal": signal.Signals(-code).name if code < 0 else None,
        "killed": killed,
        "seconds": time.monotonic() - begun,
        "bytes": usage.ru_maxrss * 1024,
    }


def _resident(process: int) -> int:
    """Bytes of memory a process holds; 0 once it ended."""
    try:
        pages = Path(f"/proc/{process}/statm").read_text().split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * resource.getpagesize()


if __name__ == "__main__":
    sys.exit(main())
