"""A picture from stdin, to stdout, or both: by way of files, since decoders and encoders need them."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from fast_nst.errors import UserError
from fast_nst.pictures import WRITABLE, UnreadablePicture, open_picture
from fast_nst.runtime.batch.jobs import is_video_format
from fast_nst.runtime.batch.options import Report, Result, StylizeOptions
from fast_nst.runtime.batch.stylize import stylize_files
from fast_nst.runtime.video.media import kind_of
from fast_nst.stop import tidying

PIPE = "-"
"""Stdin among the inputs, stdout as the output."""


def stylize_piped(
    inputs: list[str],
    options: StylizeOptions,
    stdin: BinaryIO | None,
    stdout: BinaryIO | None,
    told: Callable[[Result], None] = lambda result: None,
) -> Report:
    """Stylize files of which one comes from `stdin`, where `-` is among the inputs, and into `stdout`, where
    `-` is the output: then one file in `options.format`, by default that of the input or the nearest to it.

    Raises UserError as stylize_files does, and for several inputs into stdout; Interrupted on SIGTERM and
    SIGHUP; BrokenPipeError when nobody reads stdout any more.
    """
    if options.engine == "ray":
        raise UserError(f"{PIPE} is for --engine local")
    if stdout is not None and (len(inputs) != 1 or not (inputs[0] == PIPE or Path(inputs[0]).is_file())):
        raise UserError(f"--output {PIPE} takes the result of one file, not of {' '.join(inputs)}")
    with _folder() as folder:
        spooled = None if stdin is None else _spool(stdin, folder)
        named = [str(spooled) if text == PIPE and spooled else text for text in inputs]
        if stdout is not None:
            _check_one_file(Path(named[0]), options.format)
            options = replace(options, output=folder / "stdout")
        report = Report(told=told)

        def rename(result: Result) -> None:
            source = PIPE if result.input == spooled else result.input
            target = PIPE if result.output is not None and stdout is not None else result.output
            reason = None if result.skipped is None else _short(result.skipped, folder)
            report.add(replace(result, input=source, output=target, skipped=reason))

        try:
            done = stylize_files(named, options, rename)
        except UserError as error:
            raise UserError(_short(str(error), folder)) from error
        report.unread = done.unread
        if stdout is not None:
            for path in done.written:
                with Path(path).open("rb") as file:
                    shutil.copyfileobj(file, stdout)
    return report


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder for a while, whose name is cut from what is logged: the user has never heard of it."""

    def cut(record: logging.LogRecord) -> bool:
        record.msg, record.args = _short(record.getMessage(), Path(name)), ()
        return True

    logger = logging.getLogger("fast_nst")
    with tidying(), tempfile.TemporaryDirectory(prefix="fast-nst-") as name:
        logger.addFilter(cut)
        try:
            yield Path(name)
        finally:
            logger.removeFilter(cut)


def _short(text: str, folder: Path) -> str:
    return text.replace(f"{folder}{os.sep}", "")


def _spool(stdin: BinaryIO, folder: Path) -> Path:
    """The bytes as a file whose name tells the format, since the result's comes from that."""
    path = folder / "stdin"
    with path.open("wb") as file:
        shutil.copyfileobj(stdin, file)
    try:
        with open_picture(path) as image:
            kind = image.format or ""
    except UnreadablePicture:  # a video, or its reader says what is wrong with it
        return path
    suffix = next((suffix for suffix, known in WRITABLE.items() if known == kind), f".{kind.lower()}")
    return path.rename(path.with_suffix(suffix))


def _check_one_file(source: Path, format: str | None) -> None:
    if format is not None and not is_video_format(format) and kind_of(source) == "video":
        raise UserError(
            f"--format {format} makes many files of a video's frames: name a folder as --output, "
            "or send raw frames with --raw"
        )
