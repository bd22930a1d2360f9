"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fast_nst.errors import UserError, one_line

_LONGEST_NAME = 255  # bytes


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A name beside ``path`` to write to; it becomes ``path`` at the end, or goes if the block raised."""
    unfinished = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        unfinished.touch()
        mode = unfinished.stat().st_mode
        yield unfinished
        unfinished.chmod(mode)  # some writers, safetensors for one, make private files (0600)
        flush(unfinished)
        unfinished.replace(path)
    finally:
        with suppress(OSError):
            unfinished.unlink()


def write_whole(path: Path, data: bytes, *, make_folder: bool = False) -> None:
    """Write a file, all of it or nothing, and on request make its folder. Raises UserError."""
    try:
        if make_folder:
            path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as unfinished:
            unfinished.write_bytes(data)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or one_line(error)}") from error


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A new folder beside ``path`` to fill; at the end it takes the place of ``path`` and all it held."""
    unfinished = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        unfinished.mkdir()
        yield unfinished
        replace_folder(path, unfinished)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def replace_folder(path: Path, new: Path) -> None:
    """Move the folder ``new`` to ``path``; what was there goes once it is in place."""
    former = path.with_name(f".{uuid.uuid4().hex}.tmp")
    with suppress(FileNotFoundError):
        path.rename(former)
    try:
        new.rename(path)
    except OSError:
        with suppress(OSError):
            former.rename(path)
        raise
    if former.is_symlink():  # that leads in a circle, or it would have been followed
        former.unlink()
    shutil.rmtree(former, ignore_errors=True)


def check_writable(path: Path) -> None:
    """Raise an OSError now if a file called ``path`` could not be written later; makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    probe = path.with_name(f".{uuid.uuid4().hex}.tmp")
    probe.touch()
    probe.unlink()


def partial_of(path: Path) -> Path:
    """NAME.partial.EXT beside ``path``; a NAME at the length limit of file systems is cut."""
    stem, ending = path.stem, f".partial{path.suffix}"
    while stem and len(os.fsencode(stem + ending)) > _LONGEST_NAME:
        stem = stem[:-1]
    return path.with_name(stem + ending)


def real_path(path: Path) -> Path:
    """The absolute path behind all links; where they lead in a circle no error, as of Path.resolve."""
    return Path(os.path.realpath(path))


def flush(path: Path) -> None:
    """Force a file or a folder's list of names to disk: a power cut must not find a renamed, empty file."""
    if path.is_dir() and os.name == "nt":
        return  # a folder cannot be opened there
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
