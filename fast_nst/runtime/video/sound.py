"""Sound and subtitles on their way from one container into another: copied, converted or left out."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Literal, cast

from fast_nst.runtime.video.filters import pulled, sound_graph

if TYPE_CHECKING:
    from av import AudioFrame, AudioStream
    from av.container import OutputContainer
    from av.filter import Graph
    from av.packet import Packet
    from av.stream import Stream

Passage = Literal["copy", "aac", "opus"]
# libav writes these into MP4 and MOV, but hardly a player takes them from there.
_UNPLAYED = {"mp4": ("pcm_", "adpcm_", "vorbis", "wma"), "mov": ("adpcm_", "vorbis", "wma")}
_AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)
_BITS = 96_000  # per second and channel: transparent for both codecs


def passage(muxer: str, stream: Stream) -> Passage | None:
    """How a stream of another file comes into a container; None where it cannot."""
    codec = stream.codec_context.name if stream.codec_context else ""
    if can_hold(muxer, stream) and not codec.startswith(_UNPLAYED.get(muxer, ("none",))):
        return "copy"
    if stream.type != "audio" or not codec or muxer == "gif":
        return None
    return "opus" if muxer == "webm" else "aac"


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


class SoundConverter:
    """Decodes the packets of an audio stream and encodes them for a stream added to `output`."""

    def __init__(self, output: OutputContainer, source: AudioStream, codec: Passage) -> None:
        context = source.codec_context
        rate = 48000 if codec == "opus" or context.sample_rate not in _AAC_RATES else context.sample_rate
        layout = {1: "mono", 2: "stereo"}.get(context.channels, "5.1" if context.channels > 5 else "stereo")
        encoder = "libopus" if codec == "opus" else "aac"
        self.stream = cast("AudioStream", output.add_stream(encoder, rate=rate))
        self.stream.codec_context.layout = layout
        self.stream.codec_context.bit_rate = _BITS * self.stream.codec_context.channels
        self._source = source
        self._graph: Graph | None = None
        self._form: object = None

    def convert(self, packet: Packet | None) -> list[Packet]:
        """The packets ready after one more, after None the last ones. FFmpegError for a damaged one."""
        import av

        try:
            frames = self._source.codec_context.decode(packet)
        except av.error.EOFError:
            frames = []
        ready = [one for frame in frames for one in self._encode(frame)]
        if packet is None:
            ready += self._end_graph()
            ready += self.stream.encode(None)
        return ready

    def _encode(self, frame: AudioFrame) -> list[Packet]:
        ready: list[Packet] = []
        form = (frame.sample_rate, frame.format.name, frame.layout.name)
        if self._form != form:
            ready += self._end_graph()
            context = self.stream.codec_context
            self._graph = sound_graph(frame, context.rate, context.layout.name, context.format.name)
            self._form = form
        assert self._graph is not None
        self._graph.push(frame)
        return ready + self._encoded()

    def _end_graph(self) -> list[Packet]:
        if self._graph is None:
            return []
        self._graph.push(None)
        return self._encoded()

    def _encoded(self) -> list[Packet]:
        assert self._graph is not None
        return [packet for frame in pulled(self._graph) for packet in self.stream.encode(frame)]
