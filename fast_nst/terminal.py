"""stdout and stderr as shells leave them: closed, in a small encoding, without a reader."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
from pathlib import Path


def prepare_output() -> None:
    """Have any name printed, and nothing printed where nobody listens."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed, as by `>&-`; else a result might become file number 1
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        codecs.register_error("names", _encode_name)
        sys.stdout.reconfigure(errors="names")


def drop_output() -> None:
    """Forget what was not written to stdout yet: flushing it at the end would fail once more."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _encode_name(error: UnicodeError) -> tuple[bytes, int]:
    """A file name's bytes that are no text as they are, what the encoding lacks escaped."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    raw = "surrogateescape" if os.name == "posix" else "backslashreplace"
    parts = (
        char.encode("ascii", raw if "\udc80" <= char <= "\udcff" else "backslashreplace")
        for char in error.object[error.start : error.end]
    )
    return b"".join(parts), error.end
