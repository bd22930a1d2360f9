"""Pictures as the frames of a clip, and a clip's frames as pictures."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from fast_nst.errors import UserError, one_line
from fast_nst.pictures import WRITABLE, UnreadablePicture, UnsuitableFormat, decode_picture, picture_bytes
from fast_nst.runtime.clips import Clip, Step, Wanted, fit
from fast_nst.runtime.video_frames import picture_color

_LITTER = (".DS_Store", "Thumbs.db", "desktop.ini")  # file managers leave them everywhere


def holds_frames(folder: Path) -> bool:
    """Whether a folder is the result of an earlier run: it has a 000001.png, 000002.jpg, ..."""
    return folder.is_dir() and any(_is_frame(path) for path in folder.iterdir())


def check_replaceable(folder: Path) -> None:
    """UserError where frames cannot be written because a folder holds something else than frames."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; frames need a folder")
    if folder.resolve() == Path.cwd():
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
        for path in self._paths:
            if (pixels := self._decode(path)) is not None:
                break
        else:
            raise self._bad[0]
        self._bad.clear()
        height, width, _ = pixels.shape
        self._shape = (height, width)
        size = (width, height) if wanted.size is None else fit(width, height, wanted.size)
        self.clip = Clip(size[0], size[1], 1 / rate, rate, picture_color(*size), frames=len(self._paths))

    def __enter__(self) -> FrameReader:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __iter__(self) -> Iterator[Step]:
        size = (self.clip.width, self.clip.height)
        shown: Step | None = None  # until the next one that can be read
        for index, path in enumerate(self._paths):
            pixels = self._decode(path)
            if pixels is None:
                continue
            if pixels.shape[1::-1] != size:
                pixels = np.array(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))
            if shown is not None:
                yield replace(shown, duration=index - shown.pts)
            shown = Step(pixels, 0 if shown is None else index)
        if shown is not None:
            yield replace(shown, duration=len(self._paths) - shown.pts)

    @property
    def problem(self) -> str | None:
        """The frames that could not be read, in one line; None if there was none."""
        if not self._bad:
            return None
        first = f"{Path(self._bad[0].args[0]).name} ({self._bad[0].reason})"
        if len(self._bad) == 1:
            return f"left out the frame {first}"
        return f"left out {len(self._bad)} frames, the first {first}"

    def _decode(self, path: Path) -> np.ndarray | None:
        try:
            pixels = decode_picture(path, max_pixels=self._wanted.max_pixels).pixels
            if self._shape is not None and pixels.shape[:2] != self._shape:
                sizes = [f"{width}x{height}" for height, width in (pixels.shape[:2], self._shape)]
                raise UnreadablePicture(str(path), f"it is {sizes[0]}, the others are {sizes[1]}")
            return pixels
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
        if step.opacity is not None:
            raise UnsuitableFormat(
                f"--alpha keep: frames in {self._name} carry no transparency; write mov, webm or gif"
            )
        if pixels is not None:
            self._count += 1
            path = self._folder / f"{self._count:06}.{self._format}"
            data = picture_bytes(pixels, self._format, quality=self._quality)
            try:
                path.write_bytes(data)
            except OSError as error:
                reason = error.strerror or one_line(error)
                raise UserError(f"cannot write {self._name}: {reason}") from error

    def close(self) -> None:
        """Nothing is held back."""

    def abandon(self) -> None:
        """Nothing is held open."""
