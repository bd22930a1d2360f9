"""Pictures as the frames of a clip, and a clip's frames as pictures."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from fast_nst.errors import UserError, one_line
from fast_nst.files import real_path
from fast_nst.pictures import KEEP, WRITABLE, Picture, UnreadablePicture, decode_picture, picture_bytes
from fast_nst.runtime.video.clips import Clip, Step, Wanted, fit, resized
from fast_nst.runtime.video.frames import picture_color

_LITTER = (".DS_Store", "Thumbs.db", "desktop.ini")  # file managers leave them everywhere

_TOLD = 10  # frames left out that are named: a line, not a page


def holds_frames(folder: Path) -> bool:
    """Whether a folder is the result of an earlier run: it has a 000001.png, 000002.jpg, ..."""
    return folder.is_dir() and any(_is_frame(path) for path in folder.iterdir())


def check_replaceable(folder: Path) -> None:
    """UserError where frames cannot be written because a folder holds something else than frames."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; frames need a folder")
    if real_path(folder) == Path.cwd():
        raise UserError(f"{folder} is the folder you are in, which frames cannot replace; give another")
    for path in folder.iterdir() if folder.is_dir() else ():
        if not _is_frame(path) and path.name not in _LITTER:
            raise UserError(f"{folder} holds {path.name}, which is no frame; give another folder")


def _is_frame(path: Path) -> bool:
    named = re.fullmatch(r"\d{6,}", path.stem) and path.suffix.lower() in WRITABLE
    return bool(named) and path.is_file()


class FrameReader:
    """Picture files as a clip of `rate` frames per second; the size is that of the first.

    A picture that cannot be read leaves the one before it on screen, at the beginning it brings the one
    after it forward; `problem` names it afterwards.
    Raises UnreadablePicture if none can be read, UserError where `wanted` leaves none.
    """

    def __init__(self, paths: Sequence[Path], rate: Fraction, wanted: Wanted) -> None:
        first = -(-wanted.start * rate // 1)  # up to the next frame
        end = len(paths) if wanted.end is None else min(len(paths), -(-wanted.end * rate // 1))
        self._paths = list(paths[int(first) : int(end)])
        if not self._paths:
            length = float(len(paths) / rate)
            raise UserError(f"no frame lies from --start to --end; {len(paths)} frames last {length:g} s")
        self._wanted = wanted
        self._bad: list[UnreadablePicture] = []
        self._shape: tuple[int, int] | None = None
        self._first = ""  # the file whose size the film has
        for path in self._paths:
            if (picture := self._decode(path)) is not None:
                self._first = path.name
                break
        else:
            raise self._bad[0]
        self._bad.clear()
        height, width, _ = picture.pixels.shape
        self._shape = (height, width)
        size = (width, height) if wanted.size is None else fit(width, height, wanted.size)
        clip = Clip(size[0], size[1], 1 / rate, rate, picture_color(*size), frames=len(self._paths))
        self.clip = replace(clip, opacity=wanted.alpha == KEEP)  # any of them may be transparent

    def __enter__(self) -> FrameReader:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __iter__(self) -> Iterator[Step]:
        size = (self.clip.width, self.clip.height)
        shown: Step | None = None  # until the next one that can be read
        for index, path in enumerate(self._paths):
            picture = self._decode(path)
            if picture is None:
                continue
            pixels, opacity = (resized(part, size) for part in (picture.pixels, picture.opacity))
            if shown is not None:
                yield replace(shown, duration=index - shown.pts)
            shown = Step(pixels, 0 if shown is None else index, opacity=opacity)
        if shown is not None:
            yield replace(shown, duration=len(self._paths) - shown.pts)

    @property
    def problem(self) -> str | None:
        """The frames that could not be read, in one line; None if there was none."""
        if not self._bad:
            return None
        count = len(self._bad)
        told = ", ".join(f"{Path(one.args[0]).name} ({one.reason})" for one in self._bad[:_TOLD])
        more = f" and {count - _TOLD} more" if count > _TOLD else ""
        return f"left out {'the frame' if count == 1 else f'{count} frames:'} {told}{more}"

    def _decode(self, path: Path) -> Picture | None:
        try:
            wanted = self._wanted
            picture = decode_picture(path, max_pixels=wanted.max_pixels, alpha=wanted.alpha)
            shape = picture.pixels.shape[:2]
            if self._shape is not None and shape != self._shape:
                sizes = [f"{width}x{height}" for height, width in (shape, self._shape)]
                raise UnreadablePicture(str(path), f"it is {sizes[0]}, the film {sizes[1]} as {self._first}")
            return picture
        except UnreadablePicture as error:
            self._bad.append(error)
            return None


class FrameWriter:
    """Writes frames as 000001.png, 000002.png, ... into a folder; `name` is what messages call it."""

    problem = None

    def __init__(self, folder: Path, name: str, format: str, quality: int) -> None:
        self._folder, self._name, self._quality = folder, name, quality
        self._format = format.lower().removeprefix(".")
        self._count = 0

    def write(self, step: Step, pixels: np.ndarray | None) -> None:
        """Write `pixels`, uint8 RGB [H, W, 3], as the next picture."""
        if pixels is not None:
            self._count += 1
            path = self._folder / f"{self._count:06}.{self._format}"
            data = picture_bytes(pixels, self._format, quality=self._quality, opacity=step.opacity)
            try:
                path.write_bytes(data)
            except OSError as error:
                reason = error.strerror or one_line(error)
                raise UserError(f"cannot write {self._name}: {reason}") from error

    def close(self) -> None:
        """Nothing is held back."""

    def abandon(self) -> None:
        """Nothing is held open."""
