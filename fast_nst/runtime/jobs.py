"""From what a user names (files, folders, patterns, an output) to pairs of input and output."""

from __future__ import annotations

import glob
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from fast_nst.errors import UserError
from fast_nst.pictures import (
    PICTURE_SUFFIXES,
    WRITABLE,
    find_pictures,
    is_picture_name,
    writable_format,
)


@dataclass(frozen=True)
class Job:
    """One picture to read and the file its result goes to."""

    source: Path
    target: Path


@dataclass(frozen=True)
class _Found:
    """Pictures of one input, and the folder whose tree below is kept."""

    root: Path
    pictures: list[Path]
    is_folder: bool


def plan_jobs(inputs: list[str], output: Path, format: str | None = None) -> list[Job]:
    """Pair every picture with its result file; nothing is written and no picture is opened.

    Raises UserError for an input that does not exist or holds no picture, for an output that does
    not fit the inputs, and where a result would overwrite an input or another result.
    """
    if not inputs:
        raise UserError("no input given: name picture files, folders or patterns")
    own_file = _is_picture_file(output)
    found = [item for text in inputs if (item := _find(text, None if own_file else output))]
    if not found:
        raise UserError(f"--output {output} is or holds the input itself; choose another folder")
    if own_file:
        return [_single_job(inputs, found, output, format)]
    if output.exists() and not output.is_dir():
        raise UserError(f"--output {output} is a file; give a folder, or a name ending in .jpg, .png, ...")
    jobs = _tell_apart(_unique(_place(found, output, format)))
    _refuse_clashes(jobs)
    return jobs


def _find(text: str, output: Path | None) -> _Found | None:
    """The pictures one input stands for; None for a folder that is the output or lies inside it."""
    path = Path(text)
    if path.is_dir():
        if output is not None and _is_inside(path, output):
            return None
        return _Found(path, _outside(find_pictures(path), output, text), is_folder=True)
    if path.exists():
        return _Found(path.parent, [path], is_folder=False)
    if not glob.has_magic(text):
        raise UserError(f"input {text} does not exist")
    pattern = str(path.expanduser())
    # Path.glob wants the fixed part and the pattern apart.
    matches = [Path(match) for match in sorted(glob.glob(pattern, recursive=True))]  # noqa: PTH207
    pictures = [match for match in matches if is_picture_name(match) and match.is_file()]
    return _Found(_fixed_part(pattern), _outside(pictures, output, text), is_folder=False)


def _outside(pictures: list[Path], output: Path | None, text: str) -> list[Path]:
    """Those not below the output: results of an earlier run are no inputs of this one."""
    if output is not None:
        pictures = [path for path in pictures if not _is_inside(path, output)]
    if not pictures:
        raise UserError(f"input {text} holds no picture ({', '.join(sorted(PICTURE_SUFFIXES))})")
    return pictures


def _place(found: list[_Found], output: Path, format: str | None) -> list[Job]:
    """The tree below each input's root, below the output; of several folders below their names."""
    several_folders = sum(item.is_folder for item in found) > 1
    jobs = []
    for item in found:
        below = output / item.root.resolve().name if several_folders and item.is_folder else output
        for source in item.pictures:
            target = below / source.relative_to(item.root)
            jobs.append(Job(source, target.with_suffix(_suffix(source, format))))
    return jobs


def _suffix(source: Path, format: str | None) -> str:
    if format is not None:
        return "." + format.lower().removeprefix(".")
    if source.suffix.lower() in (".jpe", ".jfif", ".mpo"):
        return ".jpg"
    return source.suffix if source.suffix.lower() in WRITABLE else ".png"


def _unique(jobs: list[Job]) -> list[Job]:
    """The same picture named twice is done once."""
    first: dict[Path, Job] = {}
    for job in jobs:
        first.setdefault(job.source.absolute(), job)
    return list(first.values())


def _tell_apart(jobs: list[Job]) -> list[Job]:
    """Where a.jpg and a.png would both become a.webp, they become a.jpg.webp and a.png.webp."""
    counts = Counter(job.target for job in jobs)
    return [
        replace(job, target=job.target.with_name(job.source.name + job.target.suffix))
        if counts[job.target] > 1
        else job
        for job in jobs
    ]


def _refuse_clashes(jobs: list[Job]) -> None:
    sources = {job.source.resolve() for job in jobs}
    taken: dict[Path, Path] = {}
    for job in jobs:
        if job.target.resolve() in sources:
            raise UserError(f"{job.target} would overwrite an input; choose another --output")
        if job.target in taken:
            raise UserError(
                f"{taken[job.target]} and {job.source} would both become {job.target}; "
                "give the folder above them as the input, or run them apart"
            )
        taken[job.target] = job.source


def _is_picture_file(output: Path) -> bool:
    """Whether --output means one file: a picture's name that is not a folder already."""
    if output.is_dir() or output.suffix.lower() not in PICTURE_SUFFIXES:
        return False
    try:
        writable_format(output.suffix)
    except UserError as error:
        raise UserError(f"--output {output}: {error}") from None
    return True


def _single_job(inputs: list[str], found: list[_Found], output: Path, format: str | None) -> Job:
    pictures = [path for item in found for path in item.pictures]
    if len(pictures) > 1 or any(item.is_folder for item in found):
        named = " ".join(inputs)
        raise UserError(f"--output {output} is one file, but {named} may be many; give a folder")
    if format is not None and writable_format(format) != writable_format(output.suffix):
        raise UserError(f"--output {output} and --format {format} contradict each other")
    _refuse_clashes([Job(pictures[0], output)])
    return Job(pictures[0], output)


def _is_inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _fixed_part(pattern: str) -> Path:
    """The folder in front of a pattern's first wildcard: photos/**/*.jpg -> photos."""
    parts = Path(pattern).parts
    count = next(index for index, part in enumerate(parts) if glob.has_magic(part))
    return Path(*parts[:count])
