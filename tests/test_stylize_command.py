"""`fast-nst stylize` between pipes, for programs that read JSON, and over a folder that is watched."""

from __future__ import annotations

import io
import json
import os
import select
import signal
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from gate import Gate, wait_until
from generated_clips import corners, make_clip
from PIL import Image

from fast_nst.pictures import encode_picture

COMMAND = [sys.executable, "-m", "fast_nst.cli", "stylize"]
HEIGHT, WIDTH = 20, 30
FRAME = HEIGHT * WIDTH * 3  # bytes
NOISY = """
import os, sys
from fast_nst.runtime.stylizer import Stylizer
run = Stylizer.__call__
def noisy(*arguments, **more):
    os.write(1, b"from C")
    print("from Python")
    return run(*arguments, **more)
Stylizer.__call__ = noisy
from fast_nst.cli import main
sys.exit(main(sys.argv[1:]))
"""


def stylize(*arguments: object, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [*COMMAND, *map(str, arguments), "--threads", "1"]
    return subprocess.run(command, input=given, capture_output=True, timeout=120)


def film(count: int) -> list[np.ndarray]:
    return [corners(HEIGHT, WIDTH, 7 * index) for index in range(count)]


def raw(model: Path) -> list[str]:
    size = f"{WIDTH}x{HEIGHT}"
    return [*COMMAND, "--raw", size, "-", "--output", "-", "--model", str(model), "--threads", "1"]


# --- a picture -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "made"),
    [
        ("a.jpg", [], "a.jpg"),
        ("a.png", ["--alpha", "keep"], "a.png"),
        ("a.webp", [], "a.webp"),
        ("a.png", ["--format", "avif", "--size", "17"], "a.avif"),
        ("a.gif", [], "a.png"),
    ],
)
def test_a_picture_through_pipes_is_the_one_that_files_give(
    tiny_model: Path, tmp_path: Path, name: str, options: list[str], made: str
) -> None:
    """Byte for byte: the format, EXIF, transparency, and nothing besides."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Camera"
    image = Image.fromarray(corners(HEIGHT, WIDTH))
    if "--alpha" in options:
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    image.save(tmp_path / name, **({} if name == "a.gif" else {"exif": exif}))
    by_file = stylize(tmp_path / name, "--model", tiny_model, *options, "--output", tmp_path / "out")
    assert by_file.returncode == 0, by_file.stderr
    given = (tmp_path / name).read_bytes()
    for way in (["-", "--output", "-"], ["-", "-"], [tmp_path / name, "--output", "-"]):
        done = stylize(*way, "--model", tiny_model, *options, given=given)
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout == (tmp_path / "out" / made).read_bytes()


def test_stdin_to_a_file(tiny_model: Path, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 3), (90, 90, 90)).save(buffer, "png")
    target = tmp_path / "out.png"
    done = stylize("-", "--model", tiny_model, "--output", target, given=buffer.getvalue())
    assert (done.returncode, done.stdout.decode()) == (0, f"{target}\n")
    assert np.asarray(Image.open(target)).tolist() == [[[165] * 3] * 4] * 3


def test_nothing_but_the_result_is_on_stdout(tiny_model: Path, tmp_path: Path) -> None:
    encode_picture(tmp_path / "a.png", corners(HEIGHT, WIDTH))
    arguments = [str(tmp_path / "a.png"), "--model", str(tiny_model), "--output"]
    stylize(*arguments, tmp_path / "out")
    command = [sys.executable, "-c", NOISY, "stylize", *arguments, "-"]
    done = subprocess.run(command, capture_output=True, timeout=120)
    assert done.stdout == (tmp_path / "out" / "a.png").read_bytes()
    assert all(noise in done.stderr for noise in (b"from C", b"from Python"))


def test_a_bad_picture_is_named_and_nothing_comes_out(tiny_model: Path) -> None:
    done = stylize("-", "--model", tiny_model, "--output", "-", given=b"\x89PNG\r\n\x1a\n broken")
    assert (done.returncode, done.stdout) == (1, b"")
    skipped, total = done.stderr.decode().splitlines()
    assert skipped.startswith("skipped -: corrupt PNG file")
    assert total == "fast-nst: 0 done, 1 skipped"


def test_no_name_of_our_own_is_said(tiny_model: Path) -> None:
    """The file that stdin becomes for a while was named: the user has never heard of it."""
    pages, buffer = [Image.new("L", (9, 9), shade) for shade in (0, 255)], io.BytesIO()
    pages[0].save(buffer, "tiff", save_all=True, append_images=pages[1:])
    done = stylize("-", "-", "--model", tiny_model, "--format", "png", given=buffer.getvalue())
    assert done.stderr.decode() == "stdin.tif: only the first of its 2 pages is taken\n"


@pytest.mark.parametrize("reading", [True, False])
def test_a_signal_leaves_no_temporary_folder(tiny_model: Path, tmp_path: Path, reading: bool) -> None:
    """SIGTERM did, while the picture came in and while it was painted."""
    place, buffer = tmp_path / "temporary", io.BytesIO()
    place.mkdir()
    Image.new("RGB", (4, 3)).save(buffer, "png")
    gate = Gate(tmp_path / "gate")
    command = gate.command("stylize", "-", "--output", "-", "--model", tiny_model)
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    environment = {**os.environ, "TMPDIR": str(place)}
    with gate.shut(), subprocess.Popen(command, env=environment, **pipes) as process:  # type: ignore[call-overload]
        process.stdin.write(buffer.getvalue())
        process.stdin.flush()
        if not reading:
            process.stdin.close()
            wait_until(gate.reached)
        wait_until(lambda: any(place.iterdir()))
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143
        assert process.stderr.read() == b"fast-nst: interrupted\n"
    assert not list(place.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{folder}", "--output", "-"], "--output - takes the result of one file"),
        (["-", "{folder}/a.png", "--output", "-"], "--output - takes the result of one file"),
        (["-", "--output", "-", "--json"], "--json and the result itself would both go to stdout"),
        (["-", "--output", "-", "--engine", "ray"], "- is for --engine local"),
        (["-", "-", "--raw", "640"], "--raw must be the width and height of the frames, such as 640x480"),
        (["-", "-", "--raw", "99999x99999"], "more than the limit"),
        (["-", "-", "--raw", "8x8", "--size", "4"], "--size does not go with --raw"),
        (["-", "-", "--raw", "8x8", "--watch"], "--watch does not go with --raw"),
        (["-", "--output", "{folder}/out", "--raw", "8x8"], "--raw goes from stdin to stdout"),
        (["-", "--watch"], "--watch takes one folder"),
        (["{folder}", "--watch", "--output", "{folder}"], "is or holds the input itself"),
        (["{folder}", "--watch", "--format", "mp4"], "--format mp4 is for videos"),
        (["{folder}", "--watch", "--smooth"], "--smooth is for videos"),
    ],
)
def test_what_does_not_go_together_is_one_line(
    tiny_model: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    encode_picture(tmp_path / "a.png", corners(HEIGHT, WIDTH))
    named = [argument.format(folder=tmp_path) for argument in arguments]
    done = stylize(*named, "--model", tiny_model, given=(tmp_path / "a.png").read_bytes())
    assert (done.returncode, done.stdout) == (2, b"")
    (line,) = done.stderr.decode().splitlines()
    assert message in line


# --- raw frames ----------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [[], ["--strength", "0.4", "--preserve-color"], ["--smooth"]])
def test_raw_frames_become_those_of_the_clip(tmp_path: Path, options: list[str]) -> None:
    if "--smooth" in options:
        pytest.importorskip("cv2", reason="the extra smooth is not installed")
    clip = make_clip(tmp_path / "in.mkv", 9, (HEIGHT, WIDTH), codec="ffv1", format="bgr0")
    shared = ["--model", "strokes", *options]
    assert stylize(clip, *shared, "--format", "png", "--output", tmp_path / "frames").returncode == 0
    expected = [np.asarray(Image.open(path)) for path in sorted((tmp_path / "frames").iterdir())]
    given = b"".join(corners(HEIGHT, WIDTH, index).tobytes() for index in range(9))
    done = stylize("--raw", f"{WIDTH}x{HEIGHT}", "-", "-", *shared, given=given)
    assert (done.returncode, done.stderr) == (0, b"")
    assert len(done.stdout) == 9 * FRAME
    assert np.array_equal(np.frombuffer(done.stdout, np.uint8).reshape(9, HEIGHT, WIDTH, 3), expected)


def test_a_raw_frame_comes_out_before_the_next_one_goes_in(tiny_model: Path) -> None:
    with subprocess.Popen(raw(tiny_model), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for frame in film(5):
            process.stdin.write(frame.tobytes())
            process.stdin.flush()
            assert select.select([process.stdout], [], [], 60)[0], "it is held back"
            assert process.stdout.read(FRAME) == (255 - frame).tobytes()
        process.stdin.close()
        assert process.stdout.read() == b""
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("given", "whole", "said"),
    [
        (2 * FRAME + 100, 2, "the input ends within frame 3 (100 of 1800 bytes; "),
        (0, 0, "the input ends before the first frame; 0 frames done"),
    ],
)
def test_a_raw_film_that_ends_too_early_is_one_line(
    tiny_model: Path, given: int, whole: int, said: str
) -> None:
    process = subprocess.run(raw(tiny_model), input=bytes(given), capture_output=True, timeout=120)
    assert (process.returncode, process.stdout) == (1, b"\xff" * whole * FRAME)
    (line,) = process.stderr.decode().splitlines()
    assert line.startswith(f"fast-nst: {said}")


@pytest.mark.parametrize("idle", [False, True])
def test_a_reader_of_raw_frames_that_leaves_is_no_error(tiny_model: Path, idle: bool) -> None:
    """Whether more frames come in or the source keeps its end open and sends none."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(raw(tiny_model), bufsize=0, **pipes) as process:  # type: ignore[call-overload]
        process.stdin.write(bytes(FRAME))
        assert process.stdout.read(FRAME) == b"\xff" * FRAME
        process.stdout.close()
        process.stdin.write(bytes(FRAME))
        with nullcontext() if idle else pytest.raises(BrokenPipeError):
            while not idle:
                process.stdin.write(bytes(FRAME))
        assert process.wait(60) == 0
        assert process.stderr.read() == b""


def test_a_signal_ends_raw_frames_though_none_comes(tiny_model: Path) -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(raw(tiny_model), **pipes) as process:  # type: ignore[call-overload]
        process.stdin.write(bytes(FRAME))
        process.stdin.flush()
        assert len(process.stdout.read(FRAME)) == FRAME
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143
        assert process.stderr.read().decode().splitlines() == [
            "stopping after the frames underway",
            "fast-nst: interrupted after 1 frame",
        ]


# --- JSON ----------------------------------------------------------------------------------------


def test_json_tells_of_every_input_in_a_line(tiny_model: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    for path in (folder / "a.png", folder / "b.png", out / "b.png"):
        path.parent.mkdir(exist_ok=True)
        encode_picture(path, corners(HEIGHT, WIDTH))
    (folder / "c.jpg").write_bytes(b"broken")
    make_clip(folder / "d.mp4", 3)
    done = stylize(folder, "--model", tiny_model, "--output", out, "--json", "--no-overwrite")
    assert done.returncode == 1
    results = {Path(one["input"]).name: one for one in map(json.loads, done.stdout.splitlines())}
    assert sorted(results) == ["a.png", "b.png", "c.jpg", "d.mp4"]
    for name, size in (("a.png", [WIDTH, HEIGHT]), ("d.mp4", [64, 48])):
        seconds = results[name].pop("seconds")
        assert seconds >= 0
        about = {"output": str(out / name), "size": size, "style": "negative"}
        nothing = {"skipped": None, "damaged": None}
        assert results[name] == {"input": str(folder / name)} | about | nothing
    assert results["b.png"]["skipped"] == "it is there already"
    assert results["b.png"]["output"] == str(out / "b.png")
    assert results["c.jpg"]["skipped"].startswith("not a picture")
    assert results["c.jpg"]["output"] is None
    assert done.stderr.decode().splitlines()[-1] == "fast-nst: 3 done, 1 skipped"


# --- a folder that is watched --------------------------------------------------------------------


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_watching_goes_on_until_a_signal(
    tiny_model: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    inbox, out = tmp_path / "inbox", tmp_path / "out"
    inbox.mkdir()
    command = [*COMMAND, str(inbox), "--watch", "--model", str(tiny_model), "--output", str(out), "--json"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as process:  # type: ignore[call-overload]
        for name in ("a.png", "b.png"):
            encode_picture(inbox / name, corners(HEIGHT, WIDTH))
            told = json.loads(process.stdout.readline())
            assert (told["input"], told["output"]) == (str(inbox / name), str(out / name))
            wait_until((out / name).is_file)
        process.send_signal(number)
        assert process.wait(60) == code
        assert process.stdout.read() == b""
        assert process.stderr.read().decode().splitlines() == [
            "stopping after this picture",
            "fast-nst: stopped: 2 done, 0 skipped",
        ]
