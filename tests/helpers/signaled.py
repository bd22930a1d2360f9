"""`fast-nst` that gets a signal at a moment told by its own doings, not by a clock."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

_CODE = """
import os, signal, sys
from fast_nst.cli import main
me, left = os.getpid(), [{count}]
def look(event, arguments):
    if event not in ("open", "os.rename", "os.mkdir", "os.remove") or os.getpid() != me:
        return
    if left[0] and any(isinstance(part, (str, os.PathLike)) and {text!r} in str(part) for part in arguments):
        left[0] -= 1
        if not left[0]:
            os.kill(me, {number})
sys.addaudithook(look)
sys.exit(main(sys.argv[1:]))
"""


def signaled(number: signal.Signals, text: str | Path, count: int, *arguments: str) -> list[str]:
    """A command line: the signal comes at the `count`th time that it opens, makes, renames or removes a
    file with `text` in its path."""
    code = _CODE.format(count=count, text=str(text), number=int(number))
    return [sys.executable, "-c", code, *arguments]
