"""Videos through the batch job and the command line: what becomes which file, and what is said."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from gate import Gate, wait_until
from generated_clips import corners, look, make_clip
from PIL import Image

from fast_nst import Stylizer
from fast_nst.cli import main
from fast_nst.errors import UserError
from fast_nst.pictures import encode_picture
from fast_nst.runtime.batch.options import Report, StylizeOptions
from fast_nst.runtime.batch.stylize import stylize_files
from fast_nst.runtime.video.stylize import stylize_video


def stylize(inputs: list[Path], model: Path, output: Path, **options: object) -> Report:
    settings = StylizeOptions(model=str(model), output=output, threads=1, **options)
    return stylize_files([str(path) for path in inputs], settings)


def names(report: Report, output: Path) -> list[str]:
    return [path.relative_to(output).as_posix() for path in report.written]


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Pictures and videos, some under a name that says otherwise."""
    folder = tmp_path / "in"
    (folder / "below").mkdir(parents=True)
    encode_picture(folder / "photo.png", corners(20, 30))
    (folder / "photo.png").rename(folder / "photo.mp4")
    encode_picture(folder / "other.jpg", corners(20, 30))
    make_clip(folder / "clip.avi", 3, codec="mpeg4")
    make_clip(folder / "below" / "misnamed.mkv", 2).rename(folder / "below" / "misnamed.jpg")
    images = [Image.fromarray(corners(20, 30, index)) for index in range(3)]
    images[0].save(folder / "still.gif")
    images[0].save(folder / "moving.gif", save_all=True, append_images=images[1:])
    return folder


# --- what becomes what ---------------------------------------------------------------------------


def test_pictures_and_videos_are_told_apart_by_what_they_hold(
    mixed: Path, tiny_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    report = stylize([mixed], tiny_model, out)
    assert names(report, out) == [
        *("other.jpg", "photo.png", "still.png"),
        *("below/misnamed.mp4", "clip.mp4", "moving.gif"),
    ]
    assert (report.skipped, report.damaged) == ([], [])
    assert len(look(out / "clip.mp4").pixels) == len(look(out / "moving.gif").pixels) == 3


def test_a_format_counts_for_its_own_kind(mixed: Path, tiny_model: Path, tmp_path: Path) -> None:
    report = stylize([mixed], tiny_model, tmp_path / "webp", format="webp")
    assert {path.suffix for path in report.written} == {".webp", ".mp4", ".gif"}
    report = stylize([mixed], tiny_model, tmp_path / "mkv", format="MKV")
    assert {path.suffix for path in report.written} == {".jpg", ".png", ".mkv"}
    (mixed / "photo.mp4").unlink()
    with pytest.raises(UserError, match="--format mp4 is for videos"):
        stylize([mixed / "other.jpg"], tiny_model, tmp_path / "out", format="mp4")


def test_a_picture_format_makes_frames_of_videos_alone(tiny_model: Path, tmp_path: Path) -> None:
    clips = [make_clip(tmp_path / name, 2) for name in ("a.mp4", "b.mp4.mkv", "a.mkv")]
    out = tmp_path / "frames"
    assert stylize(clips[:1], tiny_model, out, format="png").written == [out]
    assert sorted(path.name for path in out.iterdir()) == ["000001.png", "000002.png"]
    stylize(clips, tiny_model, tmp_path / "both", format="jpg", end=0.03)
    found = sorted(
        path.relative_to(tmp_path / "both").as_posix() for path in (tmp_path / "both").rglob("*.*")
    )
    assert found == ["a-mkv/000001.jpg", "a-mp4/000001.jpg", "b-mp4/000001.jpg"]


def test_frames_become_a_video_in_the_order_of_their_numbers(tiny_model: Path, tmp_path: Path) -> None:
    for number in (1, 2, 10, 11):
        path = tmp_path / "in" / "below" / f"f{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        encode_picture(path, corners(48, 64, number * 2))
    folder = path.parent
    for source in (folder, folder / "f*.png"):
        assert stylize([source], tiny_model, tmp_path / "out.mp4", fps=10).written == [tmp_path / "out.mp4"]
        seen = look(tmp_path / "out.mp4")
        assert seen.seconds == pytest.approx([0, 0.1, 0.2, 0.3])
        blue = [255 - pixels[..., 2].mean() for pixels in seen.pixels]
        assert blue == pytest.approx([40 + 10 * number for number in (1, 2, 10, 11)], abs=3)
    with pytest.raises(UserError, match="itself holds no picture"):
        stylize([tmp_path / "in"], tiny_model, tmp_path / "out.mp4", fps=10)


def test_a_gif_is_what_the_output_asks_for(mixed: Path, tiny_model: Path, tmp_path: Path) -> None:
    stylize([mixed / "moving.gif"], tiny_model, tmp_path / "first.png")
    assert np.asarray(Image.open(tmp_path / "first.png")).shape == (20, 30, 3)
    stylize([mixed / "still.gif"], tiny_model, tmp_path / "still.gif")
    assert len(look(tmp_path / "still.gif").pixels) == 1


@pytest.mark.parametrize(
    ("inputs", "output", "options", "message"),
    [
        (
            ["clip.avi"],
            "out.png",
            {},
            "is a picture, but .* is a video; name a video, or for its",
        ),
        (["clip.avi", "moving.gif"], "out.mp4", {}, "is one file"),
        (["clip.avi", "other.jpg"], "out.mp4", {}, "is one file"),
        (["clip.avi"], "out.avi", {}, r"cannot write the video format '.avi'; choose one of mp4, m4v, mov"),
        (["clip.avi"], "out.mp4", {"format": "mkv"}, "contradict"),
        (["clip.avi"], "out.mp4", {"fps": 25}, "--fps is for a video made of pictures"),
        (
            ["other.jpg"],
            "out.mp4",
            {},
            "other.jpg: a video made of pictures needs its frames per second: --fps",
        ),
        (["clip.avi"], "out.mp4", {"start": "x"}, "--start must be seconds"),
        (["clip.avi"], "out.gif", {"codec": "vp9"}, "gif holds nothing but its own codec"),
    ],
)
def test_what_does_not_fit_is_refused(
    mixed: Path, tmp_path: Path, tiny_model: Path, inputs: list[str], output: str, options: dict, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        stylize([mixed / name for name in inputs], tiny_model, tmp_path / "new" / output, **options)
    assert not list((tmp_path / "new").glob("*"))


def test_a_video_never_overwrites_its_input(tiny_model: Path, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", 2)
    for output in (tmp_path, clip):
        with pytest.raises(UserError, match="overwrite an input"):
            stylize([clip], tiny_model, output)


def test_videos_done_before_are_kept_on_request(tiny_model: Path, tmp_path: Path) -> None:
    clips = [make_clip(tmp_path / f"{name}.mp4", 2) for name in "ab"]
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.mp4").write_bytes(b"done")
    report = stylize(clips, tiny_model, tmp_path / "out", overwrite=False)
    assert (names(report, tmp_path / "out"), len(report.kept)) == (["b.mp4"], 1)


# --- what is said --------------------------------------------------------------------------------


def test_bad_videos_are_skipped_or_kept_in_part_and_named(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    make_clip(folder / "good.mkv", 50)
    (folder / "cut.mkv").write_bytes((folder / "good.mkv").read_bytes()[:-2000])
    (folder / "none.mp4").write_bytes(b"nothing")
    out = tmp_path / "out"
    assert main(["stylize", str(folder), "--model", str(tiny_model), "--output", str(out)]) == 1
    told = capsys.readouterr()
    lines = told.err.splitlines()
    assert lines[0].startswith(f"skipped {folder / 'none.mp4'}: not a video, or damaged")
    assert lines[1].startswith(f"damaged {folder / 'cut.mkv'}: the file ends after ")
    assert lines[1].endswith(f"; {out / 'cut.mkv'} holds what could be read")
    assert lines[2:] == ["fast-nst: 2 done, 1 of them damaged, 1 skipped"]
    assert sorted(told.out.splitlines()) == [str(out / "cut.mkv"), str(out / "good.mkv")]


def test_times_and_rates_are_taken_from_the_command_line(tiny_model: Path, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mp4", 100)
    arguments = ["stylize", str(clip), "--model", str(tiny_model), "--output", str(tmp_path / "out.mp4")]
    for start, end, frames in (("1", "2.5", 38), ("0:01", "00:00:02", 25), ("0:00:03.2", "1:00", 20)):
        assert main([*arguments, "--start", start, "--end", end]) == 0
        assert len(look(tmp_path / "out.mp4").pixels) == frames
    arguments = ["stylize", str(tmp_path / "frames"), *arguments[2:]]
    stylize([clip], tiny_model, tmp_path / "frames", format="png", end=0.2)
    for rate, length in (("25", 0.16), ("29.97", 4 / 29.97), ("24000/1001", 4 * 1001 / 24000)):
        assert main([*arguments, "--fps", rate]) == 0
        assert look(tmp_path / "out.mp4").seconds[-1] == pytest.approx(length)


WITHOUT_OPENCV = """
import sys
sys.modules["cv2"] = None
from fast_nst.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_smooth_without_opencv_says_what_to_install(tiny_model: Path, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mp4", 2)
    arguments = ["stylize", str(clip), "--model", str(tiny_model), "--output", str(tmp_path / "out.mp4")]
    command = [sys.executable, "-c", WITHOUT_OPENCV, *arguments, "--smooth"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "pip install 'fast-nst[smooth]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out.mp4").exists()


def test_an_interrupted_clip_is_not_taken_for_finished(tiny_model: Path, tmp_path: Path) -> None:
    """It replaced a whole result, and `--overwrite false` did not make it anew."""
    clip = make_clip(tmp_path / "in.mp4", 30)
    stylizer = Stylizer(tiny_model, threads=1)
    for target, options in (("out.mp4", {}), ("frames", {"format": "png"})):
        out = tmp_path / target
        asked = iter(range(50))
        report = stylize_video(
            stylizer,
            clip,
            out,
            stop=lambda asked=asked: next(asked) > 5,  # type: ignore[misc]
        )
        assert (report.stopped, report.path, out.exists()) == (True, _partial(out), False)
        assert stylize([clip], tiny_model, out, overwrite=False, **options).written == [out]
        assert not _partial(out).exists()
        whole = _content(out)
        stylize_video(stylizer, clip, out, stop=lambda: True)
        assert _content(out) == whole
        assert 0 < len(_content(_partial(out))) < len(whole) or out.is_file()
        assert stylize([clip], tiny_model, out, overwrite=False, **options).kept == [out]


def _partial(path: Path) -> Path:
    return path.with_name(f"{path.stem}.partial{path.suffix}")


def _content(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in ([path] if path.is_file() else path.iterdir())}


def test_a_folder_of_frames_mixed_two_runs(tiny_model: Path, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mp4", 4)
    out = tmp_path / "frames"
    stylize([clip], tiny_model, out, format="png")
    stylize([clip], tiny_model, out, format="jpg", end=0.07)
    assert sorted(_content(out)) == ["000001.jpg", "000002.jpg"]
    (out / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"holds notes\.txt, which is no frame"):
        stylize([clip], tiny_model, out, format="png")
    assert sorted(_content(out)) == ["000001.jpg", "000002.jpg", "notes.txt"]
    assert {path.name for path in tmp_path.iterdir()} == {"in.mp4", "frames"}


def test_one_video_the_codec_does_not_fit_stopped_a_batch_half_way(tiny_model: Path, tmp_path: Path) -> None:
    clips = [make_clip(tmp_path / "a.mp4", 2), make_clip(tmp_path / "b.webm", 2, codec="libvpx-vp9")]
    with pytest.raises(UserError, match=r"b\.webm: --codec h264: webm holds vp9 or av1"):
        stylize(clips, tiny_model, tmp_path / "out", codec="h264")
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_not_waited_for(tiny_model: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    report = stylize([tmp_path / "pipe.mp4"], tiny_model, tmp_path / "out.mp4")
    assert report.skipped == [(tmp_path / "pipe.mp4", "not a regular file")]


@pytest.mark.parametrize("options", [{"smooth": True}, {"codec": "vp9"}, {"start": 1}, {"end": 2}])
def test_options_of_videos_are_refused_with_pictures(
    tiny_model: Path, tmp_path: Path, options: dict[str, object]
) -> None:
    encode_picture(tmp_path / "a.png", corners(20, 30))
    with pytest.raises(UserError, match=f"--{next(iter(options))} is for videos"):
        stylize([tmp_path / "a.png"], tiny_model, tmp_path / "out", **options)


def test_ctrl_c_leaves_a_file_that_plays(tiny_model: Path, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mp4", 500, audio=True)
    gate = Gate(tmp_path / "gate")
    target = tmp_path / "out" / "out.mp4"
    command = gate.command("stylize", clip, "--model", tiny_model, "--output", target, "--threads", "1")
    with gate.shut(after=100):
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        wait_until(gate.reached)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        said = process.stderr.readline()
    said += process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert said.splitlines()[0] == "stopping; what is done of the video is kept beside its place"
    target = tmp_path / "out" / "out.partial.mp4"
    frames = len(look(target).pixels)
    assert 0 < frames <= 101
    assert said.splitlines()[1] == (
        f"fast-nst: interrupted: {target} holds the first {frames / 25:.1f} s ({frames} frames)"
    )
    assert len(look(target).packets[1]) > 0
    assert list(target.parent.iterdir()) == [target]


def test_the_folder_one_is_in_is_not_taken_away(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = make_clip(tmp_path / "in.mp4", 2)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(UserError, match="is the folder you are in"):
        stylize([clip], tiny_model, Path(), format="png")


def test_output_has_the_short_name_everyone_tries(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    encode_picture(tmp_path / "a.png", corners(20, 30))
    arguments = ["stylize", str(tmp_path / "a.png"), "--model", str(tiny_model)]
    assert main([*arguments, "-o", str(tmp_path / "one.png")]) == 0
    assert main([*arguments, f"-o={tmp_path / 'two.png'}"]) == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / "one.png"), str(tmp_path / "two.png")]


def test_a_space_between_providers_made_an_unknown_one(tiny_model: Path, tmp_path: Path) -> None:
    encode_picture(tmp_path / "a.png", corners(20, 30))
    report = stylize([tmp_path / "a.png"], tiny_model, tmp_path / "out", providers="cpu, cpu")
    assert len(report.written) == 1
