"""What is particular to GIF: hundredths of a second, 256 colors a frame, how often it is played."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from fast_nst.runtime.video.clips import Clip
from fast_nst.runtime.video.filters import pulled

if TYPE_CHECKING:
    from av import VideoFrame
    from av.packet import Packet

GIF_TICK = Fraction(1, 100)
_SHORTEST, _INSTEAD = 2, 10  # ticks; viewers show a frame for ten that asks for fewer than two
_LONGEST = 2**16 - 1  # ticks of one frame


class GifClock:
    """Moves a GIF's packets to where viewers show them.

    libav does so for delays of 0 only, and gives a frame without a delay that of the one before.
    """

    def __init__(self) -> None:
        self._late = 0

    def set(self, packet: Packet) -> None:
        """Give a packet its time and its duration; to be shown all packets in order."""
        if packet.pts is None:
            return
        packet.pts += self._late
        packet.dts = packet.pts
        length = packet.duration or 0
        if 0 < length < _SHORTEST or not _states_delay(bytes(packet)):
            self._late += _INSTEAD - length
            packet.duration = _INSTEAD


def _states_delay(data: bytes) -> bool:
    """Whether a frame has a graphic control extension; before the first one comes the file's header."""
    at = 0
    if data.startswith(b"GIF8") and len(data) > 13:
        at = 13 + (3 * 2 ** ((data[10] & 7) + 1) if data[10] & 0x80 else 0)
    while data[at : at + 1] == b"\x21":
        if data[at + 1 : at + 2] == b"\xf9":
            return True
        at += 2
        while at < len(data) and data[at]:
            at += 1 + data[at]
        at += 1
    return False


@dataclass(frozen=True)
class Shown:
    """A frame ready for an encoder."""

    pts: Fraction | int
    duration: Fraction | int
    pixels: np.ndarray
    """uint8 RGB [H, W, 3]."""
    opacity: np.ndarray | None = None
    """uint8 [H, W]."""


class Delays:
    """Times in ticks such that every frame is long enough for viewers to obey its delay.

    One that is too short makes the next ones begin late until the time is caught up; one that would be
    over before it could begin is left out, but never the last. One that is too long is shown again.
    """

    def __init__(self) -> None:
        self._free = 0  # tick from which the next frame can be shown
        self._held: Shown | None = None  # until it is known how long it stays

    def add(self, frame: Shown) -> list[Shown]:
        """The frame before with its time in whole ticks, nothing where there is none left for it."""
        held, self._held = self._held, frame
        if held is None or frame.pts <= self._free:
            return []
        return self._place(held, frame.pts)

    def end(self) -> list[Shown]:
        """The last frame, if there was one."""
        held, self._held = self._held, None
        return [] if held is None else self._place(held, held.pts + held.duration)

    def _place(self, frame: Shown, end: Fraction | int) -> list[Shown]:
        pts = max(round(frame.pts), self._free)
        length = max(round(end) - pts, _SHORTEST)
        count = -(-length // _LONGEST)
        times = [pts + length * index // count for index in range(count + 1)]
        self._free = times[-2] + _SHORTEST
        return [replace(frame, pts=begin, duration=end - begin) for begin, end in pairwise(times)]


class Palettes:
    """Turns RGB(A) frames into frames of 256 colors each, chosen frame by frame so that memory is flat."""

    def __init__(self, clip: Clip) -> None:
        import av

        self._graph = graph = av.filter.Graph()
        kind = av.VideoFormat("rgba" if clip.opacity else "rgb24")
        source = graph.add_buffer(width=clip.width, height=clip.height, format=kind, time_base=GIF_TICK)
        split, sink = graph.add("split"), graph.add("buffersink")
        choose, use = graph.add("palettegen", "stats_mode=single"), graph.add("paletteuse", "new=1")
        source.link_to(split)
        split.link_to(choose, 0, 0)
        split.link_to(use, 1, 0)
        choose.link_to(use, 0, 1)
        use.link_to(sink)
        graph.configure()

    def turn(self, frame: VideoFrame | None) -> Iterator[VideoFrame]:
        """The frames ready after one more; after None, the last ones."""
        self._graph.push(frame)
        return pulled(self._graph)


def plays_of(path: Path) -> int:
    """How often the GIF at `path` is shown, 0 for ever; the file counts how often again."""
    try:
        with Image.open(path, formats=["GIF"]) as image:
            return plays(image)
    except Exception:  # damaged, which libav says
        return 0


def plays(image: Image.Image) -> int:
    """As `plays_of`, of an open GIF."""
    again = image.info.get("loop")
    return 1 if again is None else int(again) + 1 if again else 0


def loop_option(plays: int) -> str:
    """What libav's muxer is told: how often again, 0 for ever, -1 for never."""
    return str(plays - 1 if plays > 1 else -plays)
