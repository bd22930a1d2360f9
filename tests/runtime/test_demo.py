"""The demo as a person meets it, in a real browser, and as other programs and sites meet it, over HTTP."""

from __future__ import annotations

import base64
import http.client
import io
import itertools
import json
import re
import shutil
import signal
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fast_nst.builtin.noise import smooth
from fast_nst.cli import main
from fast_nst.errors import UserError
from fast_nst.pictures import decode_picture
from fast_nst.runtime import demo as demo_package
from fast_nst.runtime.color import blend, preserve_color
from fast_nst.runtime.demo.clips import Clip, Clips
from fast_nst.runtime.demo.gallery import open_gallery
from fast_nst.runtime.stylizer import Stylizer

for package in ("fastapi", "uvicorn", "websockets"):
    pytest.importorskip(package, reason="the demo's extra is not installed")

BITS = 8  # of a frame's number in the fake camera's picture, as black and white columns
CAMERA = (160, 120)
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
COUNT_FRAMES_UNDERWAY = """() => {
    let underway = 0;
    window.mostUnderway = 0;
    const send = WebSocket.prototype.send;
    WebSocket.prototype.send = function (data) {
        if (typeof data !== "string") {  // settings are text
            window.mostUnderway = Math.max(window.mostUnderway, ++underway);
            this.addEventListener("message", () => underway--, { once: true });
        }
        send.call(this, data);
    };
}"""


# --- a running demo, and a browser ---------------------------------------------------------------


@contextmanager
def demo(*arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`fast-nst demo` on a free port: its address and process."""
    command = [sys.executable, "-m", "fast_nst.cli", "demo", "--port", "0", "--no-open", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:"), process.stderr.read()
        yield address, process
    finally:
        process.terminate()
        said = process.communicate(timeout=20)[1]
    assert (process.returncode, said) == (0, "")  # no traceback, whatever the tests did to it


@pytest.fixture(scope="module")
def address(tiny_model: Path, slow_model: Path) -> Iterator[str]:
    models = f"{tiny_model},{slow_model}"
    with demo("--model", models, "--max-pixels", "20000", "--threads", "1") as (address, _):
        yield address


@pytest.fixture(scope="module")
def camera_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a minute of frames that show their number in `BITS` columns."""
    width, height = CAMERA
    path = tmp_path_factory.mktemp("camera") / "numbers.y4m"
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{width} H{height} F30:1 Ip A1:1 C420jpeg\n".encode())
        for number in range(2**BITS):
            bits = [(number >> bit) & 1 for bit in range(BITS)]
            row = np.repeat(np.array(bits, np.uint8) * 219 + 16, width // BITS)
            grey = np.full(width * height // 2, 128, np.uint8)
            file.write(b"FRAME\n" + np.tile(row, height).tobytes() + grey.tobytes())
    return path


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A function that starts the browser with more flags."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("there is no chromium")
    with playwright.sync_playwright() as driver:
        yield lambda *flags: driver.chromium.launch(executable_path=program, args=[*FLAGS, *flags])


@pytest.fixture(scope="module")
def browser(chromium: Any, camera_file: Path) -> Iterator[Any]:
    """A browser with a camera that shows numbered frames, and a person who allows it."""
    browser = chromium(
        *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),
        f"--use-file-for-fake-video-capture={camera_file}",
    )
    yield browser
    browser.close()


@contextmanager
def opened(browser: Any, address: str) -> Iterator[Any]:
    """The page in a fresh profile; no script of it may fail."""
    context = browser.new_context(accept_downloads=True, viewport={"width": 1000, "height": 700})
    page = context.new_page()
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.goto(address)
    page.wait_for_selector("body.ready")
    yield page
    context.close()
    assert not failures


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    with opened(browser, address) as page:
        yield page


def pixels_of(page: Any, *names: str) -> list[np.ndarray]:
    """The pixels of canvases and video elements at one moment, uint8 [H, W, 3] each."""
    found = page.evaluate(
        """(names) => names.map((name) => {
            const source = document.getElementById(name);
            const width = source.videoWidth ?? source.width, height = source.videoHeight ?? source.height;
            const pen = new OffscreenCanvas(width, height).getContext("2d");
            pen.drawImage(source, 0, 0);
            const bytes = Array.from(pen.getImageData(0, 0, width, height).data);
            return [width, height, btoa(bytes.map((value) => String.fromCharCode(value)).join(""))];
        })""",
        names,
    )
    flat = [np.frombuffer(base64.b64decode(text), np.uint8) for _, _, text in found]
    return [
        values.reshape(h, w, 4)[..., :3].astype(int) for values, (w, h, _) in zip(flat, found, strict=True)
    ]


def number(pixels: np.ndarray) -> int:
    """The number that a frame of the fake camera shows."""
    columns = pixels.mean(axis=(0, 2)).reshape(BITS, -1)
    middle = columns[:, columns.shape[1] // 4 : -columns.shape[1] // 4].mean(axis=1)
    return sum(int(value > 127) << bit for bit, value in enumerate(middle))


def picture(path: Path, height: int = 60, width: int = 90, **options: Any) -> Path:
    rng = np.random.default_rng(1)
    waves = np.stack([smooth(rng, height, width, 4) for _ in range(3)], axis=-1)
    pixels = np.clip(128 + 50 * waves, 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return path


def video_file(path: Path, frames: int) -> Path:
    """A video whose frames show their numbers."""
    av = pytest.importorskip("av")
    with av.open(path, "w") as container:
        stream = container.add_stream("h264", 25, width=CAMERA[0], height=CAMERA[1], pix_fmt="yuv420p")
        for index in range(frames):
            bits = [255 * ((index >> bit) & 1) for bit in range(BITS)]
            row = np.repeat(np.array(bits, np.uint8), CAMERA[0] // BITS)
            frame = np.broadcast_to(row[None, :, None], (*CAMERA[::-1], 3))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame))))
        container.mux(stream.encode())
    return path


def frames_of(path: Path) -> list[np.ndarray]:
    import av

    with av.open(path) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def choose(page: Any, path: Path) -> None:
    """Give the page a picture and wait until it is painted."""
    page.set_input_files("#picture-file", path)
    page.wait_for_selector("#frame:not(.unpainted)[aria-busy=false]")


def download(page: Any, button: str) -> Path:
    with page.expect_download() as happening:
        page.click(button)
    path = Path(happening.value.path())
    return path.rename(path.with_name(happening.value.suggested_filename))


# --- a person's path -----------------------------------------------------------------------------


def test_a_picture_is_chosen_stylized_and_downloaded(page: Any, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright
    source = picture(tmp_path / "my holiday.jpg", exif=exif)
    upright = decode_picture(source).pixels
    assert upright.shape == (90, 60, 3)
    choose(page, source)
    before, after = pixels_of(page, "before", "after")
    assert np.abs(before - upright).mean() < 3
    assert np.abs(after - (255 - upright)).mean() < 3
    saved = download(page, "#save-png")
    assert saved.name == "my holiday-negative.png"
    assert np.array_equal(decode_picture(saved).pixels, 255 - upright)
    assert decode_picture(download(page, "#save-jpg")).format == "JPEG"

    page.get_by_label("Strength").fill("50")
    page.get_by_label("Keep the original's colors").check()
    page.wait_for_function("() => document.getElementById('frame').getAttribute('aria-busy') === 'false'")
    mixed = blend(upright, preserve_color(upright, 255 - upright), 0.5)
    assert np.array_equal(decode_picture(download(page, "#save-png")).pixels, mixed)
    assert np.abs(pixels_of(page, "after")[0] - mixed).mean() < 3


def test_styles_are_shown_by_a_preview_and_chosen_by_keyboard(page: Any, tmp_path: Path) -> None:
    page.wait_for_function("() => [...document.querySelectorAll('.card img')].every((i) => i.naturalWidth)")
    assert page.locator(".card").all_inner_texts() == ["negative", "slow"]
    choose(page, picture(tmp_path / "a.png"))
    page.get_by_role("radio", name="negative").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("#frame:not(.unpainted)[aria-busy=false]")
    assert download(page, "#save-png").name == "a-slow.png"
    split = page.get_by_label("Before and after")
    split.focus()
    page.keyboard.press("End")
    assert split.input_value() == "100"


def test_what_is_wrong_with_a_file_is_said(page: Any, tmp_path: Path) -> None:
    notice = page.get_by_role("alert")
    (tmp_path / "notes.png").write_text("not a picture")
    page.set_input_files("#picture-file", tmp_path / "notes.png")
    notice.get_by_text("notes.png: The picture cannot be read: not a picture").wait_for()
    Image.new("1", (1, 1)).save(tmp_path / "bomb.png")
    data = (tmp_path / "bomb.png").read_bytes()
    header = data[12:16] + struct.pack(">II", 20_000, 20_000) + data[24:29]
    bomb = data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]
    (tmp_path / "bomb.png").write_bytes(bomb)
    page.set_input_files("#picture-file", tmp_path / "bomb.png")
    notice.get_by_text("20000x20000 is more than the limit").wait_for()
    # A large one is made smaller, which is said too; the message before is gone.
    choose(page, picture(tmp_path / "large.png", 200, 400))
    page.get_by_text(re.compile("200 . 100 pixels, reduced from 400 . 200")).wait_for()
    assert not notice.is_visible()
    assert decode_picture(download(page, "#save-png")).pixels.shape == (100, 200, 3)


def test_the_webcam_is_stylized_live_snapped_and_recorded(page: Any) -> None:
    page.get_by_role("tab", name="Webcam").click()
    page.get_by_label("Mirror").uncheck()
    page.get_by_role("button", name="Start the camera").click()
    page.wait_for_selector("#frame:not(.unpainted)")
    seen = set()
    for _ in range(6):
        original, stylized = pixels_of(page, "before", "after")
        assert number(original) == 2**BITS - 1 - number(stylized)  # of one moment, and stylized
        seen.add(number(stylized))
        page.wait_for_timeout(100)
    assert len(seen) > 2
    page.wait_for_function(
        "() => /^[1-9][\\d.]* of [1-9]/.test(document.getElementById('stats').textContent)"
    )
    snapshot = decode_picture(download(page, "#snapshot")).pixels
    assert snapshot.shape == (*CAMERA[::-1], 3)

    page.get_by_role("button", name="Record").click()
    page.get_by_role("button", name="Stop 0:01").wait_for()
    recording = download(page, "#record")
    assert recording.stem == "webcam-negative"
    # What was recorded is a video: played in the style it turns into its negative again.
    page.get_by_role("tab", name="Video").click()
    page.set_input_files("#video-file", recording)
    page.wait_for_function("() => document.getElementById('player').currentTime > 0.2")
    page.get_by_role("button", name="Pause").click()
    page.wait_for_timeout(300)
    before, after = pixels_of(page, "before", "after")
    assert np.abs(255 - before - after).mean() < 6


def test_a_video_file_is_rendered_whole_and_downloaded(page: Any, tmp_path: Path) -> None:
    pytest.importorskip("fast_nst.runtime.video")
    clip = video_file(tmp_path / "my clip.mkv", frames=20)
    page.get_by_role("tab", name="Video").click()
    page.set_input_files("#video-file", clip)
    page.get_by_role("button", name="Render the whole clip").click()
    page.get_by_role("link", name="Download the clip").wait_for()
    rendered = download(page, "#render-file")
    assert rendered.name == "my clip-negative.mp4"
    assert [number(255 - frame) for frame in frames_of(rendered)] == list(range(20))
    (tmp_path / "broken.mp4").write_bytes(b"not a video" * 100)
    page.set_input_files("#video-file", tmp_path / "broken.mp4")
    page.get_by_role("alert").get_by_text("This browser cannot play broken.mp4.").wait_for()
    page.get_by_role("button", name="Render the whole clip").click()
    page.get_by_role("alert").get_by_text("The clip could not be rendered:").wait_for()


def test_frames_are_dropped_and_never_queued_when_the_machine_is_slow(browser: Any, address: str) -> None:
    with opened(browser, address) as page:
        page.evaluate(COUNT_FRAMES_UNDERWAY)
        page.get_by_role("radio", name="slow").check(force=True)
        page.get_by_role("tab", name="Webcam").click()
        page.get_by_label("Mirror").uncheck()
        page.get_by_role("button", name="Start the camera").click()
        page.wait_for_selector("#frame:not(.unpainted)")
        shown = [number(pixels_of(page, "before")[0])]
        lags = []
        while len(shown) < 7:
            page.wait_for_timeout(50)
            current, camera = map(number, pixels_of(page, "before", "player"))
            if current != shown[-1]:
                shown.append(current)
                lags.append((camera - current) % 2**BITS)
        strides = [(b - a) % 2**BITS for a, b in itertools.pairwise(shown)]
        assert min(strides) > 1  # frames between were let go
        # What is shown is one painting old, however many frames came meanwhile: nothing waits in a line.
        assert max(lags[3:]) <= 2 * max(strides)
        assert page.evaluate("() => window.mostUnderway") == 1


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ("--use-fake-device-for-media-stream", "--deny-permission-prompts"),
            "The camera was refused. Allow",
        ),
        (("--use-fake-device-for-media-stream=device-count=0",), "No camera was found. Connect one"),
    ],
)
def test_without_a_camera_the_page_says_why(
    chromium: Any, address: str, flags: tuple[str, ...], message: str
) -> None:
    browser = chromium(*flags)
    with opened(browser, address) as page:
        page.get_by_role("tab", name="Webcam").click()
        page.get_by_role("button", name="Start the camera").click()
        page.get_by_role("alert").get_by_text(message).wait_for()
        assert page.get_by_role("button", name="Start the camera").is_enabled()  # to try again
    browser.close()


# --- other programs and other sites --------------------------------------------------------------


def request(
    address: str, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, bytes, Any]:
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=30)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, names)
    response = connection.getresponse()
    answer = response.status, response.read(), response.headers
    connection.close()
    return answer


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec_WebSocket_Version": "13",
    "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def test_other_sites_are_refused(address: str) -> None:
    here = address.removeprefix("http://")
    port = here.partition(":")[2]
    assert request(address, "GET", "/api/info", Host="rebound.example")[0] == 403  # DNS rebinding
    assert request(address, "GET", "/", Host=f"rebound.example:{port}")[0] == 403
    for origin in ("https://evil.example", "null", f"http://127.0.0.1:{int(port) ^ 1}"):
        assert (
            request(address, "POST", "/api/open", png(np.zeros((2, 2, 3), np.uint8)), Origin=origin)[0] == 403
        )
        assert request(address, "GET", "/api/live", None, **UPGRADE, Origin=origin)[0] == 403
    assert request(address, "GET", "/api/live", None, **UPGRADE, Host="rebound.example")[0] == 403
    assert request(address, "GET", "/api/info", Host=f"localhost:{port}")[0] == 200
    assert request(address, "POST", "/api/open", png(np.zeros((2, 2, 3), np.uint8)), Origin=address)[0] == 200
    status, _, headers = request(address, "GET", "/")
    assert status == 200
    assert "default-src 'self'" in headers["Content-Security-Policy"]


def test_the_page_needs_nothing_from_elsewhere(address: str) -> None:
    static = Path(demo_package.__file__).parent / "static"
    for file in static.iterdir():
        status, body, _ = request(address, "GET", f"/{file.name}")
        assert (status, body) == (200, file.read_bytes())
        assert b"https://" not in body


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "said"),
    [
        ("POST", "/api/open", b"", 422, "empty"),
        ("POST", "/api/open", b"GIF89a", 422, "cannot be read"),
        ("POST", "/api/paint?style=nobody", b"", 404, "nobody"),
        ("POST", "/api/paint?style=negative&strength=2", b"", 422, "strength"),
        ("POST", "/api/paint?style=negative&strength=nan", b"", 422, "strength"),
        ("POST", "/api/paint?style=negative&format=exe", b"", 422, "format"),
        ("POST", "/api/paint", b"", 422, "style"),
        ("GET", "/api/preview?style=..%2Fx", None, 404, "no style"),
        ("GET", "/api/clips/x", None, 404, "gone"),
        ("GET", "/api/clips/x/file", None, 404, "gone"),
        ("DELETE", "/api/clips/x", None, 404, "gone"),
        ("GET", "/nowhere.js", None, 404, "Not Found"),
        ("GET", "/../options.py", None, 404, "Not Found"),
    ],
)
def test_a_wrong_request_gets_one_clear_line(
    address: str, method: str, path: str, body: bytes | None, status: int, said: str
) -> None:
    found, answer, _ = request(address, method, path, body)
    assert found == status
    assert said in json.loads(answer)["error"]


def test_an_upload_beyond_the_limit_is_refused_by_its_length(address: str) -> None:
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=30)
    connection.putrequest("POST", "/api/open")
    connection.putheader("Content-Length", str(10**9))
    connection.endheaders(b"x")
    response = connection.getresponse()
    assert response.status == 413
    assert "100 MB" in json.loads(response.read())["error"]
    connection.close()


def test_the_live_connection_answers_every_frame_and_survives_bad_ones(address: str) -> None:
    from websockets.sync.client import connect

    frame = np.full((31, 47, 3), 200, np.uint8)
    with connect(address.replace("http", "ws") + "/api/live") as socket:
        socket.send(png(frame))
        assert np.abs(decode_picture(bytes(socket.recv(timeout=30))).pixels - 55.0).max() < 3
        for bad in (b"not a picture", b"", png(frame)[:60]):
            socket.send(bad)
            assert "cannot be read" in json.loads(socket.recv(timeout=30))["error"]
        for text in ('{"style": "nobody"}', "[]", "{", '{"style": ["slow"]}'):
            socket.send(text)
            assert "settings" in json.loads(socket.recv(timeout=30))["error"]
        socket.send('{"style": "slow", "keep_color": true}')
        socket.send(png(frame))
        assert decode_picture(bytes(socket.recv(timeout=30))).pixels.shape == frame.shape


# --- models, and the command line ----------------------------------------------------------------


def test_a_folder_of_models_and_runs_is_offered_and_a_broken_one_left_out(
    tmp_path: Path, tiny_model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("runs/one", "runs/two"):
        (tmp_path / name).mkdir(parents=True)
        shutil.copy(tiny_model, tmp_path / name / "model.onnx")
    shutil.copy(tiny_model, tmp_path / "runs" / "third.onnx")
    (tmp_path / "runs" / "broken.onnx").write_bytes(b"broken")
    gallery = open_gallery([str(tmp_path / "runs")], Stylizer)
    assert list(gallery.styles) == ["negative", "third", "negative (2)"]  # a run's name is in its file
    assert "broken.onnx" in caplog.text
    with pytest.raises(UserError, match=r"broken\.onnx"):
        open_gallery([str(tmp_path / "runs" / "broken.onnx")], Stylizer)
    with pytest.raises(UserError, match="without ONNX files"):
        open_gallery([str(tmp_path)], Stylizer)


def test_models_are_loaded_when_used_and_only_the_last_few_stay(tmp_path: Path, tiny_model: Path) -> None:
    for index in range(12):
        shutil.copy(tiny_model, tmp_path / f"{index:02}.onnx")
    loaded: list[str] = []

    def load(path: Path) -> Stylizer:
        loaded.append(path.stem)
        return Stylizer(path, threads=1)

    gallery = open_gallery([str(tmp_path)], load)
    loaded.clear()
    first = gallery.stylizer("00")
    assert gallery.stylizer("00") is first
    assert loaded == ["00"]
    for name in gallery.styles:
        gallery.stylizer(name)
    gallery.stylizer("11")
    gallery.stylizer("00")
    assert loaded == [*(f"{index:02}" for index in range(12)), "00"]


def test_ctrl_c_finishes_the_picture_at_work_and_leaves_nothing_behind(
    slow_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with demo("--model", str(slow_model)) as (address, process):  # checks what it says and its exit code
        connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=30)
        connection.request("POST", "/api/paint?style=slow", png(np.zeros((4, 4, 3), np.uint8)))
        assert request(address, "GET", "/api/info")[0] == 200
        assert list(tmp_path.glob("fast-nst-demo-*"))
        process.send_signal(signal.SIGINT)
        assert connection.getresponse().status == 200
        process.wait(timeout=20)
    assert not list(tmp_path.glob("fast-nst-demo-*"))


def test_a_taken_port_is_one_clear_line(
    address: str, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port = address.rpartition(":")[2]
    assert main(["demo", "--model", str(tiny_model), "--port", port]) == 2
    assert capsys.readouterr().err == (
        f"fast-nst: cannot listen on 127.0.0.1:{port}: Address already in use; choose --host or --port\n"
    )


@pytest.mark.parametrize("package", ["fastapi", "uvicorn", "websockets"])
def test_without_the_extra_it_says_what_to_install(
    package: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("fast_nst.runtime.demo")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    assert main(["demo"]) == 2
    assert capsys.readouterr().err == f"fast-nst: demo needs {package}: pip install 'fast-nst[demo]'\n"


def test_a_rendering_can_be_cancelled_while_it_runs_and_while_it_waits(
    tmp_path: Path, slow_model: Path
) -> None:
    pytest.importorskip("fast_nst.runtime.video")
    video_file(tmp_path / "source.mp4", frames=100)
    gallery = open_gallery([str(slow_model)], lambda path: Stylizer(path, threads=1))
    clips = Clips(tmp_path, gallery)
    started = []
    for name in ("one.mp4", "two.mp4"):
        source = Path(shutil.copy(tmp_path / "source.mp4", tmp_path / name))
        started.append(Clip(source, tmp_path / f"out-{name}", "slow", 1.0, False))
        clips.start(started[-1])
    while not started[0].frames:
        time.sleep(0.02)
    for clip in started:
        clip.cancel.set()
    clips.close()
    assert [clip.state for clip in started] == ["cancelled", "cancelled"]
    assert started[0].total == 100
    assert 0 < started[0].frames < 100
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".mp4"] == ["source.mp4"]
