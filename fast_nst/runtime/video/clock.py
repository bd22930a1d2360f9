"""One line of time through a file whose own clock restarts or leaps, as in joined transport streams."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, cast

from fast_nst.runtime.video.containers import rate_of

if TYPE_CHECKING:
    from av import VideoStream
    from av.packet import Packet

_BACK = Fraction(1, 10)  # seconds a stream's decoding times never go back by while its clock runs
_LEAP = 2  # seconds without a packet of any stream that a transport stream never takes
_SIDE_BY_SIDE = 1  # seconds that streams stored together are apart at most


class Clock:
    """Moves packets to where they come in the material; to be shown all packets in the file's order.

    A restart is told by a stream's time going back, a leap (only looked for with `leaps`) by all
    streams going ahead. What follows is put behind what came; packets of other streams that were
    stored a little late still go by the clock before.
    """

    def __init__(self, leaps: bool) -> None:
        self._leaps = leaps
        self._shifts = [Fraction(0)]  # seconds to add, the newest clock's last
        self._joined = Fraction(0)  # where the newest began
        # Stream of picture or sound -> where its last packet began, where the next one is due, both by
        # the order of decoding; and until when it is seen or heard.
        self._last: dict[int, Fraction] = {}
        self._next: dict[int, Fraction] = {}
        self._end: dict[int, Fraction] = {}

    def set(self, packet: Packet) -> None:
        """Give a packet its time in the material."""
        index, kind = packet.stream.index, packet.stream.type
        # The order of pictures on screen is not that of their packets, which a clock goes by.
        ticks = packet.pts if packet.dts is None and kind != "video" else packet.dts
        if ticks is None:
            self._move(packet, self._shifts[-1])
            return
        own = ticks * packet.time_base
        front = max(self._next.values(), default=None)
        due = self._next.get(index, front)
        shift = self._shifts[-1]
        if due is not None and front is not None:
            shift = self._choose(own, due, front)
            # Streams begin side by side or not: only those that have begun can be out of step.
            if index in self._last and self._is_broken(own + shift, self._last[index], front):
                end = self._end[index]
                self._joined = end if front - end < _SIDE_BY_SIDE else front
                shift = self._joined - (own if packet.pts is None else packet.pts * packet.time_base)
                self._shifts = [self._shifts[-1], shift]
        self._move(packet, shift)
        if kind != "subtitle":
            length = self._length(packet, own + shift)
            self._last[index] = own + shift
            self._next[index] = own + shift + length
            shown = own + shift if packet.pts is None else packet.pts * packet.time_base
            self._end[index] = max(self._end.get(index, shown), shown + length)

    def _length(self, packet: Packet, time: Fraction) -> Fraction:
        """In seconds; transport streams do not state it of pictures, whose neighbors tell, or the rate."""
        if packet.duration or packet.stream.type != "video":
            return (packet.duration or 0) * packet.time_base
        apart = time - self._last.get(packet.stream.index, time)
        return apart if 0 < apart < _BACK else 1 / rate_of(cast("VideoStream", packet.stream))

    def _move(self, packet: Packet, shift: Fraction) -> None:
        if shift:
            ticks = round(shift / packet.time_base)
            packet.pts = None if packet.pts is None else packet.pts + ticks
            packet.dts = None if packet.dts is None else packet.dts + ticks

    def _choose(self, own: Fraction, due: Fraction, front: Fraction) -> Fraction:
        """The newest clock's shift, or the one's before where that fits a packet stored late."""
        if front > self._joined + _SIDE_BY_SIDE:
            del self._shifts[:-1]
        shifts = self._shifts if front - due < _SIDE_BY_SIDE else self._shifts[-1:]
        return min(reversed(shifts), key=lambda shift: abs(own + shift - due))

    def _is_broken(self, time: Fraction, last: Fraction, front: Fraction) -> bool:
        return time < last - _BACK or (self._leaps and time > front + _LEAP)
