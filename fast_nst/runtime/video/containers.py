"""Video files as libav sees them: opened safely, with their main stream and length."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from fast_nst.errors import UnreadableFile, UserError, one_line
from fast_nst.machine.limits import limited_threads

if TYPE_CHECKING:
    from av import VideoCodecContext, VideoStream
    from av.container import InputContainer

# Demuxers of containers that hold what they play: none that follows addresses found in a file
# (playlists), none that takes any text for a video.
_DEMUXERS = (
    "mov,matroska,webm,avi,gif,mpeg,mpegts,mpegvideo,flv,asf,ogg,mxf,nut,ivf,h264,hevc,m4v,obu,mjpeg,"
    "yuv4mpegpipe,rm,dv,wtv,mp3,wav,flac,aac"
)
# Their packets may hold frames that are never shown, or two of them.
_PACKETS_WITHOUT_FRAMES = ("vp8", "vp9", "mpeg4", "msmpeg4v3")
_CLOCK_WRAPS = ("mpegts", "mpeg")
_ATTACHED_PICTURE = 0x400  # libavformat's AV_DISPOSITION_ATTACHED_PIC: cover art


class UnreadableVideo(UnreadableFile):
    """A file that gives not a single frame; `reason` says why, without the name."""


def open_container(path: Path) -> InputContainer:
    """libav's view of a local file. Raises UnreadableVideo."""
    import av

    if path.exists() and not path.is_file():  # a named pipe would be waited for
        raise UnreadableVideo(str(path), "not a regular file")
    try:
        # The absolute name: in a relative one a colon would make an address of it.
        options = {"format_whitelist": _DEMUXERS, "protocol_whitelist": "file"}
        return av.open(str(path.absolute()), options=options, metadata_errors="replace")
    except (av.FFmpegError, ValueError) as error:
        if not path.exists():
            raise UnreadableVideo(str(path), "no such file") from None
        if path.stat().st_size == 0:
            raise UnreadableVideo(str(path), "the file is empty") from None
        reason = f"not a video, or damaged, or of a kind that cannot be read ({reason_of(error)})"
        raise UnreadableVideo(str(path), reason) from error


def main_video(container: InputContainer, name: str, max_pixels: int | None) -> VideoStream:
    """The video stream a player would show, ready to decode.

    `name` is the file's, for messages. Raises UnreadableVideo if there is none, none that decodes,
    or its frames have more than `max_pixels` (None: Pillow's limit for pictures, 179 million).
    """
    videos = [s for s in container.streams.video if not s.disposition & _ATTACHED_PICTURE]
    if not videos:
        raise UnreadableVideo(name, "holds no video stream")
    best = container.streams.best("video")
    stream = next((video for video in videos if best is not None and video.index == best.index), videos[0])
    if stream.codec_context is None:
        raise UnreadableVideo(name, "its video codec cannot be decoded")
    pixels = stream.codec_context.width * stream.codec_context.height
    if max_pixels is None and Image.MAX_IMAGE_PIXELS is not None:
        max_pixels = 2 * Image.MAX_IMAGE_PIXELS  # as for pictures
    if max_pixels is not None and pixels > max_pixels:
        size = f"{stream.codec_context.width}x{stream.codec_context.height}"
        raise UnreadableVideo(
            name, f"{size} is more than the limit of {max_pixels} pixels; raise --max-pixels"
        )
    stream.thread_type = "AUTO"
    stream.codec_context.thread_count = limited_threads() or 0
    return stream


def decoder_of(stream: VideoStream) -> VideoCodecContext:
    """The stream's decoder; libvpx's own where there is an alpha channel, which libav's leave out."""
    import av

    name = {"vp8": "libvpx", "vp9": "libvpx-vp9"}.get(stream.codec_context.name)
    if name is None or _told(stream, "alpha_mode") != "1":
        return stream.codec_context
    try:
        decoder = av.CodecContext.create(name, "r")
    except av.codec.codec.UnknownCodecError as error:
        raise UserError(f"this PyAV has no decoder {name}; install av from PyPI") from error
    assert isinstance(decoder, av.VideoCodecContext)
    for name in ("color_range", "color_primaries", "color_trc", "colorspace"):  # as the container tells them
        setattr(decoder, name, getattr(stream.codec_context, name))
    return decoder


def frames_of(stream: VideoStream) -> int | None:
    """How many packets of one frame each a file says that there are, None if it does not."""
    if stream.codec_context.name in _PACKETS_WITHOUT_FRAMES:
        return None
    return stream.frames or int(_told(stream, "number_of_frames") or 0) or None


def _told(stream: VideoStream, tag: str) -> str | None:
    """A tag of the stream; programs write their names in upper or lower case."""
    return next((value for name, value in stream.metadata.items() if name.lower() == tag), None)


def begin_of(container: InputContainer) -> Fraction:
    """When the first of its streams begins, in seconds; what comes before zero is cut by players.

    Not where zero is only where a clock of 33 bits wraps: libav counts what lies before it as negative.
    """
    starts = [
        stream.start_time * stream.time_base
        for stream in container.streams
        if stream.type in ("video", "audio") and stream.start_time is not None and stream.time_base
    ]
    first = min(starts, default=Fraction(0))
    return first if container.format.name in _CLOCK_WRAPS else max(Fraction(0), first)


def length_of(container: InputContainer) -> Fraction:
    """Length in seconds, 0 if unknown."""
    import av

    return Fraction(container.duration or 0, av.time_base)


def rate_of(video: VideoStream) -> Fraction:
    """Frames per second on average, 25 if unknown."""
    return video.average_rate or video.guessed_rate or Fraction(25)


def reason_of(error: Exception) -> str:
    """What libav says is wrong, less its codes."""
    text = getattr(error, "strerror", None) or one_line(error)
    return text[:1].lower() + text[1:]
