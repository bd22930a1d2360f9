"""The demo as other programs and other sites meet it, its models, its clips and its command line."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import re
import shutil
import signal
import socket
import socketserver
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gate import Gate, wait_until
from PIL import Image

from fast_nst.cli import main
from fast_nst.errors import UserError
from fast_nst.pictures import decode_picture
from fast_nst.runtime import demo as demo_package
from fast_nst.runtime.demo.clips import Clip, Clips, TooMany
from fast_nst.runtime.demo.gallery import open_gallery
from fast_nst.runtime.stylizer import Stylizer


@pytest.fixture(scope="module")
def address(start_demo: Any, tiny_model: Path, other_model: Path) -> Iterator[str]:
    with start_demo("--model", f"{tiny_model},{other_model}") as (address, _):
        yield address


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


FINISHING = "finishing what is being uploaded and painted; Ctrl-C again to end without\n"
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


class Proxy(socketserver.ThreadingTCPServer):
    """Passes connections on to the demo, as nginx and Caddy do: with a Host of its own, or the browser's."""

    daemon_threads = True

    def __init__(self, address: str, keeps_host: bool) -> None:
        self.upstream = address.removeprefix("http://")
        self.keeps_host = keeps_host
        super().__init__(("127.0.0.1", 0), PassOn)


class PassOn(socketserver.BaseRequestHandler):
    server: Proxy

    def handle(self) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.request.recv(65536)
        if not self.server.keeps_host:
            head = re.sub(rb"(?i)\r\nhost: [^\r]*", b"\r\nHost: " + self.server.upstream.encode(), head)
        host, port = self.server.upstream.split(":")
        with socket.create_connection((host, int(port))) as demo:
            demo.sendall(head)
            back = threading.Thread(target=self.pump, args=(demo, self.request))
            back.start()
            self.pump(self.request, demo)
            back.join()

    def pump(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while part := source.recv(65536):
                target.sendall(part)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("keeps_host", [True, False])
def test_the_page_works_behind_a_proxy_whose_name_is_allowed(
    start_demo: Any, tiny_model: Path, keeps_host: bool
) -> None:
    from websockets.sync.client import connect

    picture = png(np.zeros((2, 2, 3), np.uint8))
    with (
        start_demo("--model", str(tiny_model), "--allow-host", "other.example,Demo.example.org") as (here, _),
        Proxy(here, keeps_host) as proxy,
    ):
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{proxy.server_address[1]}"
        outside = {"Host": "demo.example.org", "Origin": "https://demo.example.org"}
        assert request(address, "GET", "/", Host="demo.example.org")[0] == 200
        assert request(address, "POST", "/api/open", picture, **outside)[0] == 200
        with socket.create_connection(proxy.server_address) as raw:
            origin: Any = outside["Origin"]
            with connect("ws://demo.example.org/api/live", sock=raw, origin=origin) as live:
                live.send(picture)
                assert decode_picture(bytes(live.recv(timeout=60))).pixels.shape == (2, 2, 3)
        foreign = outside | {"Origin": "https://evil.example"}
        assert request(address, "POST", "/api/open", picture, **foreign)[0] == 403
        assert request(here, "GET", "/", Host="rebound.example")[0] == 403
        proxy.shutdown()


def test_a_refused_name_is_told_the_way_in(address: str) -> None:
    refused = request(address, "GET", "/", Host="demo.example.org")
    assert "--allow-host" in json.loads(refused[1])["error"]
    assert main(["demo", "--allow-host", "https://demo.example.org"]) == 2


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
        for text in ('{"style": "nobody"}', "[]", "{", '{"style": ["other"]}'):
            socket.send(text)
            assert "settings" in json.loads(socket.recv(timeout=30))["error"]
        socket.send('{"style": "other", "keep_color": true}')
        socket.send(png(frame))
        assert decode_picture(bytes(socket.recv(timeout=30))).pixels.shape == frame.shape


def test_two_styles_of_a_file_are_mixed_live_in_a_picture_and_in_a_clip(
    start_demo: Any, gallery_model: Path, tiny_model: Path, tmp_path: Path
) -> None:
    import av
    from websockets.sync.client import connect

    many = Stylizer(gallery_model, threads=1)
    frame = np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8)
    mixture = "waves:0.3,udnie:0.7"
    with start_demo("--model", f"{gallery_model},{tiny_model}") as (address, _):
        styles = json.loads(request(address, "GET", "/api/info")[1])["styles"]
        assert [style["name"] for style in styles] == ["waves", "scream", "udnie", "negative"]
        assert [style["file"] for style in styles] == [0, 0, 0, 1]
        assert styles[0]["attribution"] == "Hokusai, CC0-1.0"
        previews = {request(address, "GET", f"/api/preview?style={style['name']}")[1] for style in styles}
        assert len(previews) == 4

        paint = f"/api/paint?format=png&style={mixture}"
        painted = decode_picture(request(address, "POST", paint, png(frame))[1]).pixels
        assert np.abs(painted.astype(int) - many(frame, style=mixture)).max() <= 1
        for style, said in (("waves,negative", "different files"), ("wave", "did you mean waves")):
            status, answer, _ = request(address, "POST", f"/api/paint?style={style}", png(frame))
            assert status == 404
            assert said in json.loads(answer)["error"]

        with connect(address.replace("http", "ws") + "/api/live") as socket:
            for wanted in (mixture, {"waves": 0.9, "udnie": 0.1}, "udnie"):
                socket.send(json.dumps({"style": wanted}))
                socket.send(png(frame))
                shown = decode_picture(bytes(socket.recv(timeout=30))).pixels
                error = np.abs(shown - many(frame, style=wanted).astype(float)).mean()
                assert error < np.abs(shown - many(frame, style="scream").astype(float)).mean() / 2
            socket.send('{"style": "waves:-1"}')
            assert "number from 0 up" in json.loads(socket.recv(timeout=30))["error"]

        Image.fromarray(frame).save(tmp_path / "one.gif")
        clip = (tmp_path / "one.gif").read_bytes()
        status, answer, _ = request(address, "POST", f"/api/clips?name=one.gif&style={mixture}", clip)
        assert status == 202
        found = json.loads(answer)
        while found["state"] in ("waiting", "rendering"):
            found = json.loads(request(address, "GET", f"/api/clips/{found['id']}")[1])
        assert found["state"] == "done", found
        with av.open(io.BytesIO(request(address, "GET", f"/api/clips/{found['id']}/file")[1])) as made:
            (rendered,) = made.decode(video=0)
        source = decode_picture(clip).pixels
        errors = [
            np.abs(rendered.to_ndarray(format="rgb24") - many(source, style=style).astype(float)).mean()
            for style in (mixture, "waves", "scream")
        ]
        assert errors[0] < min(errors[1:])


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
    assert list(gallery.styles) == ["one", "third", "two"]
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
    start_demo: Any, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    gate = Gate(tmp_path / "gate")
    with start_demo("--model", str(tiny_model), says=FINISHING, code=gate.code) as (address, process):
        connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=60)
        with gate.shut():
            connection.request("POST", "/api/paint?style=negative", png(np.zeros((4, 4, 3), np.uint8)))
            wait_until(gate.reached)
            assert list(tmp_path.glob("fast-nst-demo-*"))
            process.send_signal(signal.SIGINT)
            wait_until(lambda: is_closed(address))
        assert connection.getresponse().status == 200
        process.wait(timeout=60)
    assert not list(tmp_path.glob("fast-nst-demo-*"))


def is_closed(address: str) -> bool:
    """Whether nobody listens there any more."""
    host, port = address.removeprefix("http://").split(":")
    try:
        socket.create_connection((host, int(port)), timeout=20).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize("signals", [1, 2])
def test_ctrl_c_hung_while_an_upload_stalled(start_demo: Any, tiny_model: Path, signals: int) -> None:
    with start_demo("--model", str(tiny_model), says=FINISHING) as (address, process):
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=20) as client:
            head = (
                f"POST /api/paint?style=negative HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100000\r\n\r\n"
            )
            client.sendall(head.encode() + b"abc")
            assert request(address, "GET", "/api/info")[0] == 200
            for _ in range(signals):
                process.send_signal(signal.SIGINT)
                wait_until(lambda: is_closed(address))  # each is seen by itself
            process.wait(timeout=60)


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
    tmp_path: Path, tiny_model: Path
) -> None:
    av = pytest.importorskip("av")
    with av.open(tmp_path / "source.mp4", "w") as container:
        stream = container.add_stream("h264", 25, width=64, height=48, pix_fmt="yuv420p")
        for _ in range(100):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8))))
        container.mux(stream.encode())
    gate = Gate(tmp_path / "gate")

    class Held(Stylizer):
        def __call__(self, *arguments: Any, **options: Any) -> Any:
            gate.wait()
            return super().__call__(*arguments, **options)

    gallery = open_gallery([str(tiny_model)], lambda path: Held(path, threads=1))
    clips = Clips(tmp_path, gallery)
    started = []
    with gate.shut(after=40):
        for name in ("one.mp4", "two.mp4"):
            source = Path(shutil.copy(tmp_path / "source.mp4", tmp_path / name))
            started.append(Clip(source, tmp_path / f"out-{name}", "negative", 1.0, False))
            clips.start(started[-1])
        wait_until(gate.reached)
        clips.cancel(started[1])
        assert (started[0].state, started[1].state) == ("rendering", "cancelled")  # and not after the first
        assert not started[1].source.exists()
        closing = threading.Thread(target=clips.close)
        closing.start()
        wait_until(started[0].cancel.is_set)
    closing.join()
    assert [clip.state for clip in started] == ["cancelled", "cancelled"]
    assert started[0].total == 100
    assert 0 < started[0].frames <= 41
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".mp4"] == ["source.mp4"]


def test_clips_waited_without_bound(tmp_path: Path, tiny_model: Path) -> None:
    clips = Clips(tmp_path, open_gallery([str(tiny_model)], lambda path: Stylizer(path, threads=1)))
    begun = threading.Event()
    clips._pool.submit(begun.wait)  # another clip's place
    taken = [
        Clip(tmp_path / f"{index}.mp4", tmp_path / "out.mp4", "negative", 1.0, False) for index in range(9)
    ]
    for clip in taken:
        clip.source.write_bytes(b"a clip")
    for clip in taken[:8]:
        clips.start(clip)
    with pytest.raises(TooMany, match="8 clips wait already"):
        clips.start(taken[8])
    assert not taken[8].source.exists()
    clips.cancel(taken[0])
    clips.check()
    begun.set()
    clips.close()
    assert not list(tmp_path.glob("*.mp4"))
