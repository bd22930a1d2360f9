"""Whatever is sent, the answer is a 4xx in the one form, soon, and the service lives on."""

from __future__ import annotations

import http.client
import json
import socket
import struct
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from gate import Gate
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from running_server import Running, assert_refused, encoded, noise, pixels_of

PNG = encoded(noise(60, 60))


def png_header(width: int, height: int) -> bytes:
    """A PNG file that claims a size and has next to nothing inside."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


NO_PICTURES = {
    "nothing": b"",
    "text": b"hello",
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    "cut png": PNG[: len(PNG) // 2],
    "cut jpeg": encoded(noise(60, 60), "JPEG")[:900],
    "png of no pixels": png_header(0, 0),
    "png without data": png_header(40, 40),
    "jpeg of many scans": encoded(noise(60, 60), "JPEG") + b"\xff\xda" * 1000,
    "archive": b"PK\x03\x04" + bytes(100),
}


@pytest.mark.parametrize("name", NO_PICTURES)
def test_what_is_no_picture_is_told_so(server: Running, name: str) -> None:
    for headers in ({"content-type": "image/png"}, {}):
        answer = server.client.post("/v1/stylize", content=NO_PICTURES[name], headers=headers)
        assert_refused(answer, 422, "unprocessable", "the picture")
    answer = server.client.post("/v1/stylize", files={"image": ("a.png", NO_PICTURES[name])})
    assert_refused(answer, 422, "unprocessable", "the picture")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"]), st.randoms(use_true_random=False))
def test_a_damaged_picture_is_painted_or_refused(server: Running, kind: str, random: object) -> None:
    data = bytearray(encoded(noise(30, 30), kind))
    for _ in range(random.randint(1, 20)):  # type: ignore[attr-defined]
        data[random.randrange(len(data))] = random.randrange(256)  # type: ignore[attr-defined]
    answer = server.stylize(bytes(data[: random.randint(1, len(data))]))  # type: ignore[attr-defined]
    if answer.status_code != 200:
        assert answer.status_code in (413, 422)
        assert_refused(answer, answer.status_code, answer.json()["error"]["code"])


@pytest.mark.parametrize(("width", "height"), [(30_000, 30_000), (1_000_001, 1), (2**31 - 1, 2**31 - 1)])
def test_a_bomb_is_refused_by_its_header(server: Running, width: int, height: int) -> None:
    before = server.metric("process_resident_memory_bytes")
    answer = server.stylize(png_header(width, height))
    # Pillow itself refuses the last.
    assert_refused(answer, answer.status_code, {413: "too_large", 422: "unprocessable"}[answer.status_code])
    assert answer.status_code == 413 or width == 2**31 - 1
    assert server.metric("process_resident_memory_bytes") < before + 50e6


def test_a_picture_too_large_for_the_network_is_taken_with_a_size(server: Running) -> None:
    wide = encoded(noise(10, 501))
    assert_refused(server.stylize(wide), 413, "too_large", "size=500")
    assert pixels_of(server.stylize(wide, size=500)).shape == (10, 500, 3)
    assert_refused(server.stylize(wide, size=501), 422, "unprocessable", "size")


def chunks(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield bytes(1000)


def test_a_body_too_large_is_refused_announced_or_not(server: Running) -> None:
    assert_refused(server.stylize(bytes(200_001)), 413, "too_large", "200001")
    chunked = server.client.post("/v1/stylize", content=chunks(201))
    assert_refused(chunked, 413, "too_large", "200000")
    form = server.client.post("/v1/stylize", files={"image": ("a", bytes(200_000))})
    assert_refused(form, 413, "too_large")
    server.wait_for("fast_nst_in_flight", 0.0)


def test_a_body_is_refused_before_it_is_sent(server: Running) -> None:
    """`Expect: 100-continue`, as curl sends it with large files."""
    with socket.create_connection((server.host, server.port), timeout=20) as client:
        head = (
            "POST /v1/stylize HTTP/1.1\r\nHost: x\r\nContent-Length: 999999\r\nExpect: 100-continue\r\n\r\n"
        )
        client.sendall(head.encode())
        assert client.recv(100).startswith(b"HTTP/1.1 413 ")


WRONG_PARAMETERS = {
    "strength": ["2", "-0.1", "nan", "much", ""],
    "size": ["0", "-5", "1.5", "big", "99999999999999999999"],
    "preserve_color": ["maybe"],
    "format": ["exe", "PNG", "../x"],
    "quality": ["0", "101"],
    "model": ["nowhere", "../../etc/passwd", "/etc/passwd", ""],
    "stregnth": ["1"],
}


@pytest.mark.parametrize("name", WRONG_PARAMETERS)
def test_a_wrong_parameter_is_named(server: Running, name: str) -> None:
    for value in WRONG_PARAMETERS[name]:
        assert_refused(server.stylize(PNG, **{name: value}), 422, "unprocessable", f"{name}: ")
        form = server.client.post("/v1/stylize", files={"image": ("a.png", PNG)}, data={name: value})
        assert_refused(form, 422, "unprocessable", f"{name}: ")


def test_forms_that_say_something_twice_or_nothing(server: Running) -> None:
    def post(**request: object) -> httpx.Response:
        return server.client.post("/v1/stylize", **request)  # type: ignore[arg-type]

    image = ("image", ("a.png", PNG))
    assert pixels_of(post(files=[image], data={"size": "9"}, params={"size": "8"})).shape == (9, 9, 3)
    assert_refused(
        post(files=[image, ("size", (None, "9")), ("size", (None, "8"))]), 422, "unprocessable", "size"
    )
    assert_refused(post(files=[image, image]), 400, "malformed_request", "files")
    assert_refused(post(files=[("picture", ("a.png", PNG))]), 422, "unprocessable", "image")
    assert_refused(
        post(files=[("size", (None, "9"))]), 422, "unprocessable", "image: the form has no such file"
    )
    assert_refused(post(files=[("image", (None, "text"))]), 422, "unprocessable", "image")
    many = [(f"field{index}", (None, "x")) for index in range(50)]
    assert_refused(post(files=[image, *many]), 400, "malformed_request", "fields")
    assert_refused(
        post(files=[image, ("size", (None, "9" * 5000))]), 400, "malformed_request", "maximum size"
    )


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=", b"x"),
        ("multipart/form-data; boundary=" + "b" * 500, b"x"),
        ("multipart/form-data; boundary=b", b"no boundary here"),
        ("multipart/form-data; boundary=b", b"--b\r\n\r\n\r\n--b--\r\n"),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n"),
    ],
)
def test_a_broken_form_is_a_400(server: Running, content_type: str, body: bytes) -> None:
    answer = server.client.post("/v1/stylize", content=body, headers={"content-type": content_type})
    assert_refused(answer, 400, "malformed_request", "form")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data; boundary=b", b""),
        (
            "multipart/form-data; boundary=b; charset=nonsense",
            b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\nthe end is miss',
        ),
        ("multipart/mixed; boundary=b", b"--b\r\nbroken header\r\n\r\n--b--"),
    ],
)
def test_a_form_without_a_whole_picture_is_told_so(server: Running, content_type: str, body: bytes) -> None:
    answer = server.client.post("/v1/stylize", content=body, headers={"content-type": content_type})
    assert_refused(answer, 422, "unprocessable", "image: the form has no such file, or is cut off")


def test_wrong_routes_and_methods(server: Running) -> None:
    assert_refused(server.client.get("/v2/stylize"), 404, "not_found", "/v2/stylize")
    answer = server.client.get("/v1/stylize")
    assert_refused(answer, 405, "method_not_allowed", "GET")
    assert answer.headers["allow"] == "POST"
    assert_refused(server.client.request("OPTIONS", "/v1/models"), 405, "method_not_allowed")


NO_HTTP = {
    "garbage": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(50),
    "no version": b"GET /\r\n\r\n",
    "head too long": b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 20_000,
    "bad length": b"POST /v1/stylize HTTP/1.1\r\nHost: x\r\nContent-Length: -3\r\n\r\n",
}


@pytest.mark.parametrize("name", NO_HTTP)
def test_what_is_not_http_is_a_400(server: Running, name: str) -> None:
    with socket.create_connection((server.host, server.port), timeout=20) as client:
        client.sendall(NO_HTTP[name])
        answer = http.client.HTTPResponse(client)
        answer.begin()
        assert answer.status == 400
    assert server.client.get("/healthz").status_code == 200


def test_a_length_beside_chunks_does_not_get_more_in(server: Running) -> None:
    with socket.create_connection((server.host, server.port), timeout=20) as client:
        head = (
            b"POST /v1/stylize HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        client.sendall(head + b"40000\r\n" + bytes(0x40000) + b"\r\n")
        assert client.recv(100).split()[1] in (b"400", b"413")


def test_a_model_without_enough_memory_is_a_413(start: Callable[..., Running], hungry_model: Path) -> None:
    server = start("--model", hungry_model, "--max-size", 3000)
    assert_refused(server.stylize(encoded(noise(2500, 1)), size=2500), 413, "too_large", "try a smaller size")
    assert server.stylize(encoded(noise(5, 1))).status_code == 200


def test_a_body_that_never_ends_is_not_waited_for(start: Callable[..., Running], tiny_model: Path) -> None:
    server = start("--model", tiny_model, "--upload-timeout", 0.5)
    post = b"POST /v1/stylize HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
    with socket.create_connection((server.host, server.port), timeout=60) as client:
        client.sendall(post + b"some")
        answer = http.client.HTTPResponse(client)
        answer.begin()
        assert json.loads(answer.read())["error"]["code"] == "upload_too_slow"
        assert answer.status == 408
    server.wait_for("fast_nst_in_flight", 0.0)


def test_a_full_queue_refuses_before_the_body_is_sent(
    start: Callable[..., Running], gate: Gate, tiny_model: Path
) -> None:
    server = start("--model", tiny_model, "--queue", 1, code=gate.code)
    with ThreadPoolExecutor(1) as pool, gate.shut():
        accepted = pool.submit(server.stylize, PNG)
        server.wait_for("fast_nst_in_flight", 1.0)
        assert_refused(server.stylize(bytes(15_000_000)), 429, "busy")
        gate.open()
        assert accepted.result().status_code == 200
