"""The batch job behind `fast-nst stylize`: many pictures and videos, one model; a bad one stops nothing."""

from __future__ import annotations

import errno
import tempfile
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tqdm import tqdm

from fast_nst.errors import Interrupted, UserError, one_line
from fast_nst.lists import comma_separated
from fast_nst.pictures import (
    KEEP,
    KEEPS_ALPHA,
    UnreadablePicture,
    UnsuitableFormat,
    ground_color,
    writable_format,
)
from fast_nst.runtime.animation import is_animated
from fast_nst.runtime.anysize import AnySizeStylizer
from fast_nst.runtime.containers import UnreadableVideo
from fast_nst.runtime.frame_folder import check_replaceable, holds_frames
from fast_nst.runtime.jobs import Job, is_video_format, plan_jobs
from fast_nst.runtime.media import WRITABLE_VIDEOS
from fast_nst.runtime.models import find_model
from fast_nst.runtime.picture_job import decode, decode_ahead, stylize_picture
from fast_nst.runtime.scratch import NoScratchRoom
from fast_nst.runtime.smooth import Smoother
from fast_nst.runtime.styles import is_timed
from fast_nst.runtime.stylizer import OutOfMemory, RunFailed, Stylizer
from fast_nst.runtime.video import VideoOptions, stylize_video
from fast_nst.runtime.video_codecs import choose_codec
from fast_nst.stop import StopRequest

if TYPE_CHECKING:
    from fast_nst.runtime.remote import RemoteJob

# What is wrong with one input, and stops none of the others.
BAD_INPUT = (UnreadableVideo, UnreadablePicture, UnsuitableFormat, RunFailed, NoScratchRoom, MemoryError)
# What is wrong with the name of one result, or with what stands in its place.
_OF_ONE_NAME = frozenset(
    (
        *(errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ, errno.ELOOP, errno.ENOTDIR, errno.EISDIR),
        *(errno.EEXIST, errno.ENOTEMPTY, errno.EACCES, errno.EPERM, errno.ETXTBSY),
    )
)


@dataclass
class StylizeOptions:
    """How pictures and videos are stylized and where the results go."""

    model: str
    """ONNX file, run folder, or name of a shipped model or style (see `fast-nst models`)."""
    style: str | None = None
    """Of a model of many styles: a name, or a mixture such as waves:0.6,udnie:0.4. For videos it may change:
    waves@0,waves:0.5+udnie:0.5@5,udnie@10 (seconds; linear in between)."""
    output: str | Path = "stylized"
    """Folder of the results; the result's file when there is one input; a video's (.mp4, .mov, .mkv,
    .webm, .gif) when the inputs are its frames. With --engine ray a folder or its URL."""
    size: int | None = None
    """Longer side in pixels each picture or frame is resized to first, and its result has. Smaller:
    bolder strokes, less memory. Default: its own size."""
    strength: float = 1.0
    """From 0 (the picture as it was) to 1 (the style in full)."""
    preserve_color: bool = False
    """Keep the picture's own colors; take only light and dark from the style."""
    alpha: str = "white"
    """What is transparent: keep (formats that carry it), white, or the color it is laid over, as #rrggbb or a
    name."""
    format: str | None = None
    """Pictures: jpg, png, webp, tiff, bmp or avif; videos: mp4, mov, mkv, webm or gif, and a picture format
    for folders of their frames. Default: as the input, png or mp4 if that cannot be."""
    quality: int = 95
    """From 1 to 100, for jpg, webp, avif and videos."""
    threads: int | None = None
    """CPU threads. Default: one per core; with --engine ray one for each worker."""
    providers: str | None = None
    """What to run on, best first, with commas between: cpu, cuda, tensorrt, coreml, directml, openvino.
    Default: cuda if this onnxruntime has it, else cpu; with --engine ray cpu."""
    overwrite: bool | None = None
    """Write over results that exist already; false keeps them and makes only the missing ones. Default: true,
    with --engine ray false."""
    max_pixels: int | None = None
    """Skip pictures and videos of more pixels than this. Default: 179 million."""
    tile: int | Literal["auto"] = "auto"
    """Side in pixels of the tiles that larger pictures are run in; auto: in tiles only what needs more than
    --memory, of a side that suits the model."""
    memory: float | None = None
    """GiB that running a picture whole may take. Default: half of what is available."""
    start: float | str = 0
    """Videos: where to begin, in seconds or as hh:mm:ss.f."""
    end: float | str | None = None
    """Videos: where to stop, in seconds or as hh:mm:ss.f."""
    fps: float | str | None = None
    """Frames per second of a video made of pictures, such as 24 or 30000/1001."""
    codec: str | None = None
    """Videos: h264, vp9 or av1. Default: h264, and vp9 in webm."""
    preset: str | None = None
    """Videos: how long the encoder looks for a smaller file, from ultrafast to veryslow as x264 names it."""
    hdr: Literal["tonemap", "keep"] = "tonemap"
    """Videos in HDR (PQ, HLG): tonemap them to SDR, or keep it (formats that carry it)."""
    deinterlace: Literal["auto", "off"] = "auto"
    """Videos: auto makes interlaced frames whole, off leaves them."""
    smooth: bool = False
    """Videos: less flicker, by blending along the motion; needs OpenCV (pip install 'fast-nst[smooth]')."""
    engine: Literal["local", "ray"] = "local"
    """local: this process. ray: many processes or machines; inputs and output may then be URLs (s3://, gs://);
    needs Ray (pip install 'fast-nst[ray]')."""
    ray_address: str | None = None
    """Ray cluster to run on, "auto" for the one of this machine. Default: $RAY_ADDRESS, else this machine."""
    workers: int | None = None
    """Processes of --engine ray, each with the model and --threads of its own. Default: as many as there is
    room for."""

    def __post_init__(self) -> None:
        for name in ("size", "threads", "max_pixels", "workers"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"--{name.replace('_', '-')} must be at least 1, not {value}")
        if self.memory is not None and not self.memory > 0.0:
            raise UserError(f"--memory must be above 0, not {self.memory}")
        if not 0.0 <= self.strength <= 1.0:
            raise UserError(f"--strength must be between 0 and 1, not {self.strength}")
        if not 1 <= self.quality <= 100:
            raise UserError(f"--quality must be between 1 and 100, not {self.quality}")
        ground_color(self.alpha)
        if self.format is not None and not is_video_format(self.format):
            try:
                _check_alpha(writable_format(self.format), self.alpha)
            except UserError as error:
                raise UserError(f"--format: {error}") from None
        self.for_videos()
        for name in ("ray_address", "workers"):
            if self.engine == "local" and getattr(self, name) is not None:
                raise UserError(f"--{name.replace('_', '-')} is for --engine ray")

    def for_videos(self) -> VideoOptions:
        """Those that count for videos. Raises UserError for a wrong one."""
        values = {field.name: getattr(self, field.name) for field in fields(VideoOptions)}
        return VideoOptions(**values | {"format": self.format or "png"})


@dataclass
class Report:
    """What became of the inputs: the pictures in their order, then the videos in theirs."""

    written: list[Path | str] = field(default_factory=list)
    """Result files, and folders of frames; URLs where they are not of this machine."""
    skipped: list[tuple[Path | str, str]] = field(default_factory=list)
    """Inputs without a result, and folders that cannot be looked into, and why."""
    kept: list[Path | str] = field(default_factory=list)
    """Results that existed and were left alone (`overwrite` is false)."""
    damaged: list[tuple[Path | str, str]] = field(default_factory=list)
    """Videos that could be read in part only, and why; what could be is among `written`."""
    unread: Counter[str] = field(default_factory=Counter)
    """Files left out as they are of no kind that is read, by suffix."""


def stylize_files(inputs: list[str], options: StylizeOptions) -> Report:
    """Stylize files, folders (all below) and glob patterns (`**` too) into the output.

    Pictures and videos are told apart by what the files hold. A single folder or pattern keeps its
    tree below the output; several folders each go below their own name. What cannot be read or does
    not fit into memory is skipped and reported.

    Raises UserError before any work for inputs that do not exist, an output that cannot be written
    or that would overwrite an input, a bad model, options that do not fit the videos; later only when
    writing fails. Raises Interrupted when a signal ended a video; what was done of it is kept as
    NAME.partial.EXT, a file that plays.
    """
    if options.engine == "ray":
        from fast_nst.runtime.ray_engine import stylize_on_ray  # an extra

        return stylize_on_ray(inputs, options)
    for text in (*inputs, str(options.output)):
        if "://" in text:
            raise UserError(f"{text}: URLs need --engine ray")
    output = Path(options.output)
    plan = plan_jobs(inputs, output, options.format, keep_alpha=options.alpha == KEEP)
    jobs = plan.jobs
    model = find_model(options.model, options.style)
    options = replace(options, style=model.style)
    _check_options(jobs, options)
    check_timed(jobs, options)
    to_file = jobs[0].target == output
    if to_file and jobs[0].kind == "picture":
        _check_alpha(writable_format(output.suffix), options.alpha)
    _check_writable(output.parent if to_file else output)
    report = Report(skipped=list(plan.refused), unread=plan.unread)
    if options.overwrite is False:
        report.kept = [job.target for job in jobs if _is_done(job.target)]
        jobs = [job for job in jobs if not _is_done(job.target)]
    _check_videos([job for job in jobs if job.kind == "video"], options)
    providers = comma_separated(options.providers) if options.providers is not None else None
    stylizer = Stylizer(model.path, threads=options.threads, providers=providers)
    choose_style(stylizer, options)
    any_size = _any_size(stylizer, options)
    pictures = [job for job in jobs if job.kind == "picture"]
    # disable=None: no bar unless stderr is a terminal
    with tqdm(total=len(pictures), unit="picture", disable=None, delay=1) as bar:
        for job, decoded in decode_ahead(pictures, any_size, options):
            try:
                stylize_picture(any_size, decoded.result(), job.target, options)
                report.written.append(job.target)
            except (UserError, MemoryError) as error:
                _skip_or_stop(job, error, report)
            bar.update()
    _stylize_videos(stylizer, [job for job in jobs if job.kind == "video"], options, report)
    return report


def stylize_file(stylizer: Stylizer, job: Job, options: StylizeOptions) -> str | None:
    """One picture or video alone; what was wrong with a video of which a part could be read.

    Raises one of BAD_INPUT, and UserError when writing fails.
    """
    if job.kind == "video":
        return stylize_video(stylizer, job.source, job.target, options.for_videos()).problem
    any_size = _any_size(stylizer, options)
    stylize_picture(any_size, decode(job, any_size, options), job.target, options)
    return None


def choose_style(stylizer: Stylizer, options: StylizeOptions) -> None:
    """Set the style asked for. Raises UserError for one that will not do, and for none of many."""
    stylizer.style_over_time(options.style)
    if options.style is not None and not is_timed(options.style):
        stylizer.style = options.style


def check_timed(jobs: Iterable[Job | RemoteJob], options: StylizeOptions) -> None:
    """Refuse pictures in a style that changes over time."""
    picture = next((job.source for job in jobs if job.kind == "picture"), None)
    if picture is not None and is_timed(options.style):
        raise UserError(
            f"--style {options.style} changes over time, which is for videos; {picture} is a picture"
        )


def _any_size(stylizer: Stylizer, options: StylizeOptions) -> AnySizeStylizer:
    memory = None if options.memory is None else options.memory * 2**30
    return AnySizeStylizer(stylizer, options.tile, memory)


def _stylize_videos(stylizer: Stylizer, jobs: list[Job], options: StylizeOptions, report: Report) -> None:
    with StopRequest("stopping; what is done of the video is kept beside its place") as stop:
        for job in jobs:
            try:
                video = stylize_video(
                    stylizer,
                    job.frames or job.source,
                    job.target,
                    options.for_videos(),
                    stop=lambda: stop.signal is not None,
                )
            except (UserError, MemoryError) as error:
                _skip_or_stop(job, error, report)
                continue
            report.written.append(video.path)
            if video.problem:
                report.damaged.append((job.source, f"{video.problem}; {video.path} holds what could be read"))
            if stop.signal is not None:
                what = f"{video.path} holds the first {video.seconds:.1f} s ({video.frames} frames)"
                raise Interrupted(stop.signal, f"interrupted: {what}" if video.stopped else "interrupted")


def _skip_or_stop(job: Job, error: UserError | MemoryError, report: Report) -> None:
    """Note that a job came to nothing; raise UserError where no other will do better."""
    if not isinstance(error, BAD_INPUT) and getattr(error.__cause__, "errno", None) not in _OF_ONE_NAME:
        raise UserError(f"{error}; stopped, {_count(report)} written before") from error
    report.skipped.append((job.source, skip_reason(error)))


def _is_done(target: Path) -> bool:
    with suppress(OSError):  # a name that is too long
        return target.is_file() or holds_frames(target)
    return False


def _check_alpha(kind: str, alpha: str) -> None:
    if alpha == KEEP and kind not in KEEPS_ALPHA:
        raise UserError(
            f"--alpha keep: {kind} carries no transparency; choose png, webp, tiff or avif, or --alpha white"
        )


def _check_videos(jobs: list[Job], options: StylizeOptions) -> None:
    """Refuse before any work what one of the videos could not be written with."""
    if jobs and options.smooth:
        Smoother()
    for job in jobs:
        muxer = WRITABLE_VIDEOS.get(job.target.suffix.lower())
        if muxer is None:
            check_replaceable(job.target)
            continue
        try:
            choose_codec(muxer, options.codec)
        except UserError as error:
            raise UserError(f"{job.target}: {error}") from None


def _check_options(jobs: list[Job], options: StylizeOptions) -> None:
    if all(job.kind == "picture" for job in jobs):
        given = {"smooth": options.smooth, "codec": options.codec, "start": options.start, "end": options.end}
        given |= {"preset": options.preset, "hdr": options.hdr == "keep"}
        given |= {"deinterlace": options.deinterlace == "off"}
        for name, value in given.items():
            if value:
                raise UserError(f"--{name} is for videos; the inputs are pictures")
    from_frames = next((job.source for job in jobs if job.frames), None)
    if from_frames is not None and options.fps is None:
        raise UserError(f"{from_frames}: a video made of pictures needs its frames per second: --fps 25, say")
    if options.fps is not None and from_frames is None and not is_animated(jobs[0].source):
        raise UserError("--fps is for a video made of pictures; a video keeps its own times")


def _check_writable(folder: Path) -> None:
    """Find out by doing it, before the model is loaded, whether files can be made in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = error.strerror or one_line(error)
        raise UserError(f"--output: cannot write into {folder}: {reason}") from error


def skip_reason(error: Exception) -> str:
    """What to say of an input that ended in this error, one of BAD_INPUT."""
    if isinstance(error, OutOfMemory | MemoryError):
        return f"{str(error) or 'not enough memory'}; try --tile 512 or a smaller --size"
    return error.reason if isinstance(error, UnreadablePicture | UnreadableVideo) else str(error)


def _count(report: Report) -> str:
    count = len(report.written)
    return "1 file" if count == 1 else f"{count} files"
