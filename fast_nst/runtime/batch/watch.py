"""A folder that is watched: pictures that appear in it are stylized."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from fast_nst.errors import UserError
from fast_nst.pictures import KEEP, files_below
from fast_nst.runtime.batch.jobs import Job, is_inside, is_video_format, place_below
from fast_nst.runtime.batch.one import check_timed, load_stylizer, with_style
from fast_nst.runtime.batch.options import KEPT, Report, Result, StylizeOptions
from fast_nst.runtime.batch.stylize import check_folder, check_options, is_done, stylize_pictures
from fast_nst.runtime.video.media import Kind, is_media_name, kind_of

_PAUSE = 1.0  # seconds between two looks; what is the same in both is taken to be written to its end

_State = tuple[int, int]
"""Size and time of change of a file."""


def watch_folder(
    inputs: list[str],
    options: StylizeOptions,
    told: Callable[[Result], None] = lambda result: None,
    *,
    stop: Callable[[], bool],
) -> Report:
    """Stylize the pictures below a folder, and those that appear in it, until `stop` is true.

    A picture is taken when its size and its time have stood still for a second. One whose result is there is
    kept (unless `options.overwrite` is true), one that changes later is done again. Videos are skipped,
    files of other kinds left alone.

    Raises UserError for anything but one folder, an output that holds it, a bad model, options that are not
    for pictures; later when the folder cannot be read or writing fails.
    """
    if len(inputs) != 1 or not Path(inputs[0]).is_dir():
        raise UserError(f"--watch takes one folder, not {' '.join(inputs)}")
    if options.engine == "ray":
        raise UserError("--watch is for --engine local")
    if options.format is not None and is_video_format(options.format):
        raise UserError(f"--format {options.format} is for videos; --watch takes pictures")
    folder, output = Path(inputs[0]), Path(options.output)
    if is_inside(folder, output):
        raise UserError(f"--output {output} is or holds the input itself; choose another folder")
    options = with_style(options)
    check_options([Job(folder, output)], options)
    check_timed([(folder, "picture")], options)
    check_folder(output)
    stylizer, report = load_stylizer(options), Report(told=told)
    before: dict[Path, _State] = {}
    taken: dict[Path, _State] = {}
    kinds: dict[Path, Kind] = {}
    while not stop():
        now = _look(folder, output)
        ready = [path for path in now if now[path] == before.get(path) and now[path] != taken.get(path)]
        kinds = {path: kind for path, kind in kinds.items() if path in now}
        kinds |= {path: kind_of(path) for path in ready}
        jobs = _plan(folder, kinds, options) if ready else {}
        for path in ready:
            if stop():
                break
            new, taken[path] = path not in taken, now[path]
            job = jobs.get(path)
            if job is None:
                report.add(Result(path, skipped="is a video; --watch takes pictures"))
            elif new and not options.overwrite and is_done(job.target):
                report.add(Result(path, job.target, style=options.style, skipped=KEPT))
            else:
                stylize_pictures(stylizer, [job], options, report)
        before = now
        time.sleep(_PAUSE)
    return report


def _look(folder: Path, output: Path) -> dict[Path, _State]:
    """The pictures and videos below a folder, by their names, but for those below the output."""
    files = [path for path in files_below(folder) if is_media_name(path)]
    results = {parent for parent in {path.parent for path in files} if is_inside(parent, output)}
    found = {}
    for path in files:
        if path.parent not in results:
            with suppress(OSError):  # it is gone again
                state = path.stat()
                found[path] = (state.st_size, state.st_mtime_ns)
    return found


def _plan(folder: Path, kinds: dict[Path, Kind], options: StylizeOptions) -> dict[Path, Job]:
    """The jobs of all pictures that are there: a name for the one depends on the others'."""
    pictures: dict[Path, Kind] = {path: kind for path, kind in kinds.items() if kind == "picture"}
    output, keep_alpha = Path(options.output), options.alpha == KEEP
    jobs = place_below(folder, pictures, output, options.format, keep_alpha=keep_alpha)
    return {job.source: job for job in jobs}
