"""One input of many: its style, its way through, and what to say where it comes to nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from fast_nst.errors import UserError
from fast_nst.lists import comma_separated
from fast_nst.pictures import UnreadablePicture, UnsuitableFormat
from fast_nst.runtime.batch.jobs import Job
from fast_nst.runtime.batch.options import StylizeOptions
from fast_nst.runtime.batch.picture import decode, stylize_picture
from fast_nst.runtime.models import find_model
from fast_nst.runtime.scratch import NoScratchRoom
from fast_nst.runtime.styles import is_timed
from fast_nst.runtime.stylizer import OutOfMemory, RunFailed, Stylizer
from fast_nst.runtime.tiled.anysize import AnySizeStylizer
from fast_nst.runtime.video.containers import UnreadableVideo
from fast_nst.runtime.video.media import Kind
from fast_nst.runtime.video.stylize import stylize_video

# What is wrong with one input, and stops none of the others.
BAD_INPUT = (UnreadableVideo, UnreadablePicture, UnsuitableFormat, RunFailed, NoScratchRoom, MemoryError)


def stylize_file(stylizer: Stylizer, job: Job, options: StylizeOptions) -> str | None:
    """One picture or video alone; what was wrong with a video of which a part could be read.

    Raises one of BAD_INPUT, and UserError when writing fails.
    """
    if job.kind == "video":
        return stylize_video(stylizer, job.source, job.target, options.for_videos()).problem
    for_any_size = any_size(stylizer, options)
    stylize_picture(for_any_size, decode(job, for_any_size, options), job.target, options)
    return None


def with_style(options: StylizeOptions) -> StylizeOptions:
    """The options, the style by itself where --model names it. Raises UserError as find_model does."""
    return replace(options, style=find_model(options.model, options.style).style)


def load_stylizer(options: StylizeOptions) -> Stylizer:
    """The model that is asked for, the style of `with_style` chosen. Raises UserError as Stylizer does."""
    providers = comma_separated(options.providers) if options.providers is not None else None
    path = find_model(options.model).path
    stylizer = Stylizer(path, threads=options.threads, providers=providers)
    choose_style(stylizer, options)
    return stylizer


def choose_style(stylizer: Stylizer, options: StylizeOptions) -> None:
    """Set the style asked for. Raises UserError for one that will not do, and for none of many."""
    stylizer.style_over_time(options.style)
    if options.style is not None and not is_timed(options.style):
        stylizer.style = options.style


def check_timed(inputs: Iterable[tuple[Path | str, Kind]], options: StylizeOptions) -> None:
    """Refuse pictures, told by their names and kinds, in a style that changes over time."""
    picture = next((name for name, kind in inputs if kind == "picture"), None)
    if picture is not None and is_timed(options.style):
        raise UserError(
            f"--style {options.style} changes over time, which is for videos; {picture} is a picture"
        )


def any_size(stylizer: Stylizer, options: StylizeOptions) -> AnySizeStylizer:
    """For pictures small and large, within the memory that the options allow."""
    memory = None if options.memory is None else options.memory * 2**30
    return AnySizeStylizer(stylizer, options.tile, memory)


def skip_reason(error: Exception) -> str:
    """What to say of an input that ended in this error, one of BAD_INPUT."""
    if isinstance(error, OutOfMemory | MemoryError):
        return f"{str(error) or 'not enough memory'}; try --tile 512 or a smaller --size"
    return error.reason if isinstance(error, UnreadablePicture | UnreadableVideo) else str(error)
