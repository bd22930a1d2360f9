"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A name beside ``path`` to write to; it becomes ``path`` at the end, or goes if the block raised."""
    # Not tempfile: its files are private (0600) and would stay so after the rename.
    unfinished = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        yield unfinished
        flush(unfinished)
        unfinished.replace(path)
    finally:
        with suppress(OSError):
            unfinished.unlink()


def flush(path: Path) -> None:
    """Force a file or a folder's list of names to disk: a power cut must not find a renamed, empty file."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
