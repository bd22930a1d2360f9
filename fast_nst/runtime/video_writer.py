"""Stylized frames to a video file, beside the copied streams of the source."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fast_nst.errors import UserError
from fast_nst.pictures import UnsuitableFormat
from fast_nst.runtime.clips import Clip, Step
from fast_nst.runtime.containers import reason_of
from fast_nst.runtime.gif import GIF_TICK, SHORTEST, Palettes, loop_count
from fast_nst.runtime.video_frames import to_frame
from fast_nst.runtime.video_reader import VideoReader

if TYPE_CHECKING:
    from av import VideoStream
    from av.container import OutputContainer
    from av.packet import Packet
    from av.stream import Stream

CODECS = ("h264", "vp9", "av1")
# Tags that tell how a file's own bytes were stored, not of the film.
_FILE_BOUND = frozenset(
    ("major_brand", "minor_version", "compatible_brands", "encoder", "duration", "timecode")
)
_STREAM_TAGS = ("language", "title", "handler_name")


def can_hold(muxer: str, stream: Stream) -> bool:
    """Whether a container can carry a stream of another file as it is, found by trying."""
    import av

    try:
        with av.open(io.BytesIO(), "w", format=muxer) as trial:
            trial.add_stream_from_template(stream)
            trial.start_encoding()
    except (av.FFmpegError, ValueError):
        return False
    return True


def choose_codec(muxer: str, codec: str | None) -> str:
    """The codec for a container, "gif" for GIF. UserError if it cannot hold the one asked for."""
    if codec is None:
        return {"webm": "vp9", "gif": "gif"}.get(muxer, "h264")
    if muxer == "gif" or (muxer == "webm" and codec == "h264"):
        holds = "vp9 or av1" if muxer == "webm" else "nothing but its own codec"
        raise UserError(f"--codec {codec}: {muxer} holds {holds}")
    return codec


def keeps_pixel_aspect(muxer: str, codec: str) -> bool:
    """Whether a file can say that its pixels are not square.

    H.264 says it in its own data, MP4 and MOV in theirs; PyAV has no way to tell the muxer of WebM
    and Matroska.
    """
    return codec == "h264" or muxer in ("mp4", "mov")


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
    ) -> None:
        import av

        self._name, self._muxer, self._clip = name, muxer, clip
        self._palettes = Palettes(clip) if codec == "gif" else None
        self._time_base = GIF_TICK if self._palettes else clip.time_base
        self._last_pts: int | None = None
        self._durations: dict[int | None, int] = {}
        self._last_dts: dict[int, int] = {}
        self._lost = 0
        options: dict[str, str] = {}
        if muxer in ("mp4", "mov"):
            ticks = clip.time_base.denominator
            options = {
                "movflags": "faststart",  # a player can begin before the whole file came
                "video_track_timescale": str(ticks),
                "movie_timescale": str(ticks * -(-1000 // ticks)),  # of when the first frame is shown
            }
        elif muxer == "gif":
            options = {"loop": str(loop_count(source.path if source else None))}
        with self._explained():
            self._output = av.open(str(path.absolute()), "w", format=muxer, container_options=options)
        try:
            self._video = self._add_video(codec, quality)
            self._copies: dict[int, Stream] = {}
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
            scale = self._clip.time_base / self._time_base
            pts, duration = round(step.pts * scale), round(step.duration * scale)
            if self._palettes:
                if self._last_pts is not None and pts < self._last_pts + SHORTEST:
                    return
                duration = max(duration, SHORTEST)
            self._last_pts, self._durations[pts] = pts, duration
            frame = to_frame(pixels, self._clip, "rgb24" if self._palettes else self._video.pix_fmt or "")
            frame.pts, frame.time_base, frame.duration = pts, self._time_base, duration
            for ready in self._palettes.turn(frame) if self._palettes else [frame]:
                self._mux(self._video.encode(ready))

    def close(self) -> None:
        """Encode what was held back, and write the end of the file."""
        with self._explained():
            for ready in self._palettes.turn(None) if self._palettes else []:
                self._mux(self._video.encode(ready))
            self._mux(self._video.encode(None))
            self._output.close()

    def abandon(self) -> None:
        """Let go of a file that will be deleted."""
        with suppress(Exception):  # what stopped the writing may stop its end too
            self._output.close()

    def _add_video(self, codec: str, quality: int) -> VideoStream:
        import av
        from av.codec.codec import UnknownCodecError

        clip = self._clip
        encoder, options = _encoder(codec, quality)
        if codec == "h264" and not clip.steady:
            # MP4 adds up the times between frames as they are decoded. B-frames decode in another
            # order, and with uneven times the sum misses the end.
            options["bf"] = "0"
        try:
            stream = self._output.add_stream(encoder, rate=clip.rate, options=options)
        except UnknownCodecError as error:
            raise UserError(f"this PyAV has no encoder {encoder}; install av from PyPI") from error
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = clip.width, clip.height
        # 4:2:0 plays everywhere, but in H.264 its sides are even; 4:4:4 keeps an odd size as it is.
        odd = codec == "h264" and (clip.width % 2 or clip.height % 2)
        stream.pix_fmt = "pal8" if codec == "gif" else "yuv444p" if odd else "yuv420p"
        context = stream.codec_context
        context.time_base = self._time_base
        context.sample_aspect_ratio = clip.pixel_aspect
        if codec != "gif":
            tags = clip.color.tags
            context.colorspace, context.color_range, context.color_primaries, context.color_trc = tags
        try:
            context.open()
        except (OSError, ValueError, av.FFmpegError) as error:
            size = f"{clip.width}x{clip.height} pixels"
            raise UnsuitableFormat(f"cannot write {self._name}: {codec} does not take {size}") from error
        return stream

    def _copy(self, packet: Packet) -> None:
        """Mux a packet of another file as it is. A damaged one is not worth the whole result."""
        import av

        packet.stream = self._copies[packet.stream_index]
        index = packet.stream_index
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

    def _mux(self, packets: Iterable[Packet]) -> None:
        for packet in packets:
            # Encoders forget how long a frame is, which matters for the last one.
            packet.duration = self._durations.pop(packet.pts, 0)
            self._output.mux_one(packet)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        import av

        try:
            yield
        except (OSError, av.FFmpegError) as error:
            raise UserError(f"cannot write {self._name}: {reason_of(error)}") from error


def _encoder(codec: str, quality: int) -> tuple[str, dict[str, str]]:
    """libav's encoder and its options; quality 75 is each one's usual rate factor."""
    factor = 45.5 - 0.3 * quality  # x264's: 95 -> 17, 75 -> 23, 50 -> 30.5
    if codec == "gif":
        return "gif", {}
    if codec == "vp9":
        speed = {"deadline": "good", "cpu-used": "3", "row-mt": "1"}
        return "libvpx-vp9", {"crf": f"{factor + 8:.0f}", "b": "0", **speed}
    if codec == "av1":
        os.environ.setdefault("SVT_LOG", "1")  # errors only; it prints a page on stderr
        return "libsvtav1", {"crf": f"{factor + 12:.0f}", "preset": "8"}
    return "libx264", {"crf": f"{factor:.1f}", "preset": "medium"}


def _add_copies(output: OutputContainer, muxer: str, source: VideoReader) -> dict[int, Stream]:
    """Index of each stream to copy -> its place in the output. Matroska gets its fonts, too."""
    copies = {}
    for stream in source.copied:
        copy = output.add_stream_from_template(stream)
        copy.metadata.update(_tags(stream))
        copy.disposition = stream.disposition
        copies[stream.index] = copy
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
