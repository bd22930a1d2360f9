"""stdin, stdout and stderr as shells leave them: closed, in a small encoding, without a reader."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from fast_nst.errors import UserError

OK, SKIPPED, USER_ERROR = 0, 1, 2
INTERRUPTED = 130


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


def fail(message: str, code: int) -> int:
    """Say what went wrong in one line; returns the exit code."""
    print(f"fast-nst: {message}", file=sys.stderr)
    return code


def binary_stdin() -> BinaryIO:
    """What comes in, unbuffered. Raises UserError where that is closed or a keyboard."""
    if sys.stdin is None or sys.stdin.isatty():
        raise UserError("nothing comes in through stdin: pipe something into it, as in `... < photo.jpg`")
    return open(sys.stdin.fileno(), "rb", buffering=0, closefd=False)


@contextlib.contextmanager
def binary_stdout() -> Iterator[BinaryIO]:
    """Where results go as bytes; whatever else prints meanwhile, libraries in C too, prints to stderr.

    Raises UserError where it is a terminal.
    """
    if sys.stdout.isatty():
        raise UserError(
            "stdout is a terminal: pipe it, as in `... > painted.jpg`, or name a file as --output"
        )
    sys.stdout.flush()
    number = sys.stdout.fileno()
    with os.fdopen(os.dup(number), "wb") as results:
        os.dup2(sys.stderr.fileno(), number)
        try:
            yield results
            results.flush()
        finally:
            sys.stdout.flush()
            os.dup2(results.fileno(), number)


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
