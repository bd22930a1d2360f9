"""What is asked of a video's stylizing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from fast_nst.errors import UserError
from fast_nst.pictures.alpha import ground_color
from fast_nst.runtime.styles import Styles
from fast_nst.runtime.video.codecs import CODECS, PRESETS


@dataclass
class VideoOptions:
    """How a video is stylized."""

    style: Styles | None = None
    """Of a file of many styles: a name, a mixture, or one that changes, as in "waves@0,udnie@10" (seconds of
    the result). Default: the stylizer's."""
    size: int | None = None
    """Longer side in pixels of the frames; the other one is then even. Default: the video's own size."""
    strength: float = 1.0
    """From 0 (the video as it was) to 1 (the style in full)."""
    preserve_color: bool = False
    """Keep the video's own colors; take only light and dark from the style."""
    smooth: bool = False
    """Blend each frame with the one before it along the motion of the film: less flicker."""
    start: float | str = 0
    """Where to begin, in seconds or as hh:mm:ss.f; the result begins with the first frame from there."""
    end: float | str | None = None
    """Where to stop, likewise."""
    fps: float | str | None = None
    """Frames per second of a source made of pictures, such as 24 or 30000/1001."""
    codec: str | None = None
    """h264, vp9 or av1. Default: h264, and vp9 in WebM."""
    preset: str | None = None
    """How long the encoder looks for a smaller file, as x264 names it: ultrafast to veryslow."""
    quality: int = 95
    """From 1 to 100; 75 is each encoder's usual rate factor (x264's 23), 95 hardly differs from 100."""
    alpha: str = "white"
    """What is transparent: keep (formats that carry it), white, or the color it is laid over, as #rrggbb or a
    name."""
    hdr: Literal["tonemap", "keep"] = "tonemap"
    """HDR (PQ, HLG): tonemap it to SDR, or keep it (formats that carry it)."""
    deinterlace: Literal["auto", "off"] = "auto"
    """auto makes interlaced frames whole, off leaves them."""
    format: str = "png"
    """Of frames written into a folder."""
    max_pixels: int | None = None
    """Refuse frames of more pixels than this. Default: 179 million."""

    def __post_init__(self) -> None:
        if self.codec not in (None, *CODECS):
            raise UserError(f"--codec must be one of {', '.join(CODECS)}, not {self.codec!r}")
        if self.preset not in (None, *PRESETS):
            raise UserError(f"--preset must be one of {', '.join(PRESETS)}, not {self.preset!r}")
        for name, value, values in (
            ("hdr", self.hdr, ("tonemap", "keep")),
            ("deinterlace", self.deinterlace, ("auto", "off")),
        ):
            if value not in values:
                raise UserError(f"--{name} must be {' or '.join(values)}, not {value!r}")
        ground_color(self.alpha)
        start, end = to_seconds(self.start, "--start"), self.end
        if end is not None and to_seconds(end, "--end") <= start:
            raise UserError(f"--end {end} must come after --start {self.start}")
        if self.fps is not None:
            to_rate(self.fps)


def to_seconds(text: float | str, name: str) -> Fraction:
    """Seconds from a number or from "90", "1:30.5", "01:02:03.25"; UserError naming the option."""
    match = re.fullmatch(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d*)?|\.\d+)", str(text).strip())
    if match is None:
        raise UserError(f"{name} must be seconds or hh:mm:ss, not {text!r}")
    hours, minutes, seconds = (Fraction(part) if part else Fraction(0) for part in match.groups())
    return 3600 * hours + 60 * minutes + seconds


def to_rate(fps: float | str) -> Fraction:
    """Frames per second as a fraction from a number, "29.97" or "30000/1001"; UserError else."""
    try:
        rate = Fraction(str(fps)).limit_denominator(1001)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not Fraction(1, 1000) <= rate <= 1000:
        raise UserError(f"--fps must be frames per second such as 24 or 30000/1001, not {fps}")
    return rate
