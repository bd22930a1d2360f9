"""From what a user names (files, folders, patterns, an output) to pairs of input and output."""

from __future__ import annotations

import glob
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from fast_nst.errors import UserError
from fast_nst.files import real_path
from fast_nst.pictures import PICTURE_SUFFIXES, files_below, kinds_unread, picture_suffix, writable_format
from fast_nst.runtime.batch.patterns import fixed_part, matching_files
from fast_nst.runtime.video.animation import is_animated
from fast_nst.runtime.video.media import (
    ALL_SUFFIXES,
    VIDEO_SUFFIXES,
    WRITABLE_VIDEOS,
    Kind,
    in_natural_order,
    is_gif_name,
    is_media_name,
    kind_of,
    writable_video,
)


@dataclass(frozen=True)
class Job:
    """One picture or video to read and what its result goes to."""

    source: Path
    target: Path
    """The result's file; the folder of a video's frames."""
    kind: Kind = "picture"
    frames: tuple[Path, ...] = ()
    """Pictures that make a video together, in order; `source` is then the folder they are in."""


@dataclass(frozen=True)
class Plan:
    """All there is to do."""

    jobs: list[Job]
    unread: Counter[str]
    """Files of the inputs' folders and patterns that are of no kind that is read, by suffix."""
    refused: list[tuple[Path, str]]
    """Folders below the inputs' that cannot be looked into, and why."""


@dataclass(frozen=True)
class _Found:
    """Pictures and videos of one input, and the folder whose tree below is kept."""

    root: Path
    files: dict[Path, Kind]
    is_folder: bool
    unread: Counter[str] = field(default_factory=Counter)
    refused: list[tuple[Path, str]] = field(default_factory=list)


def plan_jobs(
    inputs: list[str], output: Path, format: str | None = None, *, keep_alpha: bool = False
) -> Plan:
    """Pair every picture and video with its result; nothing is written, of files the first bytes are read.

    A picture's `format` is for the pictures; where there are videos only, it makes folders of frames
    of them. A video's is for the videos. Several pictures become one video where `output` is one. With
    `keep_alpha` the results' own formats are such as carry alpha where the inputs' do.

    Raises UserError for an input that does not exist or holds no picture, for an output that does
    not fit the inputs, and where a result would overwrite an input or another result.
    """
    if not inputs:
        raise UserError("no input given: name picture files, folders or patterns")
    own_file = _is_one_file(output)
    found = [item for text in inputs if (item := _find(text, None if own_file else output))]
    if not found:
        raise UserError(f"--output {output} is or holds the input itself; choose another folder")
    unread = sum((item.unread for item in found), Counter())
    refused = [one for item in found for one in item.refused]
    if own_file:
        return Plan([_single_job(inputs, found, output, format)], unread, refused)
    if output.exists() and not output.is_dir():
        raise UserError(f"--output {output} is a file; give a folder, or a name ending in .jpg, .mp4, ...")
    jobs = tell_apart(_unique(_place(found, output, format, keep_alpha)))
    _refuse_clashes(jobs)
    return Plan(jobs, unread, refused)


def place_below(
    folder: Path, files: dict[Path, Kind], output: Path, format: str | None, *, keep_alpha: bool
) -> list[Job]:
    """Jobs of files below a folder, as `plan_jobs` pairs them with their results."""
    return tell_apart(_place([_Found(folder, files, is_folder=True)], output, format, keep_alpha))


def readable_below(folder: Path) -> tuple[list[Path], list[tuple[Path, str]]]:
    """The files below a folder, and the folders below it that cannot be looked into, with the reason.

    Raises UserError where it is the folder itself.
    """
    refused: list[tuple[Path, str]] = []

    def note(error: OSError) -> None:
        refused.append((Path(error.filename), f"cannot read the folder: {error.strerror}"))

    files = files_below(folder, note)
    if refused and refused[0][0] == folder:
        raise UserError(f"input {folder}: {refused[0][1]}")
    return files, refused


def nothing_found(text: str, unread: Counter[str]) -> UserError:
    """The error for an input without a file that is read."""
    what = f"that is read, only {kinds_unread(unread)}" if unread else f"({ALL_SUFFIXES})"
    return UserError(f"input {text} holds no picture and no video {what}")


def _find(text: str, output: Path | None) -> _Found | None:
    """The files one input stands for; None for a folder that is the output or lies inside it."""
    path = Path(text)
    if path.is_dir():
        if output is not None and is_inside(path, output):
            return None
        files, refused = readable_below(path)
        return replace(_found(path, files, output, text, is_folder=True), refused=refused)
    if path.exists():
        return _Found(path.parent, {path: kind_of(path)}, is_folder=False)
    if not glob.has_magic(text):
        raise UserError(f"input {text} does not exist")
    pattern = str(path.expanduser())
    files = [path for path in matching_files(pattern) if not path.name.startswith(".")]
    return _found(fixed_part(pattern), files, output, text, is_folder=False)


def _found(root: Path, files: list[Path], output: Path | None, text: str, *, is_folder: bool) -> _Found:
    """The files with their kinds, but for those below the output: an earlier run's results are no inputs."""
    if output is not None:
        files = [path for path in files if not is_inside(path, output)]
    unread = Counter(path.suffix.lower() for path in files if not is_media_name(path))
    kinds = {path: kind_of(path) for path in files if is_media_name(path)}
    if not kinds:
        raise nothing_found(text, unread)
    return _Found(root, kinds, is_folder, unread)


def _place(found: list[_Found], output: Path, format: str | None, keep_alpha: bool) -> list[Job]:
    """The tree below each input's root, below the output; of several folders below their names."""
    several_folders = sum(item.is_folder for item in found) > 1
    kinds = {kind for item in found for kind in item.files.values()}
    for_videos = format is not None and is_video_format(format)
    if for_videos and "video" not in kinds:
        raise UserError(f"--format {format} is for videos; to make one of pictures name it: --output out.mp4")
    to_frames = format is not None and not for_videos and kinds == {"video"}
    named = [path for item in found if not item.is_folder for path in item.files]
    if to_frames and len(named) == 1 and len(found) == 1:
        return [Job(named[0], output, "video")]
    jobs = []
    for item in found:
        below = output / real_path(item.root).name if several_folders and item.is_folder else output
        for source, kind in item.files.items():
            target = below / source.relative_to(item.root)
            if to_frames:  # without a dot, or it could be taken for a video file
                target = target.with_name(source.stem.replace(".", "-"))
            else:
                fitting = format if for_videos == (kind == "video") else None
                suffix = result_suffix(source, kind, fitting, keep_alpha=keep_alpha)
                target = target.with_suffix(suffix)
            jobs.append(Job(source, target, kind))
    return jobs


def result_suffix(source: Path, kind: Kind, format: str | None, *, keep_alpha: bool = False) -> str:
    """The result's, for a `format` that fits the kind, or the one nearest to the source's."""
    if format is not None:
        return "." + format.lower().removeprefix(".")
    if kind == "video":
        return source.suffix if source.suffix.lower() in WRITABLE_VIDEOS else ".mp4"
    return picture_suffix(source, keep_alpha=keep_alpha)


def _unique(jobs: list[Job]) -> list[Job]:
    """The same file named twice is done once."""
    first: dict[Path, Job] = {}
    for job in jobs:
        first.setdefault(job.source.absolute(), job)
    return list(first.values())


def tell_apart(jobs: list[Job]) -> list[Job]:
    """Where a.jpg and a.png would both become a.webp, they become a.jpg.webp and a.png.webp."""

    def full_name(job: Job) -> str:
        suffix = job.target.suffix
        return job.source.name + suffix if suffix else job.source.name.replace(".", "-")

    counts = Counter(job.target for job in jobs)
    return [
        replace(job, target=job.target.with_name(full_name(job))) if counts[job.target] > 1 else job
        for job in jobs
    ]


def _refuse_clashes(jobs: list[Job]) -> None:
    sources = {real_path(path) for job in jobs for path in (job.source, *job.frames)}
    taken: dict[Path, Path] = {}
    for job in jobs:
        if real_path(job.target) in sources:
            raise UserError(f"{job.target} would overwrite an input; choose another --output")
        if job.target in taken:
            raise UserError(
                f"{taken[job.target]} and {job.source} would both become {job.target}; "
                "give the folder above them as the input, or run them apart"
            )
        taken[job.target] = job.source


def _is_one_file(output: Path) -> bool:
    """Whether --output means one file: a picture's or video's name that is not a folder already."""
    suffix = output.suffix.lower()
    if output.is_dir() or suffix not in PICTURE_SUFFIXES | VIDEO_SUFFIXES:
        return False
    try:
        writable_video(suffix) if suffix in VIDEO_SUFFIXES else writable_format(suffix)
    except UserError as error:
        raise UserError(f"--output {output}: {error}") from None
    return True


def _single_job(inputs: list[str], found: list[_Found], output: Path, format: str | None) -> Job:
    files = [path for item in found for path in item.files]
    kinds = {kind for item in found for kind in item.files.values()}
    to_video = output.suffix.lower() in WRITABLE_VIDEOS
    one = len(files) == 1 and not found[0].is_folder
    if to_video and one and kinds == {"picture"} and is_animated(files[0]):
        job = Job(files[0], output, "video")
    elif to_video and kinds == {"picture"} and not (one and is_gif_name(files[0])):
        source = files[0] if one else found[0].root
        job = Job(source, output, "video", _as_frames(found))
    elif not one:
        named = " ".join(inputs)
        raise UserError(f"--output {output} is one file, but {named} may be many; give a folder")
    elif kinds == {"video"} and not to_video and not is_gif_name(files[0]):
        raise UserError(
            f"--output {output} is a picture, but {files[0]} is a video; name a video, "
            "or for its frames a folder with --format png"
        )
    else:
        job = Job(files[0], output, "video" if to_video else "picture")
    if format is not None and _muxer_or_format(format) != _muxer_or_format(output.suffix):
        raise UserError(f"--output {output} and --format {format} contradict each other")
    _refuse_clashes([job])
    return job


def _as_frames(found: list[_Found]) -> tuple[Path, ...]:
    """The pictures in the order of their numbers; of a folder those in it, not below it."""
    frames: list[Path] = []
    for item in found:
        own = [path for path in item.files if not item.is_folder or path.parent == item.root]
        if not own:
            raise UserError(f"{item.root} itself holds no picture; name the folder with the frames")
        frames += in_natural_order(own)
    return tuple(frames)


def is_video_format(format: str) -> bool:
    """Whether "mp4" or ".mp4" is a video format that can be written."""
    return "." + format.lower().removeprefix(".") in WRITABLE_VIDEOS


def _muxer_or_format(name: str) -> str:
    return writable_video(name) if is_video_format(name) else writable_format(name)


def is_inside(path: Path, folder: Path) -> bool:
    """Whether a path is a folder or below it, links followed."""
    return real_path(path).is_relative_to(real_path(folder))
