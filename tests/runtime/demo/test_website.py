"""The page without a server, put together by `demo --static`, in a real browser on a plain static host."""

from __future__ import annotations

import functools
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from demo_page import choose, download, picture, pixels_of
from gate import wait_until
from PIL import Image

from fast_nst.errors import UserError
from fast_nst.pictures import decode_picture
from fast_nst.runtime.color import blend, preserve_color
from fast_nst.runtime.demo import website
from fast_nst.runtime.demo.options import DemoOptions
from fast_nst.runtime.demo.website import fetch_engine, write_website
from fast_nst.runtime.stylizer import Stylizer

IDLE = "() => document.getElementById('frame').getAttribute('aria-busy') === 'false'"
KEPT = "async () => await caches.keys()"
NAMES_KEPT = """async () => {
    const kept = await caches.open((await caches.keys())[0]);
    return (await kept.keys()).map(({ url }) => url.split("/").pop());
}"""
POLICY = "async (name) => (await fetch(name)).headers.get('content-security-policy')"
LOADED = "() => document.getElementById('engine').textContent.startsWith('Runs')"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """onnxruntime-web, as npm has it."""
    try:
        return fetch_engine(tmp_path_factory.mktemp("engine"))
    except UserError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def site(
    engine: Path, gallery_model: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder that the command writes."""
    folder = tmp_path_factory.mktemp("site") / "page"
    command = [
        sys.executable,
        "-m",
        "fast_nst.cli",
        "demo",
        "--static",
        str(folder),
        "--runtime",
        str(engine),
    ]
    command += ["--model", f"{gallery_model},{tiny_model}", "--max-pixels", "20000", "--threads", "1"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{folder}\n", "")
    return folder


@contextmanager
def host(folder: Path) -> Iterator[str]:
    """A static host that knows nothing of headers, with the folder below its top: the folder's address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None: ...

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=folder.parent)
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/{folder.name}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    with host(site) as address:
        yield address


@pytest.fixture(scope="module")
def browser(chromium: Any) -> Iterator[Any]:
    browser = chromium("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    yield browser
    browser.close()


@contextmanager
def opened(browser: Any, address: str, **options: Any) -> Iterator[Any]:
    """The page in a fresh profile; no script may fail, nothing may be asked of another host, nor be tried."""
    context = browser.new_context(accept_downloads=True, **options)
    page = context.new_page()
    failures: list[str] = []
    requested: list[str] = []
    said: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    context.on("request", lambda request: requested.append(request.url))
    context.on("console", lambda message: said.append(message.text))
    visit(page, address)
    yield page
    context.close()
    assert not failures
    assert requested
    assert not [url for url in requested if not url.startswith((address, "blob:", "data:"))]
    assert not [text for text in said if "Content Security Policy" in text]


def visit(page: Any, address: str) -> None:
    page.goto(address)
    page.wait_for_selector("body.ready")


# --- a person's path -----------------------------------------------------------------------------


@pytest.mark.browser
def test_from_opening_the_page_to_a_downloaded_mixture(
    browser: Any, address: str, gallery_model: Path, tmp_path: Path
) -> None:
    many = Stylizer(gallery_model, threads=1)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright
    source = picture(tmp_path / "my holiday.png", exif=exif)
    content = decode_picture(source).pixels
    with opened(browser, address) as page:
        page.wait_for_function(LOADED)
        threads = min(os.cpu_count() or 1, 4)
        runs_on = f"{threads} threads" if threads > 1 else "one thread"
        assert page.locator("#engine").inner_text() == (
            f"Runs in this browser on {runs_on} (WebAssembly); nothing leaves it."
        )
        assert page.locator(".card").all_inner_texts() == ["waves", "scream", "udnie", "negative"]
        assert page.evaluate("() => [...document.querySelectorAll('.card img')].every((i) => i.naturalWidth)")
        assert page.evaluate(POLICY, "worker.js").startswith("default-src 'self';")
        choose(page, source)
        page.get_by_role("radio", name="udnie").check(force=True)
        page.get_by_label("Mix with").select_option("waves")
        page.get_by_label("Share of it").fill("30")
        page.wait_for_function(IDLE)
        painted = many(content, style="udnie:0.7,waves:0.3")
        assert_alike(pixels_of(page, "after")[0], painted)
        saved = download(page, "#save-png")
        assert saved.name == "my holiday-udnie-0-70-waves-0-30.png"
        assert_alike(decode_picture(saved).pixels, painted)
        assert "Hokusai" in page.locator("#attribution").inner_text()

        page.get_by_label("Strength").fill("50")
        page.get_by_label("Keep the original's colors").check()
        page.wait_for_function(IDLE)
        mixed = blend(content, preserve_color(content, painted), 0.5)
        assert_alike(decode_picture(download(page, "#save-png")).pixels, mixed)
        assert decode_picture(download(page, "#save-jpg")).format == "JPEG"
        # A file of one style beside that of many.
        page.get_by_label("Strength").fill("100")
        page.get_by_label("Keep the original's colors").uncheck()
        page.get_by_role("radio", name="negative").check(force=True)
        page.wait_for_function(IDLE)
        assert np.array_equal(decode_picture(download(page, "#save-png")).pixels, 255 - content)


def assert_alike(one: np.ndarray, other: np.ndarray) -> None:
    """WebAssembly's sums round otherwise than those of other CPUs."""
    assert one.shape == other.shape
    assert np.abs(one.astype(int) - other).max() <= 1


@pytest.mark.browser
def test_the_page_works_offline_after_the_first_time(
    browser: Any, site: Path, gallery_model: Path, tmp_path: Path
) -> None:
    with host(site) as address, opened(browser, address) as page:
        page.wait_for_function(LOADED)
        wait_until(lambda: {"0.onnx", "ort-wasm-simd-threaded.wasm"} <= set(page.evaluate(NAMES_KEPT)))
        page.context.set_offline(True)
        folder = site.rename(site.with_name("gone"))  # offline does not hold for every kind of worker
        try:
            for path in ("", "index.html"):
                visit(page, address + path)
                choose(page, picture(tmp_path / "a.png"))
                content = decode_picture(tmp_path / "a.png").pixels
                assert_alike(
                    decode_picture(download(page, "#save-png")).pixels,
                    Stylizer(gallery_model, style="waves", threads=1)(content),
                )
        finally:
            folder.rename(site)


@pytest.mark.browser
def test_other_pages_below_it_stay_what_they_are(browser: Any, site: Path, tmp_path: Path) -> None:
    shutil.copytree(site, tmp_path / "page")
    (tmp_path / "page" / "other").mkdir()
    (tmp_path / "page" / "other" / "index.html").write_text("<title>other</title>")
    with host(tmp_path / "page") as address, opened(browser, address) as page:
        page.wait_for_function(LOADED)
        page.goto(f"{address}other/")
        assert page.title() == "other"
        page.goto(f"{address}index.html")
        page.wait_for_function(LOADED)


def test_nothing_but_the_page_is_in_the_folder(site: Path) -> None:
    kinds = {path.suffix for path in site.rglob("*") if path.is_file()}
    assert kinds == {".html", ".css", ".js", ".svg", ".json", ".jpg", ".onnx", ".wasm"}


def test_the_webcam_is_stylized_live(browser: Any, address: str, gallery_model: Path) -> None:
    with opened(browser, address) as page:
        page.get_by_role("tab", name="Webcam").click()
        page.get_by_label("Live size").select_option("256")
        page.get_by_role("button", name="Start the camera").click()
        page.wait_for_selector("#frame:not(.unpainted)")
        page.wait_for_function("() => /^[1-9].* fps/.test(document.getElementById('stats').textContent)")
        original, painted = pixels_of(page, "before", "after")  # of one moment
        assert max(original.shape) == 256
        assert_alike(painted, Stylizer(gallery_model, style="waves", threads=1)(original.astype(np.uint8)))
        assert decode_picture(download(page, "#snapshot")).pixels.shape == original.shape
        assert page.evaluate("() => document.getElementById('render').hidden")  # there is no server to do it


@pytest.mark.browser
def test_what_is_too_large_or_no_picture_is_said(browser: Any, address: str, tmp_path: Path) -> None:
    with opened(browser, address) as page:
        (tmp_path / "notes.png").write_text("not a picture")
        page.set_input_files("#picture-file", tmp_path / "notes.png")
        page.get_by_role("alert").get_by_text("notes.png: The picture cannot be read").wait_for()
        choose(page, picture(tmp_path / "large.png", 200, 400))
        page.get_by_text(re.compile("200 . 100 pixels, reduced from 400 . 200")).wait_for()
        assert decode_picture(download(page, "#save-png")).pixels.shape == (100, 200, 3)
        # Transparent parts are white, as for fast-nst stylize.
        Image.new("RGBA", (40, 30), (0, 0, 0, 0)).save(tmp_path / "clear.png")
        page.get_by_role("radio", name="negative").check(force=True)
        choose(page, tmp_path / "clear.png")
        assert not decode_picture(download(page, "#save-png")).pixels.any()


@pytest.mark.browser
def test_without_a_service_worker_one_thread_paints(browser: Any, address: str, tmp_path: Path) -> None:
    with opened(browser, address, service_workers="block") as page:
        page.get_by_text("Runs in this browser on one thread (WebAssembly)").wait_for()
        choose(page, picture(tmp_path / "a.png"))


@pytest.mark.browser
def test_where_webgpu_fails_webassembly_paints(browser: Any, site: Path, tmp_path: Path) -> None:
    script = (site / "worker.js").read_text()
    gpu = "Object.defineProperty(navigator, 'gpu', { value: { requestAdapter: async () => ({}) } });"
    with host(site) as address, opened(browser, address, service_workers="block") as page:
        tried = []
        page.route(
            "**/worker.js", lambda route: route.fulfill(body=gpu + script, content_type="text/javascript")
        )
        page.on("request", lambda request: tried.append(request.url.split("/")[-1]))
        page.reload()
        page.get_by_text("Runs in this browser on one thread (WebAssembly)").wait_for()
        assert "ort.webgpu.min.js" in tried
        choose(page, picture(tmp_path / "a.png"))


@pytest.mark.browser
def test_a_network_that_cannot_be_loaded_is_said_and_tried_again(
    browser: Any, address: str, tmp_path: Path
) -> None:
    with opened(browser, address, service_workers="block") as page:
        page.route("**/networks/*", lambda route: route.abort())
        page.reload()
        message = "The network could not be loaded. Is there a connection? Try again."
        page.get_by_role("alert").get_by_text(message).wait_for()
        page.unroute("**/networks/*")
        choose(page, picture(tmp_path / "a.png"))


@pytest.mark.browser
def test_a_new_version_of_the_page_takes_the_place_of_the_old(
    browser: Any, site: Path, engine: Path, tiny_model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "page"
    shutil.copytree(site, folder)
    with host(folder) as address, opened(browser, address) as page:
        page.wait_for_function(LOADED)
        former = page.evaluate(KEPT)
        assert len(former) == 1
        write_website(folder, DemoOptions(model=str(tiny_model), runtime=engine, static=folder, threads=1))
        visit(page, address)  # still the old one, whole; the new one is fetched meanwhile
        assert page.locator(".card").count() == 4
        wait_until(lambda: len(now := page.evaluate(KEPT)) == 1 and now != former)
        visit(page, address)
        assert page.locator(".card").all_inner_texts() == ["negative"]


# --- the command ---------------------------------------------------------------------------------


def refusal(folder: Path, **options: Any) -> str:
    with pytest.raises(UserError) as error:
        write_website(folder, DemoOptions(static=folder, **options))
    assert not folder.exists()
    return str(error.value)


def test_what_is_missing_is_said_in_one_line(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, model = tmp_path / "page", str(tiny_model)
    assert refusal(folder, model=model, runtime=tmp_path) == (
        f"{tmp_path} is no onnxruntime-web {website.ONNXRUNTIME_WEB}: it has no ort.wasm.min.mjs"
    )
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "with npm, which is not installed" in refusal(folder, model=model)
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho 'npm error no route' >&2\nexit 1\n")
    npm.chmod(0o755)
    assert refusal(folder, model=model).startswith(
        f"npm cannot fetch onnxruntime-web@{website.ONNXRUNTIME_WEB} (npm error no route); name an unpacked"
    )
    monkeypatch.setattr(website, "list_models", dict)
    assert refusal(folder) == "no file of many styles ships with this install; --static needs --model FILE"
    with pytest.raises(UserError, match="--runtime goes with --static alone"):
        DemoOptions(runtime=tmp_path)


def test_a_folder_that_was_there_keeps_what_is_not_of_the_page(tmp_path: Path, tiny_model: Path) -> None:
    for name in website._ENGINE:
        (tmp_path / "engine" / "dist" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "engine" / "dist" / name).write_text(name)
    folder = tmp_path / "page"
    folder.mkdir()
    (folder / "CNAME").write_text("example.org")
    options = DemoOptions(model=str(tiny_model), runtime=tmp_path / "engine", static=folder, threads=1)
    for _ in range(2):
        write_website(folder, options)
    assert (folder / "CNAME").read_text() == "example.org"
    (style,) = json.loads((folder / "styles.json").read_text())["styles"]
    assert (style["name"], style["file"], style["weights"]) == ("negative", 0, [1.0])
    assert (folder / "networks" / "0.onnx").read_bytes() == tiny_model.read_bytes()
    # Every file that a script of the page imports is there, and the service worker knows it.
    worker = (folder / "sw.js").read_text()
    for path in folder.glob("*.js"):
        for name in re.findall(r'from "\./([\w.]+)"', path.read_text()):
            assert (folder / name).is_file()
            assert f'"{name}"' in worker
    assert "@" not in worker
