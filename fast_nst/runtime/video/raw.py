"""Raw frames through a style, from one pipe to another: what ffmpeg calls `-f rawvideo -pix_fmt rgb24`."""

from __future__ import annotations

import os
import re
import select
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import BinaryIO

import numpy as np
from PIL import Image

from fast_nst.errors import UserError
from fast_nst.runtime.styles import is_timed
from fast_nst.runtime.stylizer import Stylizer
from fast_nst.runtime.video.clips import Clip, Step
from fast_nst.runtime.video.frames import picture_color
from fast_nst.runtime.video.options import VideoOptions, to_rate
from fast_nst.runtime.video.stylize import Done, run_frames

_IDLE = 0.2  # seconds without a byte after which the pipeline may look whether it is to stop
_SOME_RATE = Fraction(25)  # where nothing depends on it


def parse_size(text: str, max_pixels: int | None = None) -> tuple[int, int]:
    """Width and height from "640x480".

    Raises UserError for anything else, and for more than `max_pixels` (None: as for pictures, 179 million).
    """
    match = re.fullmatch(r"([1-9]\d{0,8})x([1-9]\d{0,8})", text.strip().lower())
    if match is None:
        raise UserError(f"--raw must be the width and height of the frames, such as 640x480, not {text!r}")
    width, height = int(match[1]), int(match[2])
    limit = 2 * (Image.MAX_IMAGE_PIXELS or 0) if max_pixels is None else max_pixels
    if limit and width * height > limit:
        raise UserError(f"--raw {text} is more than the limit of {limit} pixels; raise --max-pixels")
    return width, height


def stylize_raw(
    stylizer: Stylizer,
    size: tuple[int, int],
    source: BinaryIO,
    target: BinaryIO,
    options: VideoOptions,
    *,
    stop: Callable[[], bool] = lambda: False,
) -> tuple[Done, str | None]:
    """Stylize frames of (width, height) as they come, uint8 RGB row by row, into as many of the same kind.

    They come out in order, each as soon as it is done; a few are underway at a time, so the memory does not
    depend on how many there are. `source` is an unbuffered file, read to its end or until `stop` is true.
    Of the options those count that do not belong to files; a style that changes needs `fps`.

    Returns how far it came, and what was wrong with the source in one line.

    Raises UserError for a style that changes without `fps`, RunFailed when the model does not run on the
    frames, BrokenPipeError when nobody reads `target` any more.
    """
    if is_timed(options.style) and options.fps is None:
        raise UserError(f"--style {options.style} changes over time: say how fast, with --fps 25 for one")
    rate = _SOME_RATE if options.fps is None else to_rate(options.fps)
    reader = RawReader(source, size, rate)
    done = run_frames(stylizer, reader, RawWriter(target), options, stop=stop, name="raw")
    return done, reader.problem


class RawReader:
    """Frames of (width, height) from an unbuffered file or pipe, as a clip of `rate` frames per second.

    `problem` says afterwards what was wrong with its end, None if nothing.
    """

    def __init__(self, stream: BinaryIO, size: tuple[int, int], rate: Fraction) -> None:
        self._stream = stream
        self.clip = Clip(*size, 1 / rate, rate, picture_color(*size))
        self.problem: str | None = None

    def __iter__(self) -> Iterator[Step]:
        number = 0
        while True:
            frame = np.empty((self.clip.height, self.clip.width, 3), np.uint8)
            room, filled = frame.data.cast("B"), 0
            while filled < frame.nbytes:
                if not self._has_come():
                    yield Step()
                elif got := self._stream.readinto(room[filled:]):  # type: ignore[attr-defined]
                    filled += got
                else:
                    self._note_end(number, filled, frame.nbytes)
                    return
            yield Step(frame, number, 1)
            number += 1

    def _has_come(self) -> bool:
        """Whether reading would not wait; Windows cannot tell."""
        return os.name == "nt" or bool(select.select([self._stream], [], [], _IDLE)[0])

    def _note_end(self, frames: int, filled: int, whole: int) -> None:
        if filled:
            size = f"{self.clip.width}x{self.clip.height}"
            of = f"{filled} of {whole} bytes; is --raw {size} its size, rgb24 its format?"
            self.problem = f"the input ends within frame {frames + 1} ({of})"
        elif not frames:
            self.problem = "the input ends before the first frame"


class RawWriter:
    """Frames into a file or pipe, one after the other."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, step: Step, pixels: np.ndarray | None) -> None:
        """Write `pixels`, uint8 RGB [H, W, 3], if there are any; nothing is held back."""
        if pixels is not None:
            self._stream.write(np.ascontiguousarray(pixels).data)
            self._stream.flush()
