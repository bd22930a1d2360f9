"""What a command may say and leave behind after it was given a bad file."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from fast_nst.errors import printable
from fuzzing.cases import Case

_WARNING = re.compile(
    r".+: (the (audio|subtitle) stream \d+ \(.*\) is left out: \w+ cannot hold it"
    r"|the audio stream \d+ \(.*\) becomes (aac|opus): \w+ does not take it"
    r"|HDR is tone-mapped to SDR .*|closed captions are left out: .*|what makes it a (360-degree|3D) .*)"
    r"|fast-nst: \d+ files? (is|are) of (a kind|kinds) that (is|are) not read and left out: .+"
    r"|.+: only the first of (its|the) \d+ (pages|frames of its source) is taken"
    r"|.+: (\d+-bit )?float .+, read as 0 \(black\) to (1|255) \(white\), what is beyond clipped"
)
_NAMED = re.compile(r"(skipped|damaged) (.+?): .+")
_SUM = re.compile(r"fast-nst: \d+ done(, \d+ of them damaged)?, \d+ skipped")
_LONGEST = 500  # characters of a line a person reads


def wrongs(case: Case, result: dict[str, Any], folder: Path) -> list[str]:
    """Everything that is wrong about a case's end, a line each."""
    if result["killed"]:
        return [result["killed"]]
    if result["signal"]:
        return [f"died of {result['signal']}"]
    said = (folder / "stderr").read_text(errors="surrogateescape")
    told = (folder / "stdout").read_text(errors="surrogateescape")
    if "Traceback (most recent call last)" in said:
        return [f"a traceback, ending {said.strip().splitlines()[-1]!r}"]
    code = result["code"]
    found = [] if code in (0, 1, 2) else [f"exit code {code}"]
    found += _wrong_words(case, code, said)
    return found + _wrong_files(case, code, told, folder)


def _wrong_words(case: Case, code: int, said: str) -> list[str]:
    found = []
    lines = said.splitlines()
    for line in lines:
        if not _is_plain(line):
            found.append(f"stderr: not plain text: {line!r}")
        if len(line) > _LONGEST:
            found.append(f"stderr: a line of {len(line)} characters")
    lines = [line for line in lines if not _WARNING.fullmatch(line)]
    if code == 2 and not (len(lines) == 1 and lines[0].startswith("fast-nst: ")):
        found.append(f"exit code 2 with {len(lines)} lines: {lines}")
    if code == 1:
        named = [match[2] for line in lines[:-1] if (match := _NAMED.fullmatch(line))]
        if not lines or not _SUM.fullmatch(lines[-1]) or len(named) != len(lines) - 1:
            found.append(f"exit code 1 with other lines than skipped, damaged and their sum: {lines}")
        found += [f"{name} is named {count} times" for name, count in Counter(named).items() if count > 1]
    if code == 0 and lines:
        found.append(f"exit code 0 with lines: {lines}")
    shown = {printable(case.name), " ".join(case.name.splitlines())}
    if case.form == "frames":
        shown.add("/in may be many")  # one file of several, none of which it says is bad
    if code in (1, 2) and not any(name in said for name in shown):
        found.append(f"the message does not name {case.name!r}: {said!r}")
    return found


def _wrong_files(case: Case, code: int, told: str, folder: Path) -> list[str]:
    found = []
    left = sorted(path for path in (folder / "out").rglob("*") if path.is_file())
    hidden = [*folder.rglob(".*"), *(folder / "tmp").iterdir()]
    found += [f"left behind: {path.relative_to(folder)}" for path in hidden]
    if case.form == "models":
        found += [f"stdout: not plain text: {line!r}" for line in told.splitlines() if not _is_plain(line)]
        return found + ([f"wrote {left}"] if left else [])
    # Frames stay when a later one fails; a folder is a result only if it was named.
    results = left if not _makes_frames(case, left) else [folder / "out"] if told else []
    if sorted(told) != sorted("".join(f"{path}\n" for path in results)):
        found.append(f"named {told!r}, but there are {[str(path) for path in left]}")
    if code == 0 and not left:
        found.append("exit code 0 without a result")
    if case.form == "beside":
        results = {path.name for path in left}
        if code == 2 or not {"1.png", "9.gif"} <= results:
            found.append(f"exit code {code} and {sorted(results)}: the good files beside it were not done")
    return found + [f"{path.name} does not play: {reason}" for path in left if (reason := _unplayable(path))]


def _unplayable(path: Path) -> str | None:
    """Why a result cannot be looked at, None if it can."""
    try:
        if path.suffix.lower() in (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".gif"):
            with av.open(str(path.absolute())) as container:
                count = sum(not frame.is_corrupt for frame in container.decode(video=0))
            return None if count else "no frame decodes"
        with Image.open(path) as image:
            return None if np.asarray(image.convert("RGB")).size else "no pixels"
    except Exception as error:  # whatever it is, it is the answer
        return repr(error)


def _is_plain(line: str) -> bool:
    """Whether a line does nothing to a terminal but fill it."""
    return printable(line.replace("\t", " ")) == line.replace("\t", " ")


def _makes_frames(case: Case, left: list[Path]) -> bool:
    return case.form == "frames" and any(path.stem.isdecimal() for path in left)
