"""Many files on Ray: the local engine's results, whatever happens to files, stores and workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from gate import wait_until
from generated_clips import make_clip
from PIL import Image

from fast_nst.cli import main
from fast_nst.errors import UserError
from fast_nst.pictures import decode_picture, encode_picture
from fast_nst.runtime.batch.options import Report, StylizeOptions
from fast_nst.runtime.batch.stylize import stylize_files

fsspec = pytest.importorskip("fsspec", reason="the extra ray is not installed")
ray = pytest.importorskip("ray", reason="the extra ray is not installed")

from shop_store import Shop  # noqa: E402

pytestmark = pytest.mark.slow

fsspec.register_implementation("shop", Shop, clobber=True)


@pytest.fixture(scope="module")
def on_ray() -> Iterator[None]:
    """Ray on this machine, with room for two workers, which know the shop."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_BACKEND_LOG_LEVEL", "fatal")
        patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[2] / "helpers"), *sys.path]))
        memory = 128 * 2**20
        ray.init(
            "local", num_cpus=2, object_store_memory=memory, include_dashboard=False, log_to_driver=False
        )
        yield
        ray.shutdown()


def stylize(inputs: list[str], model: Path, output: str, **options: object) -> Report:
    settings = StylizeOptions(model=str(model), output=output, threads=1, **options)
    return stylize_files(inputs, settings)


def pictures(folder: Path, count: int, suffix: str = ".png") -> dict[str, np.ndarray]:
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for index in range(count):
        pixels = np.random.default_rng(index).integers(0, 256, (9 + index, 40 - index, 3), np.uint8)
        encode_picture(folder / f"{index:02}{suffix}", pixels)
        found[f"{index:02}{suffix}"] = pixels
    return found


def tree(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


# --- what comes out ------------------------------------------------------------------------------


@pytest.mark.usefixtures("on_ray")
def test_a_mixture_of_styles_is_that_of_the_local_engine(tmp_path: Path, gallery_model: Path) -> None:
    pictures(tmp_path / "in", 3)
    for style in ("waves:0.6,udnie:0.4", "scream"):
        for engine in ("local", "ray"):
            stylize(
                [str(tmp_path / "in")],
                gallery_model,
                str(tmp_path / engine / style),
                style=style,
                engine=engine,
            )
    assert tree(tmp_path / "ray") == tree(tmp_path / "local")
    assert len({*tree(tmp_path / "ray").values()}) == 6
    make_clip(tmp_path / "clip.mp4", 3)
    for engine in ("local", "ray"):
        made = str(tmp_path / f"{engine} video")
        stylize([str(tmp_path / "clip.mp4")], gallery_model, made, style="waves@0,udnie@0.1", engine=engine)
    assert tree(tmp_path / "ray video") == tree(tmp_path / "local video")
    for style, said in ((None, "name one with --style"), ("wave", "did you mean"), ("waves@0", "for videos")):
        made = str(tmp_path / "none")
        with pytest.raises(UserError, match=said):
            stylize([str(tmp_path / "in")], gallery_model, made, style=style, engine="ray")


@pytest.mark.usefixtures("on_ray")
def test_results_and_report_are_those_of_the_local_engine(tmp_path: Path, tiny_model: Path) -> None:
    folder = tmp_path / "in"
    for suffix in (".png", ".jpg", ".webp"):
        pictures(folder / suffix[1:], 25, suffix)
    (folder / "empty.jpg").touch()
    (folder / "png" / "text.png").write_text("not a picture")
    encode_picture(folder / "cut.png", np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    (folder / "cut.png").write_bytes((folder / "cut.png").read_bytes()[:2000])
    make_clip(folder / "clip.mp4", 5)
    (folder / "broken.mp4").write_bytes(b"no video")
    images = [Image.new("RGB", (20, 10), color) for color in ("red", "blue")]
    images[0].save(folder / "moving.gif", save_all=True, append_images=images[1:])
    images[0].save(folder / "moving.webp", save_all=True, append_images=images[1:], duration=100)
    Image.new("RGBA", (20, 10), (200, 100, 50, 90)).save(folder / "clear.bmp")
    (folder / "raw.dng").touch()

    local = stylize([str(folder)], tiny_model, str(tmp_path / "local"), alpha="keep")
    on_ray = {"engine": "ray", "workers": 2, "alpha": "keep"}
    report = stylize([f"file://{folder}"], tiny_model, str(tmp_path / "ray"), **on_ray)
    assert tree(tmp_path / "ray") == tree(tmp_path / "local")
    assert len(report.written) == 25 * 3 + 4
    assert report.unread == local.unread == {".dng": 1}
    there = [path.relative_to(tmp_path / "local") for path in local.written]
    assert [path.relative_to(tmp_path / "ray") for path in report.written] == there
    assert [(str(path), reason) for path, reason in local.skipped] == report.skipped
    assert (report.kept, report.damaged) == ([], [])

    # The same again does what is missing, and what could not be done; the rest is not touched.
    before = {path: path.stat().st_mtime_ns for path in report.written}
    for path in report.written[3:5]:
        path.unlink()
    (folder / "empty.jpg").write_bytes((folder / "jpg" / "00.jpg").read_bytes())
    again = stylize([str(folder)], tiny_model, str(tmp_path / "ray"), **on_ray | {"workers": 1})
    assert [path.name for path in again.written] == ["empty.jpg", *(p.name for p in report.written[3:5])]
    assert len(again.kept) == len(report.written) - 2
    assert [path for path in before if path.stat().st_mtime_ns != before[path]] == report.written[3:5]
    assert len(again.skipped) == len(report.skipped) - 1


@pytest.mark.usefixtures("on_ray")
def test_nothing_is_lost_when_a_worker_is_killed(tmp_path: Path, tiny_model: Path) -> None:
    wanted = pictures(tmp_path / "in", 10)
    (tmp_path / "in" / "05.png").rename(held := tmp_path / "in" / "held.png")
    wanted["held.png"] = wanted.pop("05.png")
    out, url = tmp_path / "out", f"shop://{tmp_path}"
    asking = Path(f"{held}.held")

    def kill() -> None:
        """In the middle of it: one picture is being fetched, others are done."""
        wait_until(lambda: asking.exists() and asking.read_text() and len(list(out.glob("*.png"))) >= 3)
        os.kill(int(asking.read_text()), signal.SIGKILL)
        Path(f"{held}.go").touch()

    killer = threading.Thread(target=kill)
    killer.start()
    report = stylize([f"{url}/in"], tiny_model, f"{url}/out", engine="ray", workers=2)
    killer.join()
    assert report.written == [f"{url}/out/{name}" for name in sorted(wanted)]
    assert report.skipped == []
    assert sorted(path.name for path in out.iterdir()) == sorted(wanted)  # and nothing unfinished
    for name, pixels in wanted.items():
        assert np.array_equal(decode_picture(out / name).pixels, 255 - pixels)


@pytest.mark.usefixtures("on_ray")
def test_stores_that_fail_and_a_file_that_kills_its_workers(tmp_path: Path, tiny_model: Path) -> None:
    wanted = pictures(tmp_path / "in", 12)
    for name, other in (("04.png", "flaky.png"), ("05.png", "killer.png"), ("06.png", "gone.png")):
        (tmp_path / "in" / name).rename(tmp_path / "in" / other)
        wanted[other] = wanted.pop(name)
    url = f"shop://{tmp_path}"
    report = stylize([f"{url}/in"], tiny_model, f"{url}/out", engine="ray", workers=1)
    del wanted["killer.png"], wanted["gone.png"]
    assert report.written == [f"{url}/out/{name}" for name in sorted(wanted)]
    assert [source for source, _ in report.skipped] == [f"{url}/in/gone.png", f"{url}/in/killer.png"]
    assert report.skipped[0][1].startswith(f"cannot read {url}/in/gone.png: ")
    assert "workers died of it" in report.skipped[1][1]
    assert sorted(tree(tmp_path / "out")) == sorted(wanted)
    for name, pixels in wanted.items():
        assert np.array_equal(decode_picture(tmp_path / "out" / name).pixels, 255 - pixels)


# --- what is said --------------------------------------------------------------------------------


WITH_THE_SHOP = """
import sys, fsspec
from shop_store import Shop
fsspec.register_implementation("shop", Shop)
from fast_nst.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_ctrl_c_ends_ray_and_says_one_line(tmp_path: Path, tiny_model: Path) -> None:
    pictures(tmp_path / "in", 30)
    (tmp_path / "in" / "20.png").rename(tmp_path / "in" / "held.png")
    out, url = tmp_path / "out", f"shop://{tmp_path}"
    command = [sys.executable, "-c", WITH_THE_SHOP, "stylize", f"{url}/in", "--engine", "ray"]
    command += ["--model", str(tiny_model), "--output", f"{url}/out", "--workers", "1"]
    (tmp_path / "temporary").mkdir()
    # Ray's own folder holds sockets, whose paths have to be short.
    where = {"TMPDIR": str(tmp_path / "temporary"), "RAY_TMPDIR": tempfile.gettempdir()}
    where["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[2] / "helpers"), *sys.path])
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | where
    )
    wait_until(lambda: list(out.glob("*.png")) or process.poll() is not None)
    process.send_signal(signal.SIGINT)
    output, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert (output, said) == ("", "fast-nst: interrupted; the same command does what is missing\n")
    assert 0 < len(list(out.glob("*.png"))) < 30
    assert list(out.glob(".*")) == list((tmp_path / "temporary").glob("fast-nst-*")) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{in}", "--output", "s3://bucket/out"], "URLs need --engine ray"),
        (["{in}", "--workers", "2"], "--workers is for --engine ray"),
        (["{in}", "--engine", "ray", "--workers", "0"], "--workers must be at least 1"),
        (["{in}", "--engine", "spark"], "--engine"),
        (["{in}", "--engine", "ray", "--model", "nowhere.onnx"], "nowhere.onnx"),
        (["{in}", "--engine", "ray", "--output", "{out}/a.png"], "is one file"),
        (["{in}", "--engine", "ray", "--fps", "25"], "--fps"),
        (["{in}/nowhere.png", "--engine", "ray"], "does not exist"),
    ],
)
def test_mistakes_are_told_before_ray_starts(
    arguments: list[str], said: str, tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures(tmp_path / "in", 1)
    arguments = [text.format(**{"in": tmp_path / "in", "out": tmp_path / "out"}) for text in arguments]
    defaults = ["--output", str(tmp_path / "out"), "--model", str(tiny_model)]
    assert main(["stylize", *defaults, *arguments]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert said in line
    assert not (tmp_path / "out").exists()


def test_when_all_is_done_ray_is_not_started(tmp_path: Path, tiny_model: Path) -> None:
    pictures(tmp_path / "in", 2)
    first = stylize([str(tmp_path / "in")], tiny_model, str(tmp_path / "out"))
    settings = {"engine": "ray", "ray_address": "192.0.2.1:6379"}
    report = stylize([str(tmp_path / "in")], tiny_model, str(tmp_path / "out"), **settings)
    assert (report.written, report.kept) == ([], [str(path) for path in first.written])


@pytest.mark.usefixtures("on_ray")
def test_gpus_that_are_not_there_are_an_error(tmp_path: Path, tiny_model: Path) -> None:
    pictures(tmp_path / "in", 1)
    with pytest.raises(UserError, match="finds no GPU"):
        stylize([str(tmp_path / "in")], tiny_model, str(tmp_path / "out"), engine="ray", providers="cuda")


def test_the_missing_extra_is_named(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("fast_nst.runtime.batch.ray_engine", "fast_nst.runtime.batch.remote"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    pictures(tmp_path / "in", 1)
    assert main(["stylize", str(tmp_path / "in"), "--model", str(tiny_model), "--engine", "ray"]) == 2
    assert capsys.readouterr().err.endswith("needs ray: pip install 'fast-nst[ray]'\n")
