"""Files wherever fsspec finds them (s3://, gs://, hdfs://, local): listed, fetched, and put there whole."""

from __future__ import annotations

import glob
import itertools
import os
import shutil
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import fsspec
from fsspec.implementations.local import LocalFileSystem

from fast_nst.errors import UserError, one_line
from fast_nst.files import flush
from fast_nst.pictures import PICTURE_SUFFIXES
from fast_nst.runtime.batch.jobs import (
    Job,
    is_video_format,
    nothing_found,
    readable_below,
    result_suffix,
    tell_apart,
)
from fast_nst.runtime.video.media import VIDEO_SUFFIXES, Kind, is_media_name, is_video_name

# Where a file appears when its upload is complete; there, a rename would be one more copy.
_OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oci", "oss", "memory"}
_WAITS = (0.5, 2.0, 8.0)  # seconds between the tries of a transfer
_NEVER_BETTER = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)


class TransferFailed(UserError):
    """A file that could not be read from or written to its store, tried as often as makes sense."""


@dataclass(frozen=True)
class Store:
    """A file system, and how its files are called by users. Crosses process borders by pickle."""

    fs: fsspec.AbstractFileSystem

    @property
    def is_local(self) -> bool:
        """Whether paths are those of the machine they are used on."""
        return isinstance(self.fs, LocalFileSystem)

    @property
    def puts_whole(self) -> bool:
        """Whether an upload is seen only when it is complete."""
        protocols = self.fs.protocol
        return bool(_OBJECT_STORES & set([protocols] if isinstance(protocols, str) else protocols))

    def name(self, path: str) -> str:
        """The URL, or the path where it is local."""
        return path if self.is_local else str(self.fs.unstrip_protocol(path))


@dataclass(frozen=True)
class RemoteJob:
    """A picture or video somewhere and where its result goes."""

    store: Store
    source: str
    """Path in `store`."""
    target: str
    """Path in the output's store."""
    kind: Kind
    """By the file's name."""


@dataclass(frozen=True)
class RemotePlan:
    """All there is to do."""

    jobs: list[RemoteJob]
    """Pictures first; what is done already is not among them."""
    kept: list[str]
    """Names of results that are there already."""
    store: Store
    output: str
    """Path in `store` that the results go below."""
    unread: Counter[str]
    """As jobs.Plan has them."""
    refused: list[tuple[Path, str]]
    """As jobs.Plan has them."""


@dataclass(frozen=True)
class _Found:
    store: Store
    root: str
    paths: list[str]
    is_folder: bool
    unread: Counter[str] = field(default_factory=Counter)
    refused: list[tuple[Path, str]] = field(default_factory=list)


def plan_remote(
    inputs: list[str], output: str, format: str | None = None, *, keep: bool, keep_alpha: bool = False
) -> RemotePlan:
    """Pair files at fsspec URLs, folders and patterns with results, as jobs.plan_jobs does, from lists alone.

    Nothing is opened: whether a file is a picture or a video goes by its name, a GIF is a video. With
    `keep`, results that exist are left out.

    Raises UserError as plan_jobs does, for a URL whose package is missing and a store that does not answer.
    """
    if not inputs:
        raise UserError("no input given: name picture files, folders, patterns or URLs")
    store, folder = open_store(output)
    if PurePosixPath(folder).suffix.lower() in PICTURE_SUFFIXES | VIDEO_SUFFIXES:
        raise UserError(f"--output {output} is one file; --engine ray needs a folder")
    found = [_find(text, store, folder) for text in inputs]
    jobs = _refuse_clashes(_place(found, folder, format, keep_alpha), store)
    kept: list[str] = []
    if keep:
        existing = set(_list(store, folder))
        kept = [store.name(job.target) for job in jobs if job.target in existing]
        jobs = [job for job in jobs if job.target not in existing]
    unread = sum((item.unread for item in found), Counter())
    refused = [one for item in found for one in item.refused]
    jobs = sorted(jobs, key=lambda job: job.kind == "video")
    return RemotePlan(jobs, kept, store, folder, unread, refused)


def open_store(url: str) -> tuple[Store, str]:
    """The store a URL or path is in, and the path there; links of a local one are followed.

    Raises UserError for a protocol that fsspec does not know or whose package is missing.
    """
    try:
        fs, path = fsspec.core.url_to_fs(url)
    except Exception as error:  # ValueError, ImportError, and what the packages raise for bad settings
        raise UserError(f"{url}: {one_line(error)}") from error
    store, path = Store(fs), path.rstrip("/")
    if store.is_local:
        folder, name = (path, "") if fs.isdir(path) else path.rsplit("/", 1)
        path = Path(os.path.realpath(folder), name).as_posix()
    return store, path


@contextmanager
def fetched(store: Store, path: str, tag: str) -> Iterator[Path]:
    """The file on this machine: itself, or a copy that goes at the end; `tag` is in its folder's name.

    Raises TransferFailed.
    """
    if store.is_local:
        yield Path(path)
        return
    with tempfile.TemporaryDirectory(prefix=f"fast-nst-{tag}-") as folder:
        copy = Path(folder) / PurePosixPath(path).name
        _try(lambda: store.fs.get_file(path, str(copy)), f"cannot read {store.name(path)}")
        yield copy


@contextmanager
def delivered(store: Store, path: str, tag: str) -> Iterator[Path]:
    """A name on this machine to write to; at the end that file is put to `path`, all of it or nothing.

    `tag` is in the name of what is unfinished. Raises TransferFailed; if the block raised, nothing is put.
    """
    with tempfile.TemporaryDirectory(prefix=f"fast-nst-{tag}-") as folder:
        made = Path(folder) / PurePosixPath(path).name
        yield made
        _try(lambda: _put(store, made, path, tag), f"cannot write {store.name(path)}")


def remove_unfinished(store: Store, folder: str, tag: str) -> None:
    """Remove what workers that were killed left below `folder` and among this machine's temporary files."""
    for copy in Path(tempfile.gettempdir()).glob(f"fast-nst-{tag}-*"):
        shutil.rmtree(copy, ignore_errors=True)
    if not store.puts_whole:
        for path in _list(store, folder):
            if PurePosixPath(path).name.startswith(f".{tag}-"):
                with suppress(Exception):  # nobody reads it, and the next run has a tag of its own
                    store.fs.rm_file(path)


def check_puts(store: Store, folder: str) -> None:
    """Find out by doing it whether files can be put below `folder`. Raises UserError."""
    probe = f"{folder}/.{uuid.uuid4().hex}.tmp"
    with _asking(f"--output: cannot write into {store.name(folder)}"):
        store.fs.makedirs(folder, exist_ok=True)
        store.fs.pipe_file(probe, b"fast_nst")
        store.fs.rm_file(probe)


def _find(text: str, output_store: Store, output: str) -> _Found:
    store, path = open_store(text)
    fs = store.fs
    refused: list[tuple[Path, str]] = []
    with _asking(f"cannot list {text}"):
        if is_folder := fs.isdir(path):
            root, listed = path, [] if store.is_local else fs.find(path)
            if store.is_local:
                files, refused = readable_below(Path(path))
                listed = [file.as_posix() for file in files]
        elif fs.exists(path):
            return _Found(store, str(PurePosixPath(path).parent), [path], is_folder=False)
        elif glob.has_magic(path):
            fixed = itertools.takewhile(lambda part: not glob.has_magic(part), PurePosixPath(path).parts)
            root = str(PurePosixPath(*fixed))
            listed = [name for name, info in fs.glob(path, detail=True).items() if info["type"] == "file"]
        else:
            raise UserError(f"input {text} does not exist")
    inside = [
        path
        for path in sorted(listed)
        if not any(part.startswith(".") for part in PurePosixPath(path).relative_to(root).parts)
        and not (store == output_store and PurePosixPath(path).is_relative_to(output))
    ]
    paths = [path for path in inside if is_media_name(Path(path))]
    unread = Counter(PurePosixPath(path).suffix.lower() for path in inside if not is_media_name(Path(path)))
    if not paths:
        raise nothing_found(text, unread)
    return _Found(store, root, paths, is_folder, unread, refused)


def _place(found: list[_Found], output: str, format: str | None, keep_alpha: bool) -> list[RemoteJob]:
    """As jobs._place, for paths that are not all of this machine."""
    sources: dict[tuple[Store, str], _Found] = {}
    for item in found:
        for path in item.paths:
            sources.setdefault((item.store, path), item)  # the same file named twice is done once
    kinds: list[Kind] = ["video" if is_video_name(Path(path)) else "picture" for _, path in sources]
    for_videos = format is not None and is_video_format(format)
    if for_videos and "video" not in kinds:
        raise UserError(f"--format {format} is for videos, and no input is one")
    if format is not None and not for_videos and "picture" not in kinds:
        raise UserError(f"--format {format} is for pictures; --engine ray makes no folders of frames")
    several_folders = sum(item.is_folder for item in found) > 1
    jobs = []
    for ((_, path), item), kind in zip(sources.items(), kinds, strict=True):
        own = PurePosixPath(item.root).name if several_folders and item.is_folder else ""
        target = PurePosixPath(output, own, PurePosixPath(path).relative_to(item.root))
        fitting = format if for_videos == (kind == "video") else None
        suffix = result_suffix(Path(path), kind, fitting, keep_alpha=keep_alpha)
        jobs.append(Job(Path(path), Path(target.with_suffix(suffix)), kind))
    return [
        RemoteJob(store, path, job.target.as_posix(), job.kind)
        for (store, path), job in zip(sources, tell_apart(jobs), strict=True)
    ]


def _refuse_clashes(jobs: list[RemoteJob], store: Store) -> list[RemoteJob]:
    sources = {job.source for job in jobs if job.store == store}
    taken: dict[str, RemoteJob] = {}
    for job in jobs:
        if job.target in sources:
            raise UserError(f"{store.name(job.target)} would overwrite an input; choose another --output")
        first = taken.setdefault(job.target, job)
        if first is not job:
            raise UserError(
                f"{first.store.name(first.source)} and {job.store.name(job.source)} would both become "
                f"{store.name(job.target)}; give the folder above them as the input, or run them apart"
            )
    return jobs


def _put(store: Store, made: Path, path: str, tag: str) -> None:
    if store.puts_whole:
        store.fs.put_file(str(made), path)
        return
    parent, _, _ = path.rpartition("/")
    unfinished = f"{parent}/.{tag}-{uuid.uuid4().hex}.tmp"
    try:
        store.fs.makedirs(parent, exist_ok=True)
        store.fs.put_file(str(made), unfinished)
        if store.is_local:
            flush(Path(unfinished))
        store.fs.mv(unfinished, path)
    except BaseException:
        with suppress(Exception):  # the error that led here is the one to tell
            store.fs.rm_file(unfinished)
        raise


def _try(transfer: Callable[[], object], what: str) -> None:
    for wait in (*_WAITS, None):
        try:
            transfer()
            return
        except Exception as error:  # each store's client has errors of its own
            if wait is None or isinstance(error, _NEVER_BETTER):
                raise TransferFailed(f"{what}: {_reason(error)}") from error
            time.sleep(wait)


def _list(store: Store, folder: str) -> list[str]:
    with _asking(f"cannot list {store.name(folder)}"):
        store.fs.invalidate_cache()
        try:
            return list(store.fs.find(folder))
        except FileNotFoundError:
            return []


@contextmanager
def _asking(what: str) -> Iterator[None]:
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # each store's client has errors of its own
        raise UserError(f"{what}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or one_line(error)
