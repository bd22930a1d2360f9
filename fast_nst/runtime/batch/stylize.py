"""The batch job behind `fast-nst stylize`: many pictures and videos, one model; a bad one stops nothing."""

from __future__ import annotations

import errno
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from fast_nst.errors import Interrupted, UserError, one_line
from fast_nst.lists import comma_separated
from fast_nst.pictures import (
    KEEP,
    writable_format,
)
from fast_nst.runtime.batch.jobs import Job, plan_jobs
from fast_nst.runtime.batch.one import BAD_INPUT, any_size, check_timed, choose_style, skip_reason
from fast_nst.runtime.batch.options import Report, StylizeOptions, check_alpha
from fast_nst.runtime.batch.picture import decode_ahead, stylize_picture
from fast_nst.runtime.models import find_model
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
        from fast_nst.runtime.batch.ray_engine import stylize_on_ray

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
    check_timed(((job.source, job.kind) for job in jobs), options)
    to_file = jobs[0].target == output
    if to_file and jobs[0].kind == "picture":
        check_alpha(writable_format(output.suffix), options.alpha)
    _check_writable(output.parent if to_file else output)
    report = Report(skipped=list(plan.refused), unread=plan.unread)
    if options.overwrite is False:
        report.kept = [job.target for job in jobs if _is_done(job.target)]
        jobs = [job for job in jobs if not _is_done(job.target)]
    _check_videos([job for job in jobs if job.kind == "video"], options)
    providers = comma_separated(options.providers) if options.providers is not None else None
    stylizer = Stylizer(model.path, threads=options.threads, providers=providers)
    choose_style(stylizer, options)
    for_any_size = any_size(stylizer, options)
    pictures = [job for job in jobs if job.kind == "picture"]
    # disable=None: no bar unless stderr is a terminal
    with tqdm(total=len(pictures), unit="picture", disable=None, delay=1) as bar:
        for job, decoded in decode_ahead(pictures, for_any_size, options):
            try:
                stylize_picture(for_any_size, decoded.result(), job.target, options)
                report.written.append(job.target)
            except (UserError, MemoryError) as error:
                _skip_or_stop(job, error, report)
            bar.update()
    _stylize_videos(stylizer, [job for job in jobs if job.kind == "video"], options, report)
    return report


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


def _count(report: Report) -> str:
    count = len(report.written)
    return "1 file" if count == 1 else f"{count} files"
