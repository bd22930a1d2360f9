"""Which files of a folder are pictures, and which are seen at all."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from fast_nst.errors import UserError
from fast_nst.pictures import files_below, find_pictures, kinds_unread


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def found(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in find_pictures(folder)]


def test_pictures_are_found_below_sorted_without_hidden_ones(tmp_path: Path) -> None:
    touch(tmp_path, "b.JPG", "a.png", "sub/c.webp", ".d.png", ".git/e.png", "notes.txt", "f.heic", "g.HIF")
    assert found(tmp_path) == ["a.png", "b.JPG", "f.heic", "g.HIF", "sub/c.webp"]
    assert len(files_below(tmp_path)) == 6


def test_missing_folder_is_an_error_not_an_empty_list(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere"):
        find_pictures(tmp_path / "nowhere")


def test_links_to_folders_are_followed_and_loops_end(tmp_path: Path) -> None:
    touch(tmp_path, "disk/2024/a.png", "disk/2024/b.png", "in/own/c.png", "elsewhere/no.png")
    (tmp_path / "in" / "2024").symlink_to(tmp_path / "disk" / "2024")
    (tmp_path / "in" / "again").symlink_to(tmp_path / "in" / "own")
    (tmp_path / "in" / "self").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "own" / "up").symlink_to(tmp_path)
    (tmp_path / "disk" / "2024" / "back").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "gone").symlink_to(tmp_path / "nowhere")
    assert found(tmp_path / "in") == ["2024/a.png", "2024/b.png", "own/c.png"]
    (tmp_path / "link").symlink_to(tmp_path / "in")
    assert found(tmp_path / "link") == ["2024/a.png", "2024/b.png", "own/c.png"]


def test_kinds_are_counted_in_one_line() -> None:
    assert kinds_unread(Counter({".dng": 3, "": 1, ".tga": 1})) == "3 .dng, 1 without a suffix, 1 .tga"
    many = kinds_unread(Counter({f".{number}": 1 for number in range(100)}))
    assert many.endswith("88 of other kinds")
