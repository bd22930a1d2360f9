"""Files that are there whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from fast_nst.files import partial_of, real_path, whole_file, whole_folder


def test_weights_are_as_readable_as_any_new_file(tmp_path: Path) -> None:
    """safetensors writes files that only their owner can read."""
    (tmp_path / "plain").touch()
    with whole_file(tmp_path / "weights") as unfinished:
        save_file({"x": torch.zeros(1)}, unfinished)
    assert (tmp_path / "weights").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("before")
    with pytest.raises(UnicodeEncodeError), whole_file(tmp_path / "file") as unfinished:
        unfinished.write_text("half \ud800", encoding="utf-8")
    assert (tmp_path / "file").read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_partial_files_name_fits_where_the_files_does(tmp_path: Path) -> None:
    assert partial_of(Path("out/clip.mp4")) == Path("out/clip.partial.mp4")
    for name in ("n" * 251 + ".mp4", "\u65e5" * 83 + ".mp4"):
        partial = partial_of(tmp_path / name)
        partial.touch()
        assert partial.name.endswith(".partial.mp4")


def test_links_that_lead_in_a_circle_have_a_real_path(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "c").symlink_to(tmp_path)
    assert real_path(tmp_path / "a").parent == tmp_path.resolve()
    assert real_path(tmp_path / "c" / "d") == tmp_path.resolve() / "d"


def test_a_folder_in_place_of_a_link_that_leads_in_a_circle_leaves_no_rubbish(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("a")
    with whole_folder(tmp_path / "a") as unfinished:
        (unfinished / "file").touch()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a" / "file").exists()
