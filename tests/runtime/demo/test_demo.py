"""The demo as a person meets it, in a real browser."""

from __future__ import annotations

import itertools
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from demo_page import choose, download, picture, pixels_of
from gate import Gate, wait_until
from PIL import Image

from fast_nst.pictures import decode_picture
from fast_nst.runtime.color import blend, preserve_color
from fast_nst.runtime.stylizer import Stylizer

pytestmark = pytest.mark.browser

BITS = 8  # of a frame's number in the fake camera's picture, as black and white columns
CAMERA = (160, 120)
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

# A clock on which every frame takes `window.took` milliseconds, however fast the machine is.
TIME_OF_OUR_OWN = """() => {
    let clock = 0;
    [window.took, window.sent] = [0, 0];
    performance.now = () => clock;
    const send = WebSocket.prototype.send;
    WebSocket.prototype.send = function (data) {
        if (typeof data !== "string") [clock, window.sent] = [clock + window.took, window.sent + 1];
        send.call(this, data);
    };
}"""


# --- a running demo, and a browser ---------------------------------------------------------------


@pytest.fixture(scope="module")
def address(start_demo: Any, tiny_model: Path, other_model: Path) -> Iterator[str]:
    with start_demo("--model", f"{tiny_model},{other_model}", "--max-pixels", "20000") as (address, _):
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
            gray = np.full(width * height // 2, 128, np.uint8)
            file.write(b"FRAME\n" + np.tile(row, height).tobytes() + gray.tobytes())
    return path


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


def number(pixels: np.ndarray) -> int:
    """The number that a frame of the fake camera shows."""
    columns = pixels.mean(axis=(0, 2)).reshape(BITS, -1)
    middle = columns[:, columns.shape[1] // 4 : -columns.shape[1] // 4].mean(axis=1)
    return sum(int(value > 127) << bit for bit, value in enumerate(middle))


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
    assert page.locator(".card").all_inner_texts() == ["negative", "other"]
    choose(page, picture(tmp_path / "a.png"))
    page.get_by_role("radio", name="negative").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("#frame:not(.unpainted)[aria-busy=false]")
    assert download(page, "#save-png").name == "a-other.png"
    split = page.get_by_label("Before and after")
    split.focus()
    page.keyboard.press("End")
    assert split.input_value() == "100"


def test_a_slider_mixes_two_styles_of_a_file(
    browser: Any, start_demo: Any, gallery_model: Path, tiny_model: Path, tmp_path: Path
) -> None:
    many = Stylizer(gallery_model, threads=1)
    source = picture(tmp_path / "a.png")
    content = decode_picture(source).pixels
    idle = "() => document.getElementById('frame').getAttribute('aria-busy') === 'false'"
    with (
        start_demo("--model", f"{tiny_model},{gallery_model}") as (address, _),
        opened(browser, address) as page,
    ):
        assert not page.get_by_label("Mix with").is_visible()  # negative is alone in its file
        page.get_by_role("radio", name="udnie").check(force=True)
        choose(page, source)
        assert page.get_by_label("Mix with").locator("option").all_inner_texts() == [
            *("nothing", "waves", "scream")
        ]
        assert page.get_by_label("Share of it").is_disabled()
        page.get_by_label("Mix with").select_option("waves")
        page.get_by_label("Share of it").fill("30")
        page.wait_for_function(idle)
        shown = pixels_of(page, "after")[0]
        assert np.abs(shown - many(content, style="udnie:0.7,waves:0.3")).mean() < 4
        saved = download(page, "#save-png")
        assert saved.name == "a-udnie-0-70-waves-0-30.png"
        painted = decode_picture(saved).pixels
        assert np.abs(painted.astype(int) - many(content, style="udnie:0.7,waves:0.3")).max() <= 1
        assert "Hokusai" in page.locator("#attribution").inner_text()
        page.get_by_role("radio", name="waves").check(force=True)  # no style is its own partner
        page.wait_for_function(idle)
        assert page.get_by_label("Mix with").input_value() == ""
        assert np.array_equal(
            decode_picture(download(page, "#save-png")).pixels, many(content, style="waves")
        )


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
    while len(seen) < 3:
        original, stylized = pixels_of(page, "before", "after")
        assert number(original) == 2**BITS - 1 - number(stylized)  # of one moment, and stylized
        seen.add(number(stylized))
        page.wait_for_timeout(100)
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


def test_cancel_did_nothing_during_an_upload(page: Any, tmp_path: Path) -> None:
    page.get_by_role("tab", name="Video").click()
    page.set_input_files("#video-file", video_file(tmp_path / "clip.mkv", frames=3))
    page.route("**/api/clips?*", lambda route: None)  # an upload that does not end
    page.get_by_role("button", name="Render the whole clip").click()
    page.get_by_text("Uploading…").wait_for()
    page.get_by_role("button", name="Cancel").click()
    page.locator("#render-box").wait_for(state="hidden")
    assert page.get_by_role("button", name="Render the whole clip").is_enabled()
    assert not page.get_by_role("alert").is_visible()


def test_the_page_shows_that_the_first_picture_is_being_opened(page: Any, tmp_path: Path) -> None:
    page.route("**/api/open", lambda route: None)
    page.set_input_files("#picture-file", picture(tmp_path / "a.png"))
    page.get_by_text("Opening…").wait_for()


def test_frames_are_dropped_and_never_queued_while_the_network_is_busy(
    browser: Any, start_demo: Any, tiny_model: Path, tmp_path: Path
) -> None:
    gate = Gate(tmp_path / "gate")
    finishing = "finishing what is being uploaded and painted; Ctrl-C again to end without\n"
    demo = start_demo("--model", str(tiny_model), code=gate.code, says=("", finishing))
    with demo as (address, _), opened(browser, address) as page, gate.shut():

        def now(name: str) -> int:
            return number(pixels_of(page, name)[0])

        page.evaluate(COUNT_FRAMES_UNDERWAY)
        page.get_by_role("tab", name="Webcam").click()
        page.get_by_label("Mirror").uncheck()
        page.get_by_role("button", name="Start the camera").click()
        shown, newest = [], []
        for _ in range(5):
            wait_until(gate.reached)
            taken = now("player")
            wait_until(lambda taken=taken: (now("player") - taken) % 2**BITS >= 5)  # the camera goes on
            newest.append(now("player"))
            gate.let_one_pass()
            wait_until(gate.reached)  # the frame after it
            page.wait_for_selector("#frame:not(.unpainted)")
            shown.append(now("before"))
        strides = [(b - a) % 2**BITS for a, b in itertools.pairwise(shown)]
        assert min(strides) >= 5  # frames between were let go
        # What was sent when one was done was the newest there was: nothing waits in a line.
        late = [(a - b) % 2**BITS for a, b in zip(shown[1:], newest[:-1], strict=True)]
        assert max(late) < 2**BITS / 2
        assert page.evaluate("() => window.mostUnderway") == 1


def test_the_live_size_follows_the_time_a_frame_takes(chromium: Any, address: str) -> None:
    browser = chromium("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    with opened(browser, address) as page:

        def wait_for_width(condition: str) -> None:
            page.wait_for_function(f"() => document.getElementById('after').width {condition}")

        page.evaluate(TIME_OF_OUR_OWN)
        page.evaluate("() => (window.took = 5000)")
        page.get_by_role("tab", name="Webcam").click()
        page.get_by_role("button", name="Start the camera").click()
        wait_for_width("=== 384")
        wait_for_width("=== 256")
        page.evaluate("() => (window.took = 0)")
        wait_for_width("> 256")
        page.get_by_role("button", name="Record").click()  # a recording has one size
        page.get_by_role("button", name="Stop 0:00").wait_for()
        page.evaluate("() => [window.took, window.sent] = [5000, 0]")
        page.wait_for_function("() => window.sent > 20")
        wait_for_width("> 256")
        download(page, "#record")
        wait_for_width("=== 256")
        page.get_by_label("Live size").select_option("512")
        wait_for_width("=== 512")
        page.get_by_text("512 px", exact=False).first.wait_for()
    browser.close()


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
