"""A file's packets on one line of time, and the decoder of its pictures."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from typing import TYPE_CHECKING

from fast_nst.runtime.video.clock import Clock
from fast_nst.runtime.video.containers import decoder_of, frames_of, reason_of
from fast_nst.runtime.video.filters import Deinterlacer
from fast_nst.runtime.video.gif import GifClock

if TYPE_CHECKING:
    from av import VideoFrame, VideoStream
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream

_MOST = 0.9  # of a file; the rest may be an index
_CLOCK_STARTS_ANYWHERE = 0x200  # libavformat's AVFMT_TS_DISCONT: MPEG-TS and the like
_DROPS_WHEN_RESIZED, _SEQUENCE = ("mpeg1video", "mpeg2video"), b"\0\0\1\xb3"


class PacketReader:
    """The packets of some streams in the file's order; `broken` says afterwards why reading ended early."""

    def __init__(self, container: InputContainer, streams: Sequence[Stream], video: VideoStream) -> None:
        self._container, self._streams, self._video = container, streams, video
        name = container.format.name.split(",")[0]
        leaps = bool(container.format.flags & _CLOCK_STARTS_ANYWHERE)
        # MP4's times come from one table: they cannot restart, but go back where an edit repeats something.
        # libav's FLV demuxer stops without a word where another file was appended.
        self._stops = name == "flv"
        self._clock = GifClock() if name == "gif" else None if name == "mov" else Clock(leaps)
        self._loose = leaps or name == "gif"
        self.broken = ""

    def read(self, start: Fraction | None) -> Iterator[Packet]:
        """All packets, or what is needed to decode from `start` seconds on."""
        import av

        if start is not None and self._loose:
            yield from self._from_keyframe(start)
            return
        if start is not None:
            with suppress(av.FFmpegError):  # a file that cannot be searched is read from its beginning
                self._container.seek(int(start * av.time_base))
        yield from self._all()

    def _all(self) -> Iterator[Packet]:
        """All packets; where reading fails, what the decoder still holds comes out at the end."""
        import av

        reached = 0
        try:
            for packet in self._container.demux(self._streams):
                if self._clock is not None:
                    self._clock.set(packet)
                reached = max(reached, (packet.pos or 0) + packet.size)
                yield packet
            if self._stops and reached < self._container.size * _MOST:
                self.broken = f"reading stops at {100 * reached // self._container.size} % of the file"
        except (av.FFmpegError, ValueError, OverflowError) as error:
            self.broken = f"reading fails ({reason_of(error)})"
            flush = av.Packet()
            flush.stream = self._video
            flush.time_base = self._video.time_base or Fraction(1)
            yield flush

    def _from_keyframe(self, start: Fraction) -> Iterator[Packet]:
        """Reads from the beginning, since libav searches by the file's own clock; decoding can wait.

        It begins at the last keyframe but one before `start`: frames right after a keyframe may refer
        to what came before it.
        """
        lead: list[Packet] = []
        keyframe = 0
        searching = True
        for packet in self._all():
            if packet.stream.index != self._video.index or not searching:
                yield packet
                continue
            if packet.is_keyframe:
                lead, keyframe = lead[keyframe:], len(lead) - keyframe
            lead.append(packet)
            searching = packet.size > 0 and (packet.pts is None or packet.pts * packet.time_base < start)
            if not searching:
                yield from lead


class FrameDecoder:
    """The decoder of a stream's pictures, which counts them; interlaced ones are made whole on request.

    Where the file has no times of showing (AVI), frames take those of decoding, which are as many, in turn.
    """

    def __init__(self, video: VideoStream, deinterlace: bool, timed: bool) -> None:
        self._video = video
        self._decoder = decoder_of(video)
        self._deinterlacer = Deinterlacer() if deinterlace else None
        self._packets = self._hidden = self._frames = 0
        self._times: deque[int | None] | None = None if timed else deque()
        self._sides = b""  # width and height, as a sequence of MPEG-1 or -2 states them

    @property
    def name(self) -> str:
        """libav's name of the decoder."""
        return self._decoder.name

    def decode(self, packet: Packet) -> tuple[list[VideoFrame], int]:
        """The frames ready after one more packet, after an empty one all others; how many are damaged."""
        import av

        last = not packet.size
        if last and (packet.pts, packet.dts) != (None, None):
            return [], 0  # AVI's way to say that the frame before stays
        self._packets += not last
        self._hidden += packet.is_discard
        try:
            held = self._drained() if self._is_resized(packet) else []
            frames = [*held, *self._decoder.decode(None if last else packet)]
        except av.error.EOFError:
            frames = []
        except av.FFmpegError:
            return [], 1
        self._frames += len(frames)
        if self._times is not None:
            self._times.append(packet.dts)
            for frame in frames:
                frame.pts = self._times.popleft() if self._times else None
        damaged = sum(frame.is_corrupt for frame in frames)
        return self._whole(frames, last), damaged

    def _is_resized(self, packet: Packet) -> bool:
        """Whether pictures of another size begin, where libav's decoder drops the one it holds back."""
        if self._decoder.name not in _DROPS_WHEN_RESIZED:
            return False
        start, before = (data := bytes(packet)).find(_SEQUENCE), self._sides
        self._sides = data[start + 4 : start + 7] if start >= 0 else before
        return before not in (b"", self._sides)

    def _drained(self) -> list[VideoFrame]:
        frames = self._decoder.decode(None)
        self._decoder.flush_buffers()
        return frames

    def _whole(self, frames: list[VideoFrame], last: bool) -> list[VideoFrame]:
        import av

        if self._deinterlacer is None:
            return frames
        try:
            whole = [one for frame in frames for one in self._deinterlacer.push(frame)]
            return [*whole, *self._deinterlacer.push(None)] if last else whole
        except av.FFmpegError:  # they are too small for the filter
            self._deinterlacer = None
            return frames

    def missing(self) -> tuple[int, int]:
        """How many frames did not come though all packets were read that the file states, and of how many."""
        stated = self._packets - self._hidden
        came = self._packets == frames_of(self._video)
        return (max(0, stated - self._frames) if came else 0), stated
