"""The one kind of error a user can cause."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Line ends, what steers a terminal, and bytes of a file name that are no text.
_NOT_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class UserError(Exception):
    """Something the user gave is wrong: one line that says what, where and what to do.

    The command line prints the message without a traceback and exits with code 2.
    """


class UnreadableFile(UserError):
    """A file that gives nothing of what it was opened for; `reason` says why, without the name."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)  # both in args: errors cross process borders by pickle
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.args[0]}: {self.args[1]}"


class Interrupted(Exception):
    """A signal ended a run after its state was saved."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = 128 + number


def one_line(error: BaseException | str) -> str:
    """The first sentence-like line of an error, so that any library's message fits on one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return printable(" ".join(lines)) if lines else type(error).__name__


@contextmanager
def user_errors_end(program: str) -> Iterator[None]:
    """For a script: a `UserError` within ends the process with one line, ``program: message``, and code 2."""
    try:
        yield
    except UserError as error:
        print(f"{program}: {one_line(error)}", file=sys.stderr)
        sys.exit(2)


def printable(text: str) -> str:
    """`text` with escapes such as \\n and \\x1b for what would break a line or steer a terminal."""
    return _NOT_TEXT.sub(lambda match: match[0].encode("unicode_escape").decode(), text)
