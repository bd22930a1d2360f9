"""The verb `stylize`: files, a folder that is watched, or pipes; what is said of them, and the exit code."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import replace
from typing import NoReturn

from fast_nst.errors import Interrupted, UserError, printable
from fast_nst.pictures import kinds_unread
from fast_nst.runtime.batch.one import load_stylizer, with_style
from fast_nst.runtime.batch.options import Report, Result, StylizeOptions
from fast_nst.runtime.batch.pipes import PIPE, stylize_piped
from fast_nst.runtime.batch.stylize import stylize_files
from fast_nst.runtime.batch.watch import watch_folder
from fast_nst.runtime.video.raw import parse_size, stylize_raw
from fast_nst.stop import StopRequest
from fast_nst.terminal import OK, SKIPPED, binary_stdin, binary_stdout, drop_output, fail

_FOR_RAW = {"raw", "model", "style", "output", "strength", "preserve_color", "threads", "providers"}
_FOR_RAW |= {"fps", "max_pixels", "smooth"}


def run_stylize(inputs: list[str], options: StylizeOptions) -> int:
    """Do what is asked; results go to stdout, by name or as bytes, everything else is said on stderr.

    Raises UserError and Interrupted as what is run, BrokenPipeError when nobody reads the bytes any more.
    """
    if inputs == [PIPE, PIPE] and options.output == StylizeOptions.output:  # as in `cp FROM TO`
        inputs, options = [PIPE], replace(options, output=PIPE)
    to_stdout = str(options.output) == PIPE
    if to_stdout and options.json:
        raise UserError("--json and the result itself would both go to stdout: name a file as --output")
    if options.raw is not None:
        return _run_raw(inputs, options)
    if options.watch:
        _run_watch(inputs, options)
    told = _print_json if options.json else lambda result: None
    if to_stdout or PIPE in inputs:
        with binary_stdout() if to_stdout else nullcontext() as stdout:
            stdin = binary_stdin() if PIPE in inputs else None
            report = stylize_piped(inputs, options, stdin, stdout, told)
    else:
        report = stylize_files(inputs, options, told)
    code = _say(report)
    if not options.json and not to_stdout:
        try:
            print("".join(f"{path}\n" for path in report.written), end="", flush=True)
        except BrokenPipeError:  # what was skipped still counts
            drop_output()
    return code


def _run_raw(inputs: list[str], options: StylizeOptions) -> int:
    if inputs != [PIPE] or str(options.output) != PIPE:
        raise UserError("--raw goes from stdin to stdout: fast-nst stylize --raw 640x480 - -")
    options.refuse_others(_FOR_RAW, "--raw")
    size = parse_size(options.raw or "", options.max_pixels)
    options = with_style(options)
    with binary_stdout() as target, StopRequest("stopping after the frames underway") as stop:
        done, problem = stylize_raw(
            *(load_stylizer(options), size, binary_stdin(), target, options.for_videos()),
            stop=lambda: stop.signal is not None,
        )
    frames = "1 frame" if done.frames == 1 else f"{done.frames} frames"
    if stop.signal is not None:
        raise Interrupted(stop.signal, f"interrupted after {frames}")
    return fail(f"{problem}; {frames} done", SKIPPED) if problem else OK


def _run_watch(inputs: list[str], options: StylizeOptions) -> NoReturn:
    def tell(result: Result) -> None:
        if options.json:
            _print_json(result)
        elif result.skipped is None:
            print(result.output, flush=True)
        if result.skipped is not None and result.output is None:
            _say_line(f"skipped {result.input}: {result.skipped}")

    with StopRequest("stopping after this picture") as stop:
        report = watch_folder(inputs, options, tell, stop=lambda: stop.signal is not None)
    assert stop.signal is not None
    raise Interrupted(stop.signal, f"stopped: {len(report.written)} done, {len(report.skipped)} skipped")


def _print_json(result: Result) -> None:
    print(result.to_json(), flush=True)


def _say(report: Report) -> int:
    """What was skipped, damaged and left out, on stderr; returns the exit code."""
    code = OK
    for source, reason in report.skipped:
        _say_line(f"skipped {source}: {reason}")
    for source, reason in report.damaged:
        _say_line(f"damaged {source}: {reason}")
    if report.skipped or report.damaged:
        done = len(report.written) + len(report.kept)
        damaged = f", {len(report.damaged)} of them damaged" if report.damaged else ""
        code = fail(f"{done} done{damaged}, {len(report.skipped)} skipped", SKIPPED)
    if report.unread:
        count = report.unread.total()
        what = "1 file is of a kind that is" if count == 1 else f"{count} files are of kinds that are"
        _say_line(f"fast-nst: {what} not read and left out: {kinds_unread(report.unread)}")
    return code


def _say_line(text: str) -> None:
    print(printable(text), file=sys.stderr)
