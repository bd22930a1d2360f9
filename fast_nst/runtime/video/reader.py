"""A video file as upright RGB frames in order, with the packets of its other streams between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from fast_nst.runtime.video.clips import Clip, Step, Wanted, fit
from fast_nst.runtime.video.containers import (
    UnreadableVideo,
    begin_of,
    length_of,
    main_video,
    open_container,
    rate_of,
)
from fast_nst.runtime.video.frames import (
    MAPPED,
    PixelReader,
    color_for_size,
    color_of,
    has_alpha,
    is_hdr,
    side_data,
    turn_of,
)
from fast_nst.runtime.video.gif import plays_of
from fast_nst.runtime.video.packets import FrameDecoder, PacketReader

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container.core import Chapter
    from av.packet import Packet
    from av.stream import Stream

_STATE_THEIR_LENGTH = ("mov", "matroska", "avi", "asf", "flv", "mxf", "nut")
_RATE_IS_A_CLAIM = ("matroska", "asf", "flv", "nut")  # every frame has a time of its own all the same
_MISSING = Fraction(1, 4)  # seconds a file may end before the length it states
_HEAVY = 256  # packets without a frame between them after which they are handed on all the same


class VideoReader:
    """The frames of a file, to be iterated once; a damaged one gives what decodes of it.

    `copied` chooses the audio and subtitle streams whose packets are handed on. `notes` say what of it
    the frames do not show, `problem` says afterwards what was wrong with the file.

    Raises UnreadableVideo for a file that gives no frame.
    """

    def __init__(self, path: Path, wanted: Wanted, copied: Callable[[Stream], bool]) -> None:
        self.path, self._wanted = path, wanted
        self._damaged = 0  # frames
        self._first_damage = Fraction(0)
        self._broken = ""
        self._reached = Fraction(0)  # seconds, end of the last frame
        self._heard = Fraction(0)  # seconds, end of the last packet
        self._missing = ""
        self.notes: list[str] = []
        self.container = open_container(path)
        try:
            self.video = main_video(self.container, str(self.path), wanted.max_pixels)
            others = [s for s in self.container.streams if s.type in ("audio", "subtitle")]
            self._streams = [self.video, *others]
            self.copied = [stream for stream in others if copied(stream)]
            self._kind = self.container.format.name.split(",")[0]
            # Further pictures count where a file states one length for all that is in it.
            videos = self.container.streams.video if self._states_one_length() else ()
            counted = [stream for stream in videos if stream.index != self.video.index]
            self._packets = PacketReader(self.container, [*self._streams, *counted], self.video)
            self._decoder = FrameDecoder(self.video, wanted.deinterlace, timed=self._kind != "avi")
            self._begin = self._shift = begin_of(self.container)
            self._cut = None if wanted.end is None else self._begin + wanted.end
            self._started = False
            self._last_pts: int | None = None
            self._frames = self._read()
            first = next(self._frames, None)
            if first is None:
                raise UnreadableVideo(str(self.path), self._why_nothing())
            assert first[0] is not None
            self._turn = turn_of(first[0])
            self.clip = self._describe(first[0])
            size = (self.clip.width, self.clip.height)
            self._pixels = PixelReader(*size, self._turn, self._decoder.name, wanted)
            self._frames = chain([first], self._frames)
        except BaseException:
            self.container.close()
            raise

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.container.close()

    def __iter__(self) -> Iterator[Step]:
        for frame, packets in self._frames:
            if frame is None:
                yield Step(packets=packets)
            else:
                yield self._step(frame, packets)

    @property
    def problem(self) -> str | None:
        """What was wrong with the part read so far, in one line; None if nothing."""
        said = []
        if self._broken:
            said.append(f"{self._broken} after {float(self._reached - self._begin):.2f} s")
        if self._damaged:
            frames = "1 frame is" if self._damaged == 1 else f"{self._damaged} frames are"
            said.append(f"{frames} damaged, the first at {float(self._first_damage - self._begin):.2f} s")
        elif self._missing:
            said.append(self._missing)
        return "; ".join(said) or None

    def chapters(self) -> list[Chapter]:
        """The file's chapters in the result's time, those outside the part wanted left out."""
        kept = []
        for chapter in self.container.chapters():
            time_base = chapter["time_base"] or Fraction(1)
            ticks = round(self._shift / time_base)
            start, end = max(0, chapter["start"] - ticks), chapter["end"] - ticks
            if self._cut is not None:
                end = min(end, round((self._cut - self._shift) / time_base))
            if end > start:
                kept.append(chapter | {"start": start, "end": end})
        return kept

    def _read(self) -> Iterator[tuple[VideoFrame | None, list[Packet]]]:
        """Frames of the part wanted, timed for the result, each with the packets before it."""
        start, until = self._begin + self._wanted.start, self._cut
        waiting: list[Packet] = []
        unfinished = {stream.index for stream in self._streams if stream.type != "subtitle"}
        copied = {stream.index for stream in self.copied}
        for packet in self._packets.read(start if self._wanted.start else None):
            index = packet.stream.index  # an empty packet's own says 0, whatever it flushes
            if index == self.video.index:
                for frame in self._decode(packet) if index in unfinished else ():
                    seconds = self._set_time(frame)
                    if until is not None and seconds >= until:
                        unfinished.discard(index)
                        break
                    if seconds < start and self._wanted.start:
                        continue
                    if not self._started and self._wanted.start:
                        self._shift = seconds
                    self._started = True
                    frame.pts = (frame.pts or 0) - round(self._shift / packet.time_base)
                    yield frame, self._retimed(waiting)
                    waiting = []
            elif packet.size and packet.pts is not None:
                seconds = packet.pts * packet.time_base
                ending = seconds + (packet.duration or 0) * packet.time_base
                self._heard = max(self._heard, ending)
                if until is not None and seconds >= until:
                    unfinished.discard(index)
                elif index in copied and (ending > start or not self._wanted.start):
                    waiting.append(packet)
                if len(waiting) >= _HEAVY and self._started:
                    yield None, self._retimed(waiting)
                    waiting = []
            if not unfinished:
                break
        else:
            self._broken = self._packets.broken
            if self._started and not self._broken:
                self._look_back()
        if waiting and self._started:
            yield None, self._retimed(waiting)

    def _decode(self, packet: Packet) -> list[VideoFrame]:
        frames, damaged = self._decoder.decode(packet)
        for _ in range(damaged):
            self._note_damage()
        return frames

    def _step(self, frame: VideoFrame, packets: list[Packet]) -> Step:
        import av

        try:
            pixels, opacity, rgb = self._pixels.read(frame)
        except av.FFmpegError:  # a damaged header can announce pixels of any kind
            self._note_damage()
            return Step(packets=packets)
        captions = rgb if side_data(rgb, "A53_CC") is not None else None
        return Step(pixels, frame.pts or 0, frame.duration, packets, opacity, captions)

    def _note_damage(self) -> None:
        if not self._started and self._wanted.start:
            return  # before the part wanted
        if not self._damaged:
            self._first_damage = self._reached or self._begin
        self._damaged += 1

    def _set_time(self, frame: VideoFrame) -> Fraction:
        """Times that always go forward, where the file has none too; returns the frame's, in seconds."""
        time_base = self.video.time_base or Fraction(1, 1000)
        usual = max(1, round(1 / (rate_of(self.video) * time_base)))
        pts = frame.pts if frame.pts is not None else frame.dts
        if pts is None or (self._last_pts is not None and pts <= self._last_pts):
            pts = 0 if self._last_pts is None else self._last_pts + usual
        frame.pts = self._last_pts = pts
        frame.time_base = time_base
        if frame.duration <= 0:
            frame.duration = usual
        self._reached = (pts + frame.duration) * time_base
        return pts * time_base

    def _retimed(self, packets: list[Packet]) -> list[Packet]:
        """The packets in the result's time; those from before its first frame are dropped or, if
        they are subtitles still shown, begin with it."""
        kept = []
        for packet in packets:
            ticks = round(self._shift / packet.time_base)
            assert packet.pts is not None
            packet.pts -= ticks
            packet.dts = packet.pts if packet.dts is None else packet.dts - ticks
            ending = packet.pts + (packet.duration or 0)
            if self._wanted.start and packet.pts < 0:
                if packet.stream.type != "subtitle" or ending <= 0:
                    continue
                packet.pts = packet.dts = 0
            if packet.stream.type == "subtitle" and self._cut is not None:
                last = round((self._cut - self._shift) / packet.time_base)
                packet.duration = min(ending, last) - packet.pts
            kept.append(packet)
        return kept

    def _look_back(self) -> None:
        """Note where less came than the file states that it holds."""
        missing, stated = self._decoder.missing()
        if self._ends_early():
            self._broken = "the file ends"
        elif missing and not self._wanted.start:
            self._missing = f"{missing} of its {stated} frames did not decode"

    def _states_one_length(self) -> bool:
        return self._kind in _STATE_THEIR_LENGTH and self.video.duration is None

    def _ends_early(self) -> bool:
        if self._kind not in _STATE_THEIR_LENGTH:
            return False
        duration, time_base = self.video.duration, self.video.time_base
        if duration is not None and time_base is not None:
            stated, came = ((self.video.start_time or 0) + duration) * time_base, self._reached
        else:
            length = length_of(self.container)  # counted from zero in some files, from the begin in others
            stated = length if length > self._begin else self._begin + length
            came = max(self._reached, self._heard)
        return came < (stated if self._cut is None else min(stated, self._cut)) - _MISSING

    def _describe(self, frame: VideoFrame) -> Clip:
        width, height = frame.width, frame.height
        aspect = self.video.sample_aspect_ratio or Fraction(1)
        if self._turn.swaps:
            width, height, aspect = height, width, 1 / aspect
        shown = (width, height)
        if self._wanted.square_pixels:
            shown = (width * aspect, height) if aspect > 1 else (width, height / aspect)  # type: ignore[assignment]
            aspect = Fraction(1)
        hdr = is_hdr(frame)
        if hdr and self._wanted.tone_map:
            self.notes.append("HDR is tone-mapped to SDR (--hdr keep leaves it)")
        for name, kind in (("SPHERICAL", "360-degree"), ("STEREO3D", "3D")):
            if side_data(frame, name) is not None:
                self.notes.append(f"what makes it a {kind} video is left out: players show it flat")
        rate = rate_of(self.video)
        length = (self._wanted.end or length_of(self.container)) - self._wanted.start
        frames = self.video.frames
        if not frames or self._wanted.start or self._wanted.end is not None:
            frames = max(0, round(length * rate))
        fitted = fit(*shown, self._wanted.size) if (shown != (width, height) or self._wanted.size) else shown
        return Clip(
            *fitted,
            time_base=self.video.time_base or Fraction(1, 1000),
            rate=rate,
            color=MAPPED if hdr and self._wanted.tone_map else color_for_size(color_of(frame), *fitted),
            pixel_aspect=aspect,
            frames=frames or None,
            steady=self._kind not in _RATE_IS_A_CLAIM and self.video.average_rate == self.video.base_rate,
            opacity=has_alpha(frame) and self._wanted.alpha == "keep",
            plays=plays_of(self.path) if self._kind == "gif" else 0,
            deep=hdr and not self._wanted.tone_map,
        )

    def _why_nothing(self) -> str:
        if self._broken or self._damaged:
            return f"no frame of it decodes ({self._broken or 'the data is damaged'})"
        length = float(length_of(self.container))
        if self._wanted.start and self._wanted.start >= length:
            return f"nothing comes after --start {float(self._wanted.start):g}; it lasts {length:.2f} s"
        part = self._wanted.start or self._wanted.end is not None
        return "no frame lies in that part of it" if part else "no frame of it decodes"
