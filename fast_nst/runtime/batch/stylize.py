"""The batch job behind `fast-nst stylize`: many pictures and videos, one model; a bad one stops nothing."""

from __future__ import annotations

import errno
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tqdm import tqdm

from fast_nst.errors import Interrupted, UserError, one_line
from fast_nst.pictures import (
    KEEP,
    writable_format,
)
from fast_nst.runtime.batch.jobs import Job, plan_jobs
from fast_nst.runtime.batch.one import (
    BAD_INPUT,
    any_size,
    check_timed,
    load_stylizer,
    skip_reason,
    with_style,
)
from fast_nst.runtime.batch.options import KEPT, Report, Result, StylizeOptions, check_alpha
from fast_nst.runtime.batch.picture import decode_ahead, stylize_picture
from fast_nst.runtime.stylizer import Stylizer
from fast_nst.runtime.video.animation import is_animated
from fast_nst.runtime.video.codecs import choose_codec
from fast_nst.runtime.video.frame_folder import check_replaceable, holds_frames
from fast_nst.runtime.video.media import WRITABLE_VIDEOS
from fast_nst.runtime.video.smooth import Smoother
from fast_nst.runtime.video.stylize import stylize_video
from fast_nst.stop import StopRequest

# What is wrong with the name of one result, or with what stands in its place.
_OF_ONE_NAME = frozenset(
    (
        *(errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ, errno.ELOOP, errno.ENOTDIR, errno.EISDIR),
        *(errno.EEXIST, errno.ENOTEMPTY, errno.EACCES, errno.EPERM, errno.ETXTBSY),
    )
)


def stylize_files(
    inputs: list[str], options: StylizeOptions, told: Callable[[Result], None] = lambda result: None
) -> Report:
    """Stylize files, folders (all below) and glob patterns (`**` too) into the output.

    Pictures and videos are told apart by what the files hold. A single folder or pattern keeps its
    tree below the output; several folders each go below their own name. What cannot be read or does
    not fit into memory is skipped and reported. `told` is called with every result as it comes.

    Raises UserError before any work for inputs that do not exist, an output that cannot be written
    or that would overwrite an input, a bad model, options that do not fit the videos; later only when
    writing fails. Raises Interrupted when a signal ended a video; what was done of it is kept as
    NAME.partial.EXT, a file that plays.
    """
    if options.engine == "ray":
        from fast_nst.runtime.batch.ray_engine import stylize_on_ray

        return stylize_on_ray(inputs, options, told)
    for text in (*inputs, str(options.output)):
        if "://" in text:
            raise UserError(f"{text}: URLs need --engine ray")
    output = Path(options.output)
    plan = plan_jobs(inputs, output, options.format, keep_alpha=options.alpha == KEEP)
    jobs = plan.jobs
    options = with_style(options)
    check_options(jobs, options)
    check_timed(((job.source, job.kind) for job in jobs), options)
    to_file = jobs[0].target == output
    if to_file and jobs[0].kind == "picture":
        check_alpha(writable_format(output.suffix), options.alpha)
    check_folder(output.parent if to_file else output)
    report = Report(unread=plan.unread, told=told)
    for folder, reason in plan.refused:
        report.add(Result(folder, skipped=reason))
    if options.overwrite is False:
        for job in jobs:
            if is_done(job.target):
                report.add(Result(job.source, job.target, style=options.style, skipped=KEPT))
        jobs = [job for job in jobs if not is_done(job.target)]
    _check_videos([job for job in jobs if job.kind == "video"], options)
    stylizer = load_stylizer(options)
    stylize_pictures(stylizer, [job for job in jobs if job.kind == "picture"], options, report)
    _stylize_videos(stylizer, [job for job in jobs if job.kind == "video"], options, report)
    return report


def stylize_pictures(stylizer: Stylizer, jobs: list[Job], options: StylizeOptions, report: Report) -> None:
    """Stylize pictures, the next ones decoded meanwhile; what became of each is added to `report`.

    Raises UserError when writing fails.
    """
    for_any_size = any_size(stylizer, options)
    # disable=None: no bar unless stderr is a terminal
    with tqdm(total=len(jobs), unit="picture", disable=None, delay=1) as bar:
        for job, decoded in decode_ahead(jobs, for_any_size, options):
            begun = time.perf_counter()
            try:
                size = stylize_picture(for_any_size, decoded.result(), job.target, options)
                seconds = round(time.perf_counter() - begun, 3)
                report.add(Result(job.source, job.target, size, _style(stylizer, options), seconds))
            except (UserError, MemoryError) as error:
                _skip_or_stop(job, error, options, report)
            bar.update()


def _stylize_videos(stylizer: Stylizer, jobs: list[Job], options: StylizeOptions, report: Report) -> None:
    with StopRequest("stopping; what is done of the video is kept beside its place") as stop:
        for job in jobs:
            begun = time.perf_counter()
            try:
                video = stylize_video(
                    stylizer,
                    job.frames or job.source,
                    job.target,
                    options.for_videos(),
                    stop=lambda: stop.signal is not None,
                )
            except (UserError, MemoryError) as error:
                _skip_or_stop(job, error, options, report)
                continue
            seconds, style = round(time.perf_counter() - begun, 3), _style(stylizer, options)
            report.add(Result(job.source, video.path, video.size, style, seconds, damaged=video.problem))
            if stop.signal is not None:
                what = f"{video.path} holds the first {video.seconds:.1f} s ({video.frames} frames)"
                raise Interrupted(stop.signal, f"interrupted: {what}" if video.stopped else "interrupted")


def _style(stylizer: Stylizer, options: StylizeOptions) -> str:
    return options.style if options.style is not None else stylizer.style_names[0]


def _skip_or_stop(job: Job, error: UserError | MemoryError, options: StylizeOptions, report: Report) -> None:
    """Note that a job came to nothing; raise UserError where no other will do better."""
    if not isinstance(error, BAD_INPUT) and getattr(error.__cause__, "errno", None) not in _OF_ONE_NAME:
        raise UserError(f"{error}; stopped, {_count(report)} written before") from error
    report.add(Result(job.source, style=options.style, skipped=skip_reason(error)))


def is_done(target: Path) -> bool:
    """Whether a result is there already."""
    with suppress(OSError):  # a name that is too long
        return target.is_file() or holds_frames(target)
    return False


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


def check_options(jobs: list[Job], options: StylizeOptions) -> None:
    """Raise UserError for an option that is for inputs of another kind than these are."""
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


def check_folder(folder: Path) -> None:
    """Find out by doing it, before the model is loaded, whether files can be made in it; raises UserError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = error.strerror or one_line(error)
        raise UserError(f"--output: cannot write into {folder}: {reason}") from error


def _count(report: Report) -> str:
    count = len(report.written)
    return "1 file" if count == 1 else f"{count} files"
