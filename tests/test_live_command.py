"""`fast-nst live`: a video file as the camera, frames to a pipe and to pyvirtualcam."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from gate import wait_until
from generated_clips import corners, make_clip

COMMAND = [sys.executable, "-m", "fast_nst.cli", "live"]
SIZE = HEIGHT, WIDTH = 48, 64
FRAME = HEIGHT * WIDTH * 3  # bytes
# pyvirtualcam with a device of ours: frames go to a file, and its end says that it was closed.
OWN_DEVICE = """
import sys
import pyvirtualcam.camera
class Device:
    def __init__(self, *, width, height, fps, fourcc, device, **more):
        self.about = f"{{width}}x{{height}} {{fps}} {{device}}"
        self.file = open({file!r}, "wb", buffering=0)
    def send(self, frame):
        self.file.write(frame.tobytes())
    def close(self):
        self.file.write(self.about.encode())
    def device(self):
        return "ours"
    def native_fourcc(self):
        return None
pyvirtualcam.camera.BACKENDS.clear()
pyvirtualcam.register_backend("ours", Device)
from fast_nst.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("live") / "clip.mkv"
    make_clip(path, 3, SIZE, codec="ffv1", format="bgr0")
    return path


def options(model: Path, camera: Path) -> list[str]:
    return ["--model", str(model), "--camera", str(camera), "--threads", "1"]


def live(*arguments: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, timeout=120)


def is_negative(data: bytes) -> bool:
    """Whether it is one of the clip's frames, painted by `tiny_model`."""
    frame = np.frombuffer(data, np.uint8).reshape(HEIGHT, WIDTH, 3)
    return any(np.array_equal(frame, 255 - corners(HEIGHT, WIDTH, index)) for index in range(3))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_frames_come_through_a_pipe_until_a_signal(
    clip: Path, tiny_model: Path, number: signal.Signals, code: int
) -> None:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([*COMMAND, *options(tiny_model, clip)], **pipes) as process:  # type: ignore[call-overload]
        for _ in range(5):  # more than the clip has
            assert is_negative(process.stdout.read(FRAME))
        process.send_signal(number)
        rest = process.stdout.read()
        assert process.wait(60) == code
        said = process.stderr.read().decode().splitlines()
    assert len(rest) % FRAME == 0
    frames = 5 + len(rest) // FRAME
    assert said == [
        f"{clip}, 64x48 at 25 frames per second, to stdout; Ctrl-C ends it",
        "stopping",
        f"fast-nst: stopped after {frames} frames",
    ]


def test_a_reader_that_leaves_is_no_error(clip: Path, tiny_model: Path) -> None:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([*COMMAND, *options(tiny_model, clip)], **pipes) as process:  # type: ignore[call-overload]
        assert is_negative(process.stdout.read(FRAME))
        process.stdout.close()
        assert process.wait(60) == 0
        assert len(process.stderr.read().splitlines()) == 1


@pytest.mark.parametrize(("named", "device"), [([], "None"), (["/dev/video10"], "/dev/video10")])
def test_a_virtual_camera_shows_them(
    clip: Path, tiny_model: Path, tmp_path: Path, named: list[str], device: str
) -> None:
    pytest.importorskip("pyvirtualcam", reason="the extra live is not installed")
    shown = tmp_path / "shown"
    command = [sys.executable, "-c", OWN_DEVICE.format(file=str(shown)), "live", "--virtual-camera", *named]
    with subprocess.Popen([*command, *options(tiny_model, clip)], stderr=subprocess.PIPE) as process:
        wait_until(lambda: process.poll() or (shown.exists() and shown.stat().st_size >= 3 * FRAME))
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143
        assert process.stderr is not None
        first = process.stderr.readline().decode()
    assert first == f"{clip}, 64x48 at 25 frames per second, to the virtual camera ours; Ctrl-C ends it\n"
    data = shown.read_bytes()
    end = len(data) // FRAME * FRAME
    assert all(is_negative(data[start : start + FRAME]) for start in range(0, end, FRAME))
    assert data[end:].decode() == f"64x48 25.0 {device}"  # it was closed


def test_without_a_device_it_is_said_what_to_do(clip: Path, tiny_model: Path) -> None:
    """By pyvirtualcam as it is."""
    pytest.importorskip("pyvirtualcam", reason="the extra live is not installed")
    done = live(*options(tiny_model, clip), "--virtual-camera", "/dev/no-such-device")
    assert (done.returncode, done.stdout) == (2, b"")
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith("fast-nst: no virtual camera: ")
    assert ("modprobe v4l2loopback" if sys.platform == "linux" else "OBS") in line


def test_without_pyvirtualcam_the_install_is_named(clip: Path, tiny_model: Path) -> None:
    code = "import sys; sys.modules['pyvirtualcam'] = None; from fast_nst.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "live", *options(tiny_model, clip), "--virtual-camera"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr == "fast-nst: live needs pyvirtualcam: pip install 'fast-nst[live]'\n"


MISTAKES = {
    "no such camera": (
        ["--camera", "no-such-camera"],
        "no-such-camera cannot be opened: no such file",
    ),
    "a folder": (["--camera", "/"], "camera / cannot be opened"),
    "no picture": (["--camera", "{notes}"], "notes.mp4: not a video"),
    "too strong": (["--strength", "2"], "--strength must be between 0 and 1, not 2"),
    "too small": (["--size", "0"], "--size must be at least 1, not 0"),
    "no style of it": (["--style", "udnie"], "udnie"),
}


@pytest.mark.skipif(sys.platform != "linux", reason="the words are those of Linux")
@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_clear_line(name: str, clip: Path, tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("notes")
    given, said = MISTAKES[name]
    given = [text.format(notes=tmp_path / "notes.mp4") for text in given]
    done = live(*options(tiny_model, clip), *given)
    assert (done.returncode, done.stdout) == (2, b"")
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith("fast-nst: ")
    assert said in line


@pytest.mark.skipif(any(Path("/dev").glob("video*")), reason="here is a camera")
def test_no_camera_at_all_is_one_clear_line(tiny_model: Path) -> None:
    done = live("--model", tiny_model)
    assert done.returncode == 2
    assert done.stderr.decode().startswith("fast-nst: no camera was found: connect one, or name one")


def test_frames_for_a_terminal_are_refused(clip: Path, tiny_model: Path) -> None:
    ours, theirs = pty.openpty()
    command = [*COMMAND, *options(tiny_model, clip)]
    done = subprocess.run(command, stdout=theirs, stderr=subprocess.PIPE, text=True, timeout=120)
    for end in (ours, theirs):
        os.close(end)
    assert done.returncode == 2
    assert "stdout is a terminal: send the frames to other programs with --virtual-camera" in done.stderr
