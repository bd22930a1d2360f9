"""Linux control groups, v1 and v2: how containers and batch jobs limit this process."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

ROOT = Path("/")  # the tests have others


def groups(controller: str, root: Path) -> Iterator[Path]:
    """The folders of this process's control groups, v1 and v2, each with all those above it.

    A limit of any of them holds.
    """
    own = {}  # controller -> group; v2 has one group for all, without a name
    for line in lines(root / "proc/self/cgroup"):
        if len(fields := line.split(":", 2)) == 3:
            own.update(dict.fromkeys(fields[1].split(","), fields[2]))
    for line in lines(root / "proc/self/mountinfo"):
        about, _, kind = line.partition(" - ")
        if len(fields := about.split()) < 5:
            continue
        top, mount = map(_unescaped, fields[3:5])
        match kind.split():
            case ["cgroup", _, options] if controller in options.split(",") and controller in own:
                group = own[controller]
            case ["cgroup2", *_] if "" in own:
                group = own[""]
            case _:
                continue
        folder, inside = root / mount.lstrip("/"), PurePosixPath(group)
        # Else the group is named as on the host, and what is mounted is the container's own.
        if inside.is_relative_to(top) and ".." not in inside.parts:
            below = inside.relative_to(top).parts
            yield from (folder.joinpath(*below[:depth]) for depth in range(len(below), 0, -1))
        yield folder


def _unescaped(field: str) -> str:
    """A name of mountinfo, where spaces and the like stand as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), field)


def number(path: Path) -> float:
    """inf for none, "max" and a file that cannot be read."""
    return to_number(next(iter(lines(path)), ""))


def to_number(text: str) -> float:
    """inf for what is none, such as "max"."""
    try:
        return int(text)
    except ValueError:
        return math.inf


def lines(path: Path) -> list[str]:
    """Of a file; none if it cannot be read."""
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
