"""Animated WebP, PNG and AVIF pictures: read frame by frame, and written so."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from fast_nst.errors import UserError, one_line
from fast_nst.files import write_whole
from fast_nst.pictures import (
    Picture,
    UnreadablePicture,
    UnsuitableFormat,
    decode_picture,
    open_picture,
    read_exif,
    read_resolution,
    writable_format,
)
from fast_nst.pictures.alpha import rgba
from fast_nst.pictures.codec import ENCODER_ERRORS, save_options, upright_pixels
from fast_nst.pictures.opening import load
from fast_nst.pictures.source import source_color
from fast_nst.runtime.scratch import Plane
from fast_nst.runtime.video.clips import Clip, Step, Wanted, fit, resized
from fast_nst.runtime.video.frames import picture_color
from fast_nst.runtime.video.gif import plays

_FORMATS = ("WEBP", "PNG", "AVIF")
_TICK = Fraction(1, 1000)
_SHORTEST, _USUAL = 10, 100  # ms; viewers show a frame of 10 or less for 100


@dataclass(frozen=True)
class Frame:
    """One picture of an animation."""

    pixels: np.ndarray
    """As those of a Picture."""
    opacity: np.ndarray | None
    """As that of a Picture."""
    milliseconds: float
    """How long it is shown."""


class Animation:
    """The frames of an animated picture, decoded as they are asked for.

    `max_pixels` and `alpha` are decode_picture's. Raises UnreadablePicture, also while it is iterated.
    """

    def __init__(self, path: Path, max_pixels: int | None = None, alpha: str = "white") -> None:
        self._path, self._max_pixels, self._alpha = path, max_pixels, alpha
        with open_picture(path, max_pixels=max_pixels) as image:
            self._first = int(getattr(image, "default_image", False))  # a PNG's that is not of the animation
            self.count = image.n_frames - self._first  # type: ignore[attr-defined]
            """How many frames there are."""
            self.loop = _plays(image)
            """How often it is played, 0 for ever."""
            image.seek(self._first)
            load(image)
            self.exif, self._orientation = read_exif(image)
            self.resolution = read_resolution(image, self._orientation)

    def first(self) -> Picture:
        """What shows where nothing can move."""
        return decode_picture(self._path, max_pixels=self._max_pixels, alpha=self._alpha)

    def __iter__(self) -> Iterator[Frame]:
        with open_picture(self._path, max_pixels=self._max_pixels) as image:
            color = source_color(image)
            for index in range(self._first, self._first + self.count):
                image.seek(index)
                load(image)
                pixels, opacity = upright_pixels(image, color, None, self._orientation, self._alpha)
                yield Frame(pixels, opacity, float(image.info.get("duration", 0)))


def is_animated(path: Path) -> bool:
    """Whether a file is an animated WebP, PNG or AVIF picture; not for a file that cannot be read.

    A GIF is a video where the output is one.
    """
    try:
        with open_picture(path) as image:
            return image.format in _FORMATS and may_move(image)
    except UnreadablePicture:  # its reader says what is wrong with it
        return False


def may_move(image: Image.Image) -> bool:
    """Whether an open picture is an animated one."""
    return image.format in (*_FORMATS, "GIF") and frame_count(image) > 1


def frame_count(image: Image.Image) -> int:
    """Frames or pages of an open picture, 1 where they cannot be counted."""
    try:
        return int(getattr(image, "n_frames", 1))
    except Exception:  # damaged behind the first; a decoder fed garbage raises nearly anything
        return 1


def _plays(image: Image.Image) -> int:
    return plays(image) if image.format == "GIF" else int(image.info.get("loop") or 0)


def holds_animation(format: str) -> bool:
    """Whether "webp" or ".webp" is a picture format that is written animated."""
    return writable_format(format) in _FORMATS


def write_animation(
    path: Path, animation: Animation, stylize: Callable[[Frame], Picture], quality: int = 95
) -> tuple[int, int]:
    """Write every frame, as `stylize` makes it, with its time; all of the file or nothing.

    Returns width and height of the frames.

    Raises UnsuitableFormat and UserError as encode_picture does, and what `stylize` raises.
    """
    kind = writable_format(path.suffix)
    frames = _Sequence(animation, stylize)
    options = save_options(kind, quality, animation.exif, animation.resolution)
    if kind != "AVIF":  # which has no place for it
        options["loop"] = animation.loop
    times = [ms if kind == "PNG" else round(ms) for ms in frames.milliseconds]
    buffer = io.BytesIO()
    try:
        frames.save(buffer, kind, save_all=True, duration=times, **options)
    except ENCODER_ERRORS as error:
        size = f"{frames.n_frames} frames of {frames.width}x{frames.height} pixels"
        raise UnsuitableFormat(
            f"cannot write {path}: {size} do not go into {kind} ({one_line(error)})"
        ) from error
    finally:
        frames.close()
    write_whole(path, buffer.getvalue())
    return frames.size


class _Sequence(Image.Image):
    """Stylized frames on disk, as Pillow's encoders ask for them: only one is in memory."""

    is_animated = True

    def __init__(self, animation: Animation, stylize: Callable[[Frame], Picture]) -> None:
        super().__init__()
        self.n_frames = animation.count
        self.milliseconds: list[float] = []
        self._plane: Plane | None = None
        opaque = True
        for index, frame in enumerate(animation):
            picture = stylize(frame)
            height, width = picture.pixels.shape[:2]
            if self._plane is None:
                self._plane = Plane((height * self.n_frames, width, 4), np.uint8)
            opaque = opaque and picture.opacity is None
            rows = slice(index * height, (index + 1) * height)
            self._plane[rows, :] = np.asarray(rgba(picture.pixels, picture.opacity).convert("RGBA"))
            self.milliseconds.append(frame.milliseconds)
        self._mode, self._size = ("RGB" if opaque else "RGBA"), (width, height)
        self.seek(0)

    def seek(self, frame: int) -> None:
        """Go to a frame."""
        if frame >= self.n_frames:
            raise EOFError("no more frames")
        assert self._plane is not None
        rows = slice(frame * self.height, (frame + 1) * self.height)
        self._frame = frame
        self.im = Image.fromarray(self._plane[rows, :]).convert(self.mode).im

    def tell(self) -> int:
        """The frame it stands at."""
        return self._frame

    def close(self) -> None:
        """Give the room on the disk back."""
        if self._plane is not None:
            self._plane.close()


class AnimationReader:
    """An animated picture as a clip: at its own times, as viewers show it, or at `rate` frames per second.

    Raises UnreadablePicture where it cannot be read, UserError where `wanted` leaves no frame.
    """

    problem: str | None = None

    def __init__(self, path: Path, wanted: Wanted, rate: Fraction | None = None) -> None:
        self._animation, self._wanted = Animation(path, wanted.max_pixels, wanted.alpha), wanted
        self._tick = _TICK if rate is None else 1 / rate
        self._steady = rate is not None
        height, width, _ = next(iter(self._animation)).pixels.shape
        size = (width, height) if wanted.size is None else fit(width, height, wanted.size)
        passed = [(self._length(frame), frame.opacity is not None) for frame in self._animation]
        self._times = [length for length, _ in passed]
        seconds = sum(self._times) * self._tick
        kept = sum(1 for _ in self._kept())
        if not kept:
            raise UserError(f"no frame lies from --start to --end; {path} lasts {float(seconds):g} s")
        average = (len(self._times) / seconds).limit_denominator(1001)
        color = picture_color(*size)
        width, height = size
        self.clip = Clip(
            *(width, height, self._tick, rate or average, color),
            frames=kept,
            steady=self._steady,
            opacity=any(transparent for _, transparent in passed),
            plays=self._animation.loop,
        )

    def __enter__(self) -> AnimationReader:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __iter__(self) -> Iterator[Step]:
        size = (self.clip.width, self.clip.height)
        kept = dict(self._kept())
        begin = min(kept.values())
        for index, frame in enumerate(self._animation):
            if index in kept:
                pixels, opacity = (resized(part, size) for part in (frame.pixels, frame.opacity))
                yield Step(pixels, kept[index] - begin, self._times[index], opacity=opacity)

    def _kept(self) -> Iterator[tuple[int, int]]:
        """Number and time of the frames in the part wanted."""
        ticks = 0
        for index, length in enumerate(self._times):
            seconds = ticks * self._tick
            if seconds >= self._wanted.start and (self._wanted.end is None or seconds < self._wanted.end):
                yield index, ticks
            ticks += length

    def _length(self, frame: Frame) -> int:
        """In ticks."""
        ms = frame.milliseconds
        return 1 if self._steady else round(ms if ms > _SHORTEST else _USUAL)
