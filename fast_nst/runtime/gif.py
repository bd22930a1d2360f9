"""What is particular to GIF: hundredths of a second, 256 colors a frame, how often it is played."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from fast_nst.runtime.clips import Clip

if TYPE_CHECKING:
    from av import VideoFrame

GIF_TICK = Fraction(1, 100)
SHORTEST = 2  # ticks; viewers show a shorter frame for ten


class Palettes:
    """Turns RGB frames into frames of 256 colors each, chosen frame by frame so that memory is flat."""

    def __init__(self, clip: Clip) -> None:
        import av

        self._graph = graph = av.filter.Graph()
        rgb24 = av.VideoFormat("rgb24")
        source = graph.add_buffer(width=clip.width, height=clip.height, format=rgb24, time_base=GIF_TICK)
        split, sink = graph.add("split"), graph.add("buffersink")
        choose, use = graph.add("palettegen", "stats_mode=single"), graph.add("paletteuse", "new=1")
        source.link_to(split)
        split.link_to(choose, 0, 0)
        split.link_to(use, 1, 0)
        choose.link_to(use, 0, 1)
        use.link_to(sink)
        graph.configure()

    def turn(self, frame: VideoFrame | None) -> Iterator[VideoFrame]:
        """The frames ready after one more rgb24 frame; after None, the last ones."""
        import av

        self._graph.push(frame)
        while True:
            try:
                yield self._graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return


def loop_count(path: Path | None) -> int:
    """As libavformat counts: that of the GIF at `path` (-1: once), for anything else 0, for ever."""
    try:
        if path is None:
            return 0
        with Image.open(path, formats=["GIF"]) as image:
            return int(image.info.get("loop", -1))
    except Exception:  # not a GIF
        return 0
