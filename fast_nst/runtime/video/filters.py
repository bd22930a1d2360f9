"""libav's filters, kept from frame to frame: to make one anew for each costs more than its work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av import AudioFrame, VideoFrame
    from av.filter import Graph


class Chain:
    """Filters that video frames go through one after another, chosen again where a frame has another form.

    `filters` gives libav's names and arguments for frames like the one it gets.
    """

    def __init__(self, filters: Callable[[VideoFrame], list[tuple[str, str]]]) -> None:
        self._filters = filters
        self._graph: Graph | None = None
        self._form: object = None

    def push(self, frame: VideoFrame | None) -> list[VideoFrame]:
        """The frames ready after one more; after None, those held back."""
        form = None if frame is None else _form_of(frame)
        ready: list[VideoFrame] = []
        if self._graph is not None and form != self._form:
            self._graph.push(None)
            ready += pulled(self._graph)
            self._graph = None
        if frame is not None:
            if self._graph is None:
                self._graph, self._form = self._build(frame), form
            self._graph.push(frame)
            ready += pulled(self._graph)
        return ready

    def _build(self, frame: VideoFrame) -> Graph:
        from av.filter import Graph

        graph = Graph()
        source = graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=_time_base(frame)
        )
        nodes = [graph.add(name, arguments) for name, arguments in self._filters(frame)]
        graph.link_nodes(source, *nodes, graph.add("buffersink")).configure()
        return graph


class Deinterlacer:
    """Makes interlaced frames whole (bwdif, by their own field order); the others stay as they are.

    As many frames come out as go in, and with the same times.
    """

    def __init__(self) -> None:
        self._chain: Chain | None = None  # from the first interlaced frame on: it holds one frame back

    def push(self, frame: VideoFrame | None) -> list[VideoFrame]:
        """The frames ready after one more; after None, those held back."""
        if self._chain is None:
            if frame is None:
                return []
            if not frame.interlaced_frame:
                return [frame]
            self._chain = Chain(lambda _: [("bwdif", "mode=send_frame:parity=auto:deint=interlaced")])
        ready = self._chain.push(frame)
        for one in ready:  # it counts in half ticks
            if one.pts is not None:
                one.pts //= 2
            one.duration //= 2
        return ready


def pulled(graph: Graph) -> Iterator[Any]:
    """The frames that a graph has ready."""
    import av

    while True:
        try:
            yield graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return


def sound_graph(frame: AudioFrame, rate: int, layout: str, format: str) -> Graph:
    """Turns frames like this one into sound of that kind without gaps: silence where packets are missing."""
    from av.filter import Graph

    graph = Graph()
    source = graph.add_abuffer(
        sample_rate=frame.sample_rate,
        format=frame.format.name,
        layout=frame.layout.name,
        time_base=_time_base(frame),
    )
    steady = graph.add("aresample", "async=1:min_hard_comp=0.02")
    kind = graph.add("aformat", f"sample_fmts={format}:sample_rates={rate}:channel_layouts={layout}")
    graph.link_nodes(source, steady, kind, graph.add("abuffersink")).configure()
    return graph


def _time_base(frame: VideoFrame | AudioFrame) -> Fraction:
    return frame.time_base or Fraction(1, 1000)


def _form_of(frame: VideoFrame) -> tuple[object, ...]:
    color = (frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc)
    return (frame.width, frame.height, frame.format.name, *color)
