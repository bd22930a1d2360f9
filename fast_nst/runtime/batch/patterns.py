"""The files that a pattern such as photos/**/*.jpg stands for."""

from __future__ import annotations

import fnmatch
import glob
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from fast_nst.files import real_path

_ANY_DEPTH = "**"


def fixed_part(pattern: str) -> Path:
    """The folder in front of a pattern's first wildcard: photos/**/*.jpg -> photos."""
    parts = Path(pattern).parts
    count = next(index for index, part in enumerate(parts) if glob.has_magic(part))
    return Path(*parts[:count])


def matching_files(pattern: str) -> list[Path]:
    """The files, sorted; of one that is reached in several ways the shortest path.

    What is hidden is only matched by a part that begins with a dot. Links to folders are followed, each
    folder once: glob.glob goes through two that lead back again and again.
    """
    start = fixed_part(pattern)
    rest = Path(pattern).parts[len(start.parts) :]
    first: dict[Path, Path] = {}
    for path in _walk(start, rest):
        first.setdefault(real_path(path.parent) / path.name, path)
    return sorted(first.values())


def _walk(start: Path, rest: tuple[str, ...]) -> Iterator[Path]:
    """Short paths first."""
    waiting = deque([(start, rest)])
    seen = {(real_path(start), len(rest))}
    while waiting:
        folder, parts = waiting.popleft()
        for path, left in _step(folder, parts):
            if not path.is_dir():
                if not left or left == (_ANY_DEPTH,):
                    yield path
            elif left and (place := (real_path(path), len(left))) not in seen:
                seen.add(place)
                waiting.append((path, left))


def _step(folder: Path, parts: tuple[str, ...]) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """What the first of the parts matches in a folder, with the parts left for what is in it."""
    part, left = parts[0], parts[1:]
    if part == _ANY_DEPTH:
        if left:
            yield folder, left
        yield from ((path, parts) for path in _names(folder) if not path.name.startswith("."))
    elif not glob.has_magic(part):
        if (path := folder / part).exists():
            yield path, left
    else:
        for path in _names(folder):
            if fnmatch.fnmatch(path.name, part) and path.name.startswith(".") <= part.startswith("."):
                yield path, left


def _names(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:  # it cannot be looked into, or has gone
        return []
