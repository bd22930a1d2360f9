"""Arrays on disk, of which rectangles are read and written: they take no memory."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TypeAlias

import numpy as np

from fast_nst.errors import UserError, one_line


class NoScratchRoom(UserError):
    """The disk for scratch files is too full for a picture; smaller ones may do."""


class Plane:
    """An array [H, W, C] in a nameless temporary file, which is gone however the process ends.

    `plane[top:bottom, left:right]` is read and written as of a numpy array. Plain reads and writes: what a
    memory map has touched counts as the process's memory.

    Raises NoScratchRoom when the disk is full or fails.
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype | type) -> None:
        height, width, channels = self.shape = shape
        self.dtype = np.dtype(dtype)
        self._pixel = channels * self.dtype.itemsize  # bytes
        try:
            self._file = tempfile.TemporaryFile(buffering=0, prefix="fast-nst-")  # noqa: SIM115
            self._file.truncate(height * width * self._pixel)
        except OSError as error:
            raise self._explain(error) from error

    def __getitem__(self, window: tuple[slice, slice]) -> np.ndarray:
        top, bottom, left, right = self._bounds(window)
        part = np.empty((bottom - top, right - left, self.shape[2]), self.dtype)
        try:
            for row in range(top, bottom):
                self._file.seek((row * self.shape[1] + left) * self._pixel)
                self._file.readinto(part[row - top].view(np.uint8).data)
        except OSError as error:
            raise self._explain(error) from error
        return part

    def __setitem__(self, window: tuple[slice, slice], part: np.ndarray) -> None:
        top, bottom, left, right = self._bounds(window)
        if part.shape != (bottom - top, right - left, self.shape[2]) or part.dtype != self.dtype:
            raise ValueError(f"{list(part.shape)} {part.dtype} does not fit into {self.shape} {self.dtype}")
        try:
            for row in range(top, bottom):
                self._file.seek((row * self.shape[1] + left) * self._pixel)
                self._write(np.ascontiguousarray(part[row - top]))
        except OSError as error:
            raise self._explain(error) from error

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return self.shape[0] * self.shape[1] * self._pixel

    def read_bytes(self, start: int, size: int) -> bytes:
        """The array's bytes from `start` on, at most `size`, rows after rows."""
        try:
            self._file.seek(start)
            return self._file.read(size)
        except OSError as error:
            raise self._explain(error) from error

    def close(self) -> None:
        """Give the room on the disk back."""
        self._file.close()

    def _write(self, row: np.ndarray) -> None:
        rest = row.view(np.uint8).reshape(-1).data
        while rest:  # a nearly full disk takes a part
            rest = rest[self._file.write(rest) :]

    def _bounds(self, window: tuple[slice, slice]) -> tuple[int, int, int, int]:
        top, bottom, _ = window[0].indices(self.shape[0])
        left, right, _ = window[1].indices(self.shape[1])
        return top, max(top, bottom), left, max(left, right)

    def _explain(self, error: OSError) -> NoScratchRoom:
        return NoScratchRoom(
            f"cannot keep {self.nbytes / 1e9:.1f} GB of scratch data in {scratch_folder()}: "
            f"{error.strerror or one_line(error)}; set TMPDIR to a folder with more room"
        )


Raster: TypeAlias = np.ndarray | Plane
"""[H, W, C] in memory or on disk."""


def check_room(size: float) -> None:
    """NoScratchRoom now if `size` bytes of scratch files would not fit, not when the disk is full."""
    free = shutil.disk_usage(scratch_folder()).free
    if size > free:
        raise NoScratchRoom(
            f"scratch files need {size / 1e9:.1f} GB, {scratch_folder()} has {free / 1e9:.1f} GB left; "
            "set TMPDIR to a folder with more room"
        )


def scratch_folder() -> Path:
    """Where scratch files go: TMPDIR, or what the system uses."""
    return Path(tempfile.gettempdir())
