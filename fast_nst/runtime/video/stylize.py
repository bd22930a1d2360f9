"""A video through a style: decoded ahead, stylized, and encoded behind, each on a thread of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from tqdm import tqdm

from fast_nst.errors import UserError, one_line
from fast_nst.files import partial_of, real_path, replace_folder, whole_file, whole_folder
from fast_nst.pictures import UnsuitableFormat
from fast_nst.runtime.stylizer import Stylizer
from fast_nst.runtime.video.animation import AnimationReader, is_animated
from fast_nst.runtime.video.clips import Clip, Step, Wanted
from fast_nst.runtime.video.codecs import choose_codec, fitting_codec, keeps_pixel_aspect
from fast_nst.runtime.video.frame_folder import FrameReader, FrameWriter, check_replaceable
from fast_nst.runtime.video.media import WRITABLE_VIDEOS
from fast_nst.runtime.video.options import VideoOptions, to_rate, to_seconds
from fast_nst.runtime.video.pipeline import ahead, behind
from fast_nst.runtime.video.reader import VideoReader
from fast_nst.runtime.video.smooth import Smoother
from fast_nst.runtime.video.sound import passage
from fast_nst.runtime.video.writer import VideoWriter

if TYPE_CHECKING:
    from av.stream import Stream

logger = logging.getLogger("fast_nst")

_ROOM = 4  # frames that wait before and behind the model: hides an uneven pace, bounds the memory
_GPU_BATCH = 4  # on a CPU a batch is no faster than its frames one by one, and takes more memory


@dataclass(frozen=True)
class VideoReport:
    """What became of a video."""

    frames: int
    """Frames written."""
    seconds: float
    """How much of the video they cover."""
    size: tuple[int, int]
    """Width and height of the frames in pixels."""
    problem: str | None
    """What was wrong with the source, None if nothing; what could be read of it is written."""
    stopped: bool
    """`stop` ended it before the end."""
    path: Path
    """Where the result is: the target, or if it was stopped the target's name with .partial in it."""


@dataclass(frozen=True)
class Done:
    """How far `run_frames` came."""

    frames: int
    """Frames written."""
    end: int
    """When the last one ends, in ticks of the clip's time base."""
    stopped: bool
    """`stop` ended it before the end."""


class Reader(Protocol):
    """Where frames come from; iterated once."""

    clip: Clip

    def __iter__(self) -> Iterator[Step]: ...


class Writer(Protocol):
    """Where frames go to."""

    def write(self, step: Step, pixels: np.ndarray | None) -> None:
        """Take what was read before a frame, and the frame stylized; None where there is none."""


def stylize_video(
    stylizer: Stylizer,
    source: str | Path | Sequence[str | Path],
    target: str | Path,
    options: VideoOptions | None = None,
    *,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int, int | None], None] = lambda done, total: None,
) -> VideoReport:
    """Stylize a video file, or pictures as its frames (with `fps`), into a video file or a folder.

    A `target` ending in .mp4, .m4v, .mov, .mkv, .webm or .gif becomes a video file, any other a folder
    of pictures 000001.png, ... The memory needed does not depend on the length. `stop` is asked after
    every frame; once it is true, what was done is finished as a file that plays and kept as
    NAME.partial.EXT, and an earlier result stays. `progress` gets the frames done and how many there
    are, None where the file does not tell.

    A folder is replaced as a whole, and only one that holds nothing but frames.

    Raises UnreadableVideo or UnreadablePicture for a source without a frame, RunFailed when the
    model does not run on the frames, UserError when `target` cannot be written; nothing is left
    behind then.
    """
    options = options or VideoOptions()
    target = Path(target)
    partial = partial_of(target)
    with (
        _open_source(source, target, options) as reader,
        _open_target(target, partial, reader, options) as writer,
    ):
        done = run_frames(stylizer, reader, writer, options, stop=stop, progress=progress, name=target.name)
        writer.close()
        problems = [problem for problem in (reader.problem, writer.problem) if problem]
    if not done.stopped:
        _move(partial, target)
    seconds, problem = float(done.end * reader.clip.time_base), "; ".join(problems) or None
    size = (reader.clip.width, reader.clip.height)
    return VideoReport(done.frames, seconds, size, problem, done.stopped, partial if done.stopped else target)


def run_frames(
    stylizer: Stylizer,
    reader: Reader,
    writer: Writer,
    options: VideoOptions,
    *,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int, int | None], None] = lambda done, total: None,
    name: str,
) -> Done:
    """Read, stylize and write the frames of a clip, in order, each of the three on a thread.

    `stop` and `progress` are as in `stylize_video`; `name` is that of the progress bar. Raises what reader,
    model and writer raise; nothing of it runs on then.
    """
    smoother = Smoother() if options.smooth else None
    style_at = stylizer.style_over_time(options.style)
    batch = 1 if stylizer.providers == ["CPUExecutionProvider"] else _GPU_BATCH
    frames, end = 0, 0

    def finish(item: tuple[Step, np.ndarray | None]) -> None:
        step, result = item
        if smoother is not None and step.pixels is not None and result is not None:
            result = smoother(step.pixels, result)
        writer.write(step, result)

    with (
        ahead(reader, max(_ROOM, 2 * batch)) as steps,
        behind(finish, max(_ROOM, 2 * batch)) as put,
        # disable=None: no bar unless stderr is a terminal
        tqdm(total=reader.clip.frames, desc=name, unit="frame", disable=None, delay=1) as bar,
    ):
        for group in _batches(steps, batch):
            shown = [step.pts * reader.clip.time_base for step in group if step.pixels is not None]
            styles = [style_at(float(seconds)) for seconds in shown]
            for step, result in zip(group, _stylize(stylizer, group, styles, options), strict=True):
                put((step, result))
                if result is not None:
                    frames, end = frames + 1, step.pts + step.duration
                    bar.update()
                    progress(frames, reader.clip.frames)
            if stop():
                break
        return Done(frames, end, stop())


def _open_source(
    source: str | Path | Sequence[str | Path], target: Path, options: VideoOptions
) -> VideoReader | FrameReader | AnimationReader:
    muxer = WRITABLE_VIDEOS.get(target.suffix.lower())
    square = muxer is not None and not (
        keeps_pixel_aspect(muxer, choose_codec(muxer, options.codec))
        and (muxer != "matroska" or "keep" not in (options.alpha, options.hdr))  # that may mean another codec
    )
    end = None if options.end is None else to_seconds(options.end, "--end")
    start = to_seconds(options.start, "--start")
    wanted = Wanted(
        *(start, end, options.size, square, options.max_pixels),
        *(options.alpha, options.hdr == "tonemap", options.deinterlace == "auto", muxer in (None, "gif")),
    )
    if not isinstance(source, str | Path):
        if options.fps is None:
            raise UserError("frames have no rate of their own: give --fps, such as --fps 25")
        return FrameReader([Path(path) for path in source], to_rate(options.fps), wanted)

    if is_animated(Path(source)):
        rate = None if options.fps is None else to_rate(options.fps)
        return AnimationReader(Path(source), wanted, rate)

    def copied(stream: Stream) -> bool:
        if muxer is None:
            return False
        way = passage(muxer, stream)
        codec = stream.codec_context.name if stream.codec_context else "unknown"
        what = (target, stream.type, stream.index, codec)
        kind = target.suffix[1:]
        if way is None:
            logger.warning("%s: the %s stream %d (%s) is left out: %s cannot hold it", *what, kind)
        elif way != "copy":
            logger.warning("%s: the %s stream %d (%s) becomes %s: %s does not take it", *what, way, kind)
        return way is not None

    reader = VideoReader(Path(source), wanted, copied)
    for note in reader.notes:
        logger.warning("%s: %s", target, note)
    return reader


@contextmanager
def _open_target(
    target: Path,
    partial: Path,
    reader: VideoReader | FrameReader | AnimationReader,
    options: VideoOptions,
) -> Iterator[VideoWriter | FrameWriter]:
    """A writer whose result comes to `partial` when the block ends well; `target` is its name in messages."""
    muxer = WRITABLE_VIDEOS.get(target.suffix.lower())
    codec = fitting_codec(muxer, options.codec, reader.clip) if muxer else ""
    source = reader if isinstance(reader, VideoReader) else None
    if muxer is None:
        for folder in (target, partial):
            check_replaceable(folder)
        if reader.clip.deep:
            raise UnsuitableFormat("--hdr keep: frames of 8 bits do not carry HDR; write mp4 or mkv")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if muxer is None:
            with whole_folder(partial) as unfinished:
                yield FrameWriter(unfinished, str(target), options.format, options.quality)
            return
        with whole_file(partial) as unfinished:
            clip, quality = reader.clip, options.quality
            writer = VideoWriter(unfinished, str(target), muxer, codec, clip, quality, source, options.preset)
            try:
                yield writer
            finally:
                writer.abandon()
    except OSError as error:
        raise UserError(f"cannot write {target}: {error.strerror or one_line(error)}") from error


def _move(partial: Path, target: Path) -> None:
    try:
        if partial.is_dir():
            replace_folder(real_path(target), partial)
        else:
            partial.replace(target)
    except OSError as error:
        raise UserError(f"cannot write {target}: {error.strerror or one_line(error)}") from error


def _batches(steps: Iterable[Step], size: int) -> Iterator[list[Step]]:
    """Groups with `size` frames each; with less at the end, and at an empty step: none comes now."""
    group: list[Step] = []
    for step in steps:
        group.append(step)
        empty = step.pixels is None and not step.packets
        if empty or sum(one.pixels is not None for one in group) == size:
            yield group
            group = []
    if group:
        yield group


def _stylize(
    stylizer: Stylizer, group: list[Step], styles: list[np.ndarray], options: VideoOptions
) -> Iterator[np.ndarray | None]:
    """The stylized frame of each step, None where it has none; ``styles`` are those of the frames."""
    frames = [step.pixels for step in group if step.pixels is not None]
    results: Iterator[np.ndarray] = iter(())
    if frames:
        batch = frames[0][None] if len(frames) == 1 else np.stack(frames)
        shares, color = np.stack(styles), options.preserve_color
        results = iter(stylizer(batch, style=shares, strength=options.strength, preserve_color=color))
    for step in group:
        yield None if step.pixels is None else next(results)
