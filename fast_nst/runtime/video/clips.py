"""What a clip is made of, wherever its frames come from and go to."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from av import VideoFrame
    from av.packet import Packet


@dataclass(frozen=True)
class Color:
    """How YUV values mean colors (H.273 code points), and what the file says of it."""

    matrix: int
    """Matrix in use; never unspecified."""
    full: bool
    """Luma from 0 to 255, not from 16 to 235."""
    tags: tuple[int, int, int, int]
    """Matrix, range, primaries and transfer as written into a file."""


@dataclass(frozen=True)
class Clip:
    """What is the same for all frames of a clip."""

    width: int
    height: int
    """Size of the upright pixels, in pixels."""
    time_base: Fraction
    """Seconds in one tick of `pts`."""
    rate: Fraction
    """Frames per second on average; only an encoder's hint."""
    color: Color
    pixel_aspect: Fraction = Fraction(1)
    """Width of a pixel over its height."""
    frames: int | None = None
    """Number of frames to come, if known."""
    steady: bool = True
    """All frames last equally long."""
    opacity: bool = False
    """The frames have an alpha channel that is to be kept."""
    plays: int = 0
    """How often it is shown, 0 for ever; only where the source says it."""
    deep: bool = False
    """HDR that is to be kept: more than 8 bits."""


@dataclass
class Step:
    """A frame and what was read before it."""

    pixels: np.ndarray | None = None
    """uint8 RGB [H, W, 3], upright; None where only packets are handed on."""
    pts: int = 0
    """When the frame is shown, in ticks of the clip's time base."""
    duration: int = 0
    """For how long, in ticks; 0 if unknown."""
    packets: list[Packet] = field(default_factory=list)
    """Packets of the streams to copy, retimed as the frames are."""
    opacity: np.ndarray | None = None
    """uint8 [H, W], upright, where alpha is kept and something is transparent."""
    captions: VideoFrame | None = None
    """The RGB frame before its turn, if closed captions came with it."""


@dataclass(frozen=True)
class Wanted:
    """What is wanted of a clip."""

    start: Fraction = Fraction(0)
    """Seconds from the clip's beginning; the result begins with the first frame from there."""
    end: Fraction | None = None
    """Seconds from the clip's beginning, not included."""
    size: int | None = None
    """Longer side of the frames in pixels."""
    square_pixels: bool = False
    """Frames are stretched where their pixels are not square."""
    max_pixels: int | None = None
    """Most pixels of a frame; None takes Pillow's limit for pictures (179 million)."""
    alpha: str = "white"
    """keep, or the color that lies under what is transparent."""
    tone_map: bool = True
    """HDR is brought into the range of SDR."""
    deinterlace: bool = True
    """Interlaced frames are made whole."""
    srgb: bool = False
    """Colors of SDR are brought to sRGB, for what has no tags to say that they are others."""


def resized(values: np.ndarray | None, size: tuple[int, int]) -> np.ndarray | None:
    """uint8 [H, W, 3] or [H, W] of that width and height; None stays."""
    if values is None or values.shape[1::-1] == size:
        return values
    return np.array(Image.fromarray(values).resize(size, Image.Resampling.LANCZOS))


def fit(width: Fraction | int, height: Fraction | int, size: int | None) -> tuple[int, int]:
    """Width and height with `size` as the longer side; the other one even, as 4:2:0 video likes it."""
    scale = Fraction(1) if size is None else Fraction(size) / Fraction(max(width, height))

    def side(length: Fraction | int) -> int:
        scaled = length * scale
        return size if scaled == size else max(2, 2 * round(scaled / 2))  # type: ignore[return-value]

    return side(width), side(height)
