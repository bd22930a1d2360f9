"""Plans made from lists of files alone, at any URL; and what is put there, whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest

fsspec = pytest.importorskip("fsspec", reason="the extra ray is not installed")

from shop_store import Shop  # noqa: E402

from fast_nst.errors import UserError  # noqa: E402
from fast_nst.runtime.batch.remote import (  # noqa: E402
    RemotePlan,
    TransferFailed,
    check_puts,
    delivered,
    fetched,
    open_store,
    plan_remote,
    remove_unfinished,
)

fsspec.register_implementation("shop", Shop, clobber=True)


@pytest.fixture
def bucket() -> Iterator[str]:
    """The URL of a folder in an object store."""
    url = f"memory://{uuid4().hex}"
    yield url
    fsspec.filesystem("memory").rm(url, recursive=True)


def fill(bucket: str, *names: str) -> None:
    for name in names:
        fsspec.filesystem("memory").pipe_file(f"{bucket}/{name}", b"not opened")


def targets(bucket: str, *inputs: str, keep: bool = True, format: str | None = None) -> list[str]:
    plan = plan_remote([f"{bucket}/{name}" for name in inputs], f"{bucket}/out", format, keep=keep)
    return [plan.store.name(job.target).split("/out/")[1] for job in plan.jobs]


def kept(plan: RemotePlan) -> list[str]:
    return [name.rpartition("/")[2] for name in plan.kept]


# --- what is done and what is not ----------------------------------------------------------------


def test_tree_is_kept_and_videos_come_last(bucket: str) -> None:
    fill(bucket, "in/b.mp4", "in/x/c.jfif", "in/x/y/d.gif", "in/a.PNG", "in/notes.txt", "in/.hidden/e.png")
    assert targets(bucket, "in") == ["a.PNG", "x/c.jpg", "b.mp4", "x/y/d.gif"]


def test_patterns_and_several_folders(bucket: str) -> None:
    fill(bucket, "one/a.png", "one/x/b.png", "two/a.png", "two/c.jpg", "one/x/e.png/inside.txt")
    assert targets(bucket, "one/**/*.png") == ["a.png", "x/b.png"]
    assert targets(bucket, "one", "two") == ["one/a.png", "one/x/b.png", "two/a.png", "two/c.jpg"]
    assert targets(bucket, "one/a.png", "one/a.png") == ["a.png"]
    fill(bucket, "three/[1].png")
    assert targets(bucket, "three/[1].png") == ["[1].png"]


def test_formats(bucket: str) -> None:
    fill(bucket, "in/a.jpg", "in/a.png", "in/b.png", "in/c.avi")
    assert targets(bucket, "in", format="webp") == ["a.jpg.webp", "a.png.webp", "b.webp", "c.mp4"]
    assert targets(bucket, "in", format="mkv")[-1] == "c.mkv"


def test_what_is_done_is_left_out_by_its_name(bucket: str) -> None:
    fill(bucket, "in/a.png", "in/b.png", "out/a.png", "out/.tag-1.tmp")
    plan = plan_remote([f"{bucket}/in"], f"{bucket}/out", keep=True)
    assert (kept(plan), [job.source[-8:] for job in plan.jobs]) == (["a.png"], ["in/b.png"])
    assert targets(bucket, "in", keep=False) == ["a.png", "b.png"]


def test_kinds_that_are_not_read_are_counted(bucket: str) -> None:
    fill(bucket, "in/a.png", "in/b.dng", "in/c", "in/.d.dng", "out/e.dng")
    assert plan_remote([f"{bucket}/in"], f"{bucket}/out", keep=True).unread == {".dng": 1, "": 1}
    assert "only 1 .dng" in refusal([f"{bucket}/out"], f"{bucket}/other")


def test_linked_folders_of_this_machine_are_followed(tmp_path: Path) -> None:
    for name in ("disk/a.png", "in/own/b.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    (tmp_path / "in" / "2024").symlink_to(tmp_path / "disk")
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    plan = plan_remote([str(tmp_path / "in")], str(tmp_path / "out"), keep=True)
    done = [Path(job.target).relative_to(tmp_path / "out").as_posix() for job in plan.jobs]
    assert done == ["2024/a.png", "own/b.png"]


def test_formats_that_carry_alpha_are_kept(bucket: str) -> None:
    fill(bucket, "in/a.bmp", "in/b.jpe", "in/c.heic")
    plan = plan_remote([f"{bucket}/in"], f"{bucket}/out", keep=True, keep_alpha=True)
    assert [job.target.rpartition("/")[2] for job in plan.jobs] == ["a.png", "b.jpg", "c.png"]


def test_results_of_an_earlier_run_are_no_inputs(bucket: str) -> None:
    fill(bucket, "a.png", "sub/b.png", "out/a.png")
    assert targets(bucket, "", keep=False) == ["a.png", "sub/b.png"]


# --- what is refused -----------------------------------------------------------------------------


def refusal(inputs: list[str], output: str, format: str | None = None) -> str:
    with pytest.raises(UserError) as caught:
        plan_remote(inputs, output, format, keep=True)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_inputs_and_outputs_that_will_not_do(bucket: str) -> None:
    fill(bucket, "in/a.png", "notes/b.txt", "clips/a.mp4", "other/a.png")
    out = f"{bucket}/out"
    assert "does not exist" in refusal([f"{bucket}/nowhere.png"], out)
    assert "holds no picture" in refusal([f"{bucket}/notes"], out)
    assert "holds no picture" in refusal([f"{bucket}/*.bmp"], out)
    assert "no input" in refusal([], out)
    assert "is one file" in refusal([f"{bucket}/in"], f"{bucket}/out.png")
    assert "no folders of frames" in refusal([f"{bucket}/clips"], out, "png")
    assert "is for videos" in refusal([f"{bucket}/in"], out, "mp4")
    assert "overwrite an input" in refusal([f"{bucket}/in/a.png"], f"{bucket}/in")
    assert "would both become" in refusal([f"{bucket}/in/a.png", f"{bucket}/other/a.png"], out)
    assert "nosuch://x" in refusal(["nosuch://x"], out)


def test_an_input_is_not_overwritten_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").touch()
    (tmp_path / "link").symlink_to(tmp_path / "in")
    assert "overwrite an input" in refusal([str(tmp_path / "in" / "a.png")], str(tmp_path / "link"))


def test_output_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for url in (f"{tmp_path}/file/below", f"shop://{tmp_path}/file/below"):
        with pytest.raises(UserError, match=r"--output: cannot write into .*file/below: "):
            check_puts(*open_store(url))


# --- files that come and go ----------------------------------------------------------------------


@pytest.mark.parametrize("url", ["shop://{}", "file://{}", "memory://{}"])
def test_a_file_is_put_whole_or_not_at_all(url: str, tmp_path: Path) -> None:
    store, folder = open_store(url.format(tmp_path))
    with delivered(store, f"{folder}/x/a.png", "tag") as made:
        made.write_bytes(b"whole")
        assert not store.fs.exists(f"{folder}/x/a.png")
    with fetched(store, f"{folder}/x/a.png", "tag") as copy:
        assert (copy.read_bytes(), copy.name) == (b"whole", "a.png")
    with suppress(ZeroDivisionError), delivered(store, f"{folder}/x/a.png", "tag") as made:
        made.write_bytes(b"part")
        _ = 1 / 0
    with fetched(store, f"{folder}/x/a.png", "tag") as copy:
        assert copy.read_bytes() == b"whole"
    assert [Path(path).name for path in store.fs.find(folder)] == ["a.png"]


def test_only_the_own_unfinished_files_are_removed(tmp_path: Path) -> None:
    for name in (".tag-1.tmp", ".other-1.tmp", "a.png"):
        (tmp_path / name).touch()
    remove_unfinished(*open_store(str(tmp_path)), "tag")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".other-1.tmp", "a.png"]


def test_what_will_never_be_there_is_tried_once(tmp_path: Path) -> None:
    store, folder = open_store(f"shop://{tmp_path}")
    with pytest.raises(TransferFailed, match=r"cannot read shop://.*/gone\.png: "):
        fetched(store, f"{folder}/gone.png", "tag").__enter__()
