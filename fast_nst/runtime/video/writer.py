"""Stylized frames to a video file, beside the copied streams of the source."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from fast_nst.errors import UserError
from fast_nst.pictures import UnsuitableFormat
from fast_nst.runtime.video.clips import Clip, Step
from fast_nst.runtime.video.codecs import (
    WITH_ALPHA,
    WITH_CAPTIONS,
    encoder_for,
    pixel_format,
    rate_for,
    takes_size,
    time_base_for,
)
from fast_nst.runtime.video.containers import reason_of
from fast_nst.runtime.video.frames import FrameMaker
from fast_nst.runtime.video.gif import GIF_TICK, Delays, Palettes, Shown, loop_option
from fast_nst.runtime.video.reader import VideoReader
from fast_nst.runtime.video.sound import SoundConverter, passage

if TYPE_CHECKING:
    from av import AudioStream, VideoStream
    from av.container import OutputContainer
    from av.packet import Packet
    from av.stream import Stream

logger = logging.getLogger("fast_nst")

# Tags that tell how a file's own bytes were stored, not of the film.
_FILE_BOUND = frozenset(
    ("major_brand", "minor_version", "compatible_brands", "encoder", "duration", "timecode")
)
_FAR = 2**48  # ticks
_STREAM_TAGS = ("language", "title", "handler_name")


class VideoWriter:
    """Encodes frames into the file `path`; `name` is what messages call it.

    `quality` goes from 1 to 100. `source` gives the streams, chapters and tags to copy.

    Raises UserError, also in `write` and `close`, when the file cannot be written, UnsuitableFormat
    when the codec does not take frames of that size.
    """

    def __init__(
        self,
        path: Path,
        name: str,
        muxer: str,
        codec: str,
        clip: Clip,
        quality: int,
        source: VideoReader | None,
        preset: str | None = None,
    ) -> None:
        import av

        if clip.opacity and codec != WITH_ALPHA.get(muxer):
            clip = replace(clip, opacity=False)  # and what is transparent is refused
        self._name, self._muxer, self._codec, self._clip = name, muxer, codec, clip
        self._palettes = Palettes(clip) if codec == "gif" else None
        self._time_base = GIF_TICK if self._palettes else time_base_for(codec, clip.time_base)
        self._delays = Delays() if self._palettes else None
        self._told_captions = False
        self._durations: dict[int | None, int] = {}
        self._last_dts: dict[int, int] = {}
        self._lost = 0
        options: dict[str, str] = {}
        if muxer in ("mp4", "mov"):
            ticks = self._time_base.denominator
            options = {
                "movflags": "faststart",  # a player can begin before the whole file came
                "video_track_timescale": str(ticks),
                "movie_timescale": str(ticks * -(-1000 // ticks)),  # of when the first frame is shown
            }
        elif muxer == "gif":
            options = {"loop": loop_option(clip.plays)}
        with self._explained():
            self._output = av.open(str(path.absolute()), "w", format=muxer, container_options=options)
        try:
            self._video = self._add_video(codec, quality, preset)
            kind = ("rgba" if clip.opacity else "rgb24") if self._palettes else self._video.pix_fmt or ""
            self._frames = FrameMaker(clip, kind)
            self._copies: dict[int, Stream | SoundConverter] = {}
            if source is not None:
                self._copies = _add_copies(self._output, muxer, source)
                _copy_tags(self._output, self._video, source)
            with self._explained():
                self._output.start_encoding()
        except BaseException:
            self.abandon()
            raise

    @property
    def problem(self) -> str | None:
        """What of the copied streams could not be written, in one line; None if nothing."""
        if not self._lost:
            return None
        packets = "1 damaged packet" if self._lost == 1 else f"{self._lost} damaged packets"
        return f"{packets} of sound or subtitles left out"

    def write(self, step: Step, pixels: np.ndarray | None) -> None:
        """Copy the packets of a step, and encode `pixels`, uint8 RGB [H, W, 3], in place of its own."""
        with self._explained():
            for packet in step.packets:
                self._copy(packet)
            if pixels is None:
                return
            self._check(step)
            scale = self._clip.time_base / self._time_base
            shown = Shown(step.pts * scale, step.duration * scale, pixels, step.opacity)
            for one in self._delays.add(shown) if self._delays else [shown]:
                self._encode(one, step)

    def close(self) -> None:
        """Encode what was held back, and write the end of the file."""
        with self._explained():
            for one in self._delays.end() if self._delays else []:
                self._encode(one, Step())
            for ready in self._palettes.turn(None) if self._palettes else []:
                self._mux(self._video.encode(ready))
            self._mux(self._video.encode(None))
            for copy in self._copies.values():
                if isinstance(copy, SoundConverter):
                    self._mux_converted(copy, None)
            self._output.close()

    def _check(self, step: Step) -> None:
        if step.opacity is not None and not self._clip.opacity:
            raise UnsuitableFormat(
                f"--alpha keep: {self._codec} in {self._muxer} carries no transparency; "
                "write mov, webm or gif, or give the color that lies under it"
            )
        if step.captions is not None and self._codec not in WITH_CAPTIONS and not self._told_captions:
            self._told_captions = True
            logger.warning("%s: closed captions are left out: %s carries none", self._name, self._codec)

    def _encode(self, shown: Shown, step: Step) -> None:
        pts, duration = round(shown.pts), round(shown.duration)
        self._durations[pts] = duration
        captions = step.captions if self._codec in WITH_CAPTIONS else None
        frame = self._frames.make(shown.pixels, shown.opacity, captions)
        frame.pts, frame.time_base, frame.duration = pts, self._time_base, duration
        for ready in self._palettes.turn(frame) if self._palettes else [frame]:
            self._mux(self._video.encode(ready))

    def abandon(self) -> None:
        """Let go of a file that will be deleted."""
        with suppress(Exception):  # what stopped the writing may stop its end too
            self._output.close()

    def _add_video(self, codec: str, quality: int, preset: str | None) -> VideoStream:
        import av
        from av.codec.codec import UnknownCodecError

        clip = self._clip
        steady = clip.steady or self._muxer not in ("mp4", "mov")
        encoder, options = encoder_for(codec, quality, preset, steady)
        rate = rate_for(codec, clip.rate)
        try:
            stream = self._output.add_stream(encoder, rate=rate, options=options)
        except UnknownCodecError as error:
            raise UserError(f"this PyAV has no encoder {encoder}; install av from PyPI") from error
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = clip.width, clip.height
        stream.pix_fmt = pixel_format(codec, clip)
        context = stream.codec_context
        context.time_base = self._time_base
        context.sample_aspect_ratio = clip.pixel_aspect
        if codec == "hevc" and self._muxer != "matroska":
            context.codec_tag = "hvc1"  # Apple plays no other
        if codec != "gif":
            tags = clip.color.tags
            context.colorspace, context.color_range, context.color_primaries, context.color_trc = tags
        size = f"{clip.width}x{clip.height} pixels at {float(rate):g} frames per second"
        unsuitable = UnsuitableFormat(f"cannot write {self._name}: {codec} does not take {size}")
        if not takes_size(codec, clip.width, clip.height):
            raise unsuitable
        try:
            context.open()
        except (OSError, ValueError, av.FFmpegError) as error:
            raise unsuitable from error
        return stream

    def _copy(self, packet: Packet) -> None:
        """Mux a packet of another file as it is. A damaged one is not worth the whole result."""
        import av

        copy = self._copies[packet.stream.index]
        if isinstance(copy, SoundConverter):
            self._mux_converted(copy, packet)
            return
        packet.stream = copy
        index = copy.index
        last = self._last_dts.get(index)
        assert packet.dts is not None
        assert packet.pts is not None
        # Matroska lets two subtitles begin at once; MP4's times must go forward.
        least = None if last is None else last + (self._muxer in ("mp4", "mov"))
        if least is not None and packet.dts < least:
            packet.dts = least
            packet.pts = max(packet.pts, least)
        self._last_dts[index] = packet.dts
        try:
            self._output.mux_one(packet)
        except av.FFmpegError as error:
            if isinstance(error, OSError):  # of the disk, not of the packet
                raise
            self._lost += 1

    def _mux_converted(self, converter: SoundConverter, packet: Packet | None) -> None:
        import av

        try:
            ready = converter.convert(packet)
        except (av.FFmpegError, ValueError):
            self._lost += 1
            return
        for one in ready:
            self._output.mux_one(one)

    def _mux(self, packets: Iterable[Packet]) -> None:
        for packet in packets:
            # Encoders forget how long a frame is, which matters for the last one.
            packet.duration = self._durations.pop(packet.pts, 0)
            # x265 gives any number to a clip of fewer frames than it reorders, and they come in order then.
            if packet.pts is not None and packet.dts is not None:
                packet.dts = packet.dts if abs(packet.pts - packet.dts) < _FAR else packet.pts
            self._output.mux_one(packet)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        import av

        try:
            yield
        except (OSError, av.FFmpegError) as error:
            raise UserError(f"cannot write {self._name}: {reason_of(error)}") from error


def _add_copies(
    output: OutputContainer, muxer: str, source: VideoReader
) -> dict[int, Stream | SoundConverter]:
    """Index of each stream of sound or subtitles -> its place in the output. Matroska gets its fonts, too."""
    copies: dict[int, Stream | SoundConverter] = {}
    for stream in source.copied:
        way = passage(muxer, stream)
        if way in ("aac", "opus"):
            converter = SoundConverter(output, cast("AudioStream", stream), way)
            copies[stream.index], copy = converter, cast("Stream", converter.stream)
        else:
            copies[stream.index] = copy = output.add_stream_from_template(stream)
        copy.metadata.update(_tags(stream))
        copy.disposition = stream.disposition
    for attachment in source.container.streams.attachments if muxer == "matroska" else ():
        output.add_stream_from_template(attachment)
    return copies


def _copy_tags(output: OutputContainer, video: VideoStream, source: VideoReader) -> None:
    for key, value in source.container.metadata.items():
        if key.lower() not in _FILE_BOUND:
            output.metadata[key] = value
    video.metadata.update(_tags(source.video))
    video.disposition = source.video.disposition
    if chapters := source.chapters():
        output.set_chapters(chapters)


def _tags(stream: Stream) -> dict[str, str]:
    return {key: value for key, value in stream.metadata.items() if key.lower() in _STREAM_TAGS}
