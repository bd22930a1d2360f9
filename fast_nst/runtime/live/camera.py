"""A camera's frames as they come, through libav's devices; or those of a video file, as if it were one."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fast_nst.errors import UserError
from fast_nst.runtime.live.newest import Newest
from fast_nst.runtime.video.clips import Wanted
from fast_nst.runtime.video.containers import main_video, open_container, rate_of, reason_of
from fast_nst.runtime.video.frames import PixelReader, turn_of

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.packet import Packet

_SYSTEMS = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}
_HD = {"video_size": "1280x720", "framerate": "30"}
# Asked of a camera in turn: many send so many pixels as JPEG only, and some refuse what is not theirs.
_WISHES = [{"input_format": "mjpeg"} | _HD, _HD, {"framerate": "30"}, {}]
_RATES = (5, 120)  # per second; what is outside is no camera's
_PATIENCE = 10.0  # seconds for the first frame
_AGAIN = 0.005  # seconds until a device is asked again that has nothing yet


class Camera:
    """A camera, or a video file in its place that is played again and again.

    Its frames come as a context manager's block begins. `name` is what the user may know it by, `size` its
    frames' width and height, `rate` how many come in a second.

    Raises UserError for a camera that is not there or gives nothing, UnreadableVideo for such a file.
    """

    def __init__(self, name: str | None) -> None:
        self._file = Path(name) if name is not None and Path(name).is_file() else None
        self.name = name if name is not None and self._file is not None else _device(name)
        self._container = self._open()
        self._stopped = False
        video = main_video(self._container, self.name, None)
        low, high = _RATES
        self.rate = min(max(rate_of(video), Fraction(low)), Fraction(high))
        self._newest = Newest(self._play())
        self._pixels: tuple[tuple[int, int], PixelReader] | None = None

    def __enter__(self) -> Camera:
        self._newest.__enter__()
        try:
            first = self._newest.take(_PATIENCE)
            if first is None:
                raise UserError(f"camera {self.name} gives no picture")
        except BaseException:
            self.__exit__()
            raise
        self._turn = turn_of(first)
        self.size = (first.height, first.width) if self._turn.swaps else (first.width, first.height)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        self._newest.__exit__()

    def take(self, seconds: float) -> VideoFrame | None:
        """The newest frame that was not taken yet; None if none comes for that long. Raises UserError when
        the camera is gone."""
        return self._newest.take(seconds)

    def pixels(self, frame: VideoFrame, side: int) -> np.ndarray:
        """A frame's pixels, upright uint8 RGB [H, W, 3], its longer side reduced to `side`."""
        scale = min(1.0, side / max(self.size))
        width, height = (max(1, round(length * scale)) for length in self.size)
        if self._pixels is None or self._pixels[0] != (width, height):
            reader = PixelReader(width, height, self._turn, self._codec, Wanted(srgb=True))
            self._pixels = (width, height), reader
        return self._pixels[1].read(frame)[0]

    def _open(self) -> InputContainer:
        return open_container(self._file) if self._file is not None else _open_device(self.name)

    def _play(self) -> Iterator[VideoFrame]:
        """Frames as they come, or when a file's are due."""
        due, container = time.monotonic(), self._container
        while True:
            shown = 0
            with container:
                for frame in self._decode(container):
                    shown += 1
                    if self._file is not None:
                        due += float(1 / self.rate)
                        time.sleep(max(0.0, due - time.monotonic()))
                    if self._stopped:
                        return
                    yield frame
            if self._file is None:
                raise UserError(f"camera {self.name} is gone")
            if not shown:
                raise UserError(f"{self.name}: no frame of it decodes")
            due, container = max(due, time.monotonic()), self._open()

    def _decode(self, container: InputContainer) -> Iterator[VideoFrame]:
        import av

        video = main_video(container, self.name, None)
        video.thread_type = "SLICE"  # threads for frames hold a few back
        self._codec = video.codec_context.name
        try:
            for packet in self._packets(container, video.index):
                try:
                    yield from packet.decode()
                except av.InvalidDataError:
                    continue  # a camera's first ones may be in pieces
        except av.FFmpegError as error:
            raise UserError(f"camera {self.name}: {reason_of(error)}") from error

    def _packets(self, container: InputContainer, index: int) -> Iterator[Packet]:
        while not self._stopped:
            try:
                yield from container.demux(container.streams[index])
                return
            except BlockingIOError:
                time.sleep(_AGAIN)


def _device(name: str | None) -> str:
    """libav's name of a camera that the user names, or of the system's first."""
    import av

    system = _SYSTEMS.get(sys.platform)
    if system is None:
        raise UserError(f"cameras of {sys.platform} cannot be read: name a video file as --camera")
    if name is None:
        try:
            cameras = [one for one in av.enumerate_input_devices(system) if "audio" not in one.media_types]
        except (av.FFmpegError, ValueError):
            cameras = []
        if not cameras:
            raise UserError("no camera was found: connect one, or name one, or a video file, as --camera")
        name = next((one for one in cameras if one.is_default), cameras[0]).name
    if system == "v4l2" and name.isdecimal():
        return f"/dev/video{name}"
    return f"video={name}" if system == "dshow" and not name.startswith("video=") else name


def _open_device(name: str) -> InputContainer:
    import av

    system = _SYSTEMS[sys.platform]
    problem: Exception | None = None
    for wish in _WISHES if system == "v4l2" else _WISHES[1:]:
        try:
            return av.open(name, format=system, options=wish)
        except (av.FFmpegError, ValueError) as error:
            problem = error
            if isinstance(error, FileNotFoundError | PermissionError):
                break
    assert problem is not None
    raise UserError(f"camera {name} cannot be opened: {reason_of(problem)}") from problem
