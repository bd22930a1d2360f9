"""A pattern stands for the files that a shell would list, and is done with circles of links."""

from __future__ import annotations

import glob
import os
from pathlib import Path

import pytest

from fast_nst.runtime.batch.patterns import fixed_part, matching_files

FILES = (
    *("a.png", "B.png", "c.jpg", ".hidden.png", "x/a.png", "x/y/b.png", "x/y/z/c1.png", "x/.cache/d.png"),
    *("[1]/e.png", "y/f.png"),
)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "pattern",
    [
        *("*.png", "**/*.png", "x/**/*.png", "x/**", "**/y/*.png", "**/y/**/*.png", "*/*/*.png", "[ac].*"),
        *("x/y/*/c?.png", "x/.cache/*.png", "x/.c*/*", "[[]1]/*.png", "nowhere/**/*.png", "./x/*.png"),
        *("**", "*/../*.png", "**/y", "**/[a-b].png", "**/*"),
    ],
)
def test_files_are_those_that_a_shell_lists(tree: Path, pattern: str) -> None:
    listed = {Path(os.path.normpath(path)) for path in glob.glob(pattern, recursive=True)}  # noqa: PTH207
    found = matching_files(pattern)
    assert {Path(os.path.normpath(path)) for path in found} == {path for path in listed if path.is_file()}
    assert len(found) == len(set(found))
    absolute = matching_files(str(tree / pattern))
    assert [path.relative_to(tree) for path in absolute] == found


def test_folders_linked_into_themselves_are_gone_through_once(tree: Path) -> None:
    for name in ("self", "again", "x/up"):
        (tree / name).symlink_to(tree)
    (tree / "linked").symlink_to(tree / "x" / "y")
    found = matching_files("**/*.png")  # glob.glob takes for ever
    assert [str(path) for path in found] == [
        *("B.png", "[1]/e.png", "a.png", "linked/b.png", "linked/z/c1.png", "x/a.png", "y/f.png"),
    ]


def test_the_folder_in_front_of_the_first_wildcard_is_the_root_of_the_tree() -> None:
    assert fixed_part("photos/**/*.jpg") == Path("photos")
    assert fixed_part("*.jpg") == Path()
