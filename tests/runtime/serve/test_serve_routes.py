"""The service's routes as a client sees them."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from running_server import Running, assert_refused, encoded, noise, pixels_of

from fast_nst import Stylizer
from fast_nst.runtime import color


def test_the_body_is_the_picture_whatever_its_content_type(server: Running) -> None:
    pixels = noise(20, 31)
    for content_type in (
        "image/png",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
        "",
        "x",
    ):
        answer = server.client.post(
            "/v1/stylize", content=encoded(pixels), headers={"content-type": content_type}
        )
        assert answer.headers["content-type"] == "image/png"
        assert np.array_equal(pixels_of(answer), 255 - pixels)


def test_a_form_with_its_parameters_in_fields_or_in_the_query(server: Running) -> None:
    pixels = noise(40, 20)
    files = {"image": ("../../etc/passwd", encoded(pixels), "text/plain")}
    in_fields = server.client.post("/v1/stylize", files=files, data={"size": "30", "format": "bmp"})
    in_query = server.client.post("/v1/stylize", files=files, params={"size": "30", "format": "bmp"})
    assert in_fields.headers["content-type"] == "image/bmp"
    assert pixels_of(in_fields).shape == (30, 15, 3)
    assert in_fields.content == in_query.content


def test_a_style_gives_what_the_command_line_gives(server: Running) -> None:
    pixels = noise(33, 50)
    whole = Stylizer("strokes", threads=1)(pixels)
    sent = encoded(pixels)
    assert np.array_equal(pixels_of(server.stylize(sent, model="strokes")), whole)
    half = server.stylize(sent, model="strokes", strength=0.5, preserve_color="true")
    assert np.array_equal(pixels_of(half), color.blend(pixels, color.preserve_color(pixels, whole), 0.5))
    assert np.array_equal(pixels_of(server.stylize(sent, model="strokes", strength=0)), pixels)


@pytest.mark.parametrize(
    ("kind", "media_type"),
    [("JPEG", "image/jpeg"), ("PNG", "image/png"), ("WEBP", "image/webp"), ("TIFF", "image/tiff")],
)
def test_the_answer_has_the_format_sent(server: Running, kind: str, media_type: str) -> None:
    answer = server.stylize(encoded(noise(8, 9), kind))
    assert answer.headers["content-type"] == media_type
    assert Image.open(io.BytesIO(answer.content)).format == kind


def test_a_format_that_cannot_be_written_becomes_png_and_any_other_can_be_asked_for(server: Running) -> None:
    gif = encoded(noise(8, 9), "GIF")
    assert server.stylize(gif).headers["content-type"] == "image/png"
    assert server.stylize(gif, format="webp").headers["content-type"] == "image/webp"
    small, large = (server.stylize(gif, format="jpg", quality=q).content for q in (5, 95))
    assert len(small) < len(large)


def test_a_photograph_is_turned_upright_once(server: Running) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Camera"
    answer = server.stylize(encoded(noise(8, 16), "JPEG", exif=exif))
    result = Image.open(io.BytesIO(answer.content))
    assert result.size == (8, 16)
    assert result.getexif().get(0x0112) is None
    assert result.getexif()[0x010F] == "Camera"


def test_a_style_or_a_mixture_of_a_model_of_many(
    start: Callable[..., Running], gallery_model: Path, tiny_model: Path
) -> None:
    server = start("--model", f"{gallery_model},{gallery_model}:scream,{tiny_model}")
    many, pixels = Stylizer(gallery_model, threads=1), noise(33, 50)
    sent = encoded(pixels)
    for style in ("udnie", "waves:0.6,udnie:0.4", "waves:0.6+udnie:0.4"):
        painted = pixels_of(server.stylize(sent, style=style)).astype(int)
        assert np.abs(painted - many(pixels, style=style)).max() <= 1
    form = {"files": {"image": sent}, "data": {"style": "scream"}}
    for answer in (server.client.post("/v1/stylize", **form), server.stylize(sent, model="gallery:scream")):
        assert np.abs(pixels_of(answer).astype(int) - many(pixels, style="scream")).max() <= 1
    assert np.array_equal(pixels_of(server.stylize(sent, model="negative", style="negative")), 255 - pixels)
    for wanted, said in (
        ({}, "give one or a mixture of waves, scream, udnie"),
        ({"style": "wave"}, "gallery has no style 'wave' (did you mean waves?)"),
        ({"style": "waves:-1"}, "number from 0 up"),
        ({"style": "waves:0"}, "all zero"),
        ({"style": "waves@0,udnie@1"}, "no style"),
        ({"model": "negative", "style": "waves"}, "its style is negative"),
    ):
        answer = server.stylize(sent, **wanted)
        assert_refused(answer, 422, "unprocessable", said)
        assert str(gallery_model.parent) not in answer.text
    first, second, third = server.client.get("/v1/models").json()["models"]
    assert first["styles"][0] == {"name": "waves", "license": "CC0-1.0", "attribution": "Hokusai"}
    assert [style["name"] for style in first["styles"]] == ["waves", "scream", "udnie"]
    assert "styles" not in first["metadata"]
    assert second["name"] == "gallery:scream"
    assert [style["name"] for style in third["styles"]] == ["negative"]


def test_models_tell_their_license_but_not_how_they_were_trained(server: Running) -> None:
    first, second = server.client.get("/v1/models").json()["models"]
    assert (first["name"], first["default"]) == ("negative", True)
    assert (second["name"], second["default"]) == ("strokes", False)
    assert second["license"].startswith("MIT; learned from photographs for research use")
    assert second["metadata"]["style"] == "strokes"
    assert "config" not in second["metadata"]  # paths of whoever trained it


def test_health_readiness_and_the_page_of_the_interface(server: Running) -> None:
    assert server.client.get("/healthz").json() == {"status": "ok"}
    assert server.client.get("/readyz").json() == {"status": "ready"}
    assert server.client.get("/docs").status_code == 200
    page = server.client.get("/openapi.json").json()
    stylize = page["paths"]["/v1/stylize"]["post"]
    errors = {"400", "408", "413", "422", "429", "500", "504"}
    assert set(stylize["responses"]) == {"200", *errors}
    for status in errors:
        schema = stylize["responses"][status]["content"]["application/json"]["schema"]
        assert schema == {"$ref": "#/components/schemas/ErrorBody"}
    assert set(stylize["requestBody"]["content"]) == {"multipart/form-data", "application/octet-stream"}
    wanted = {parameter["name"]: parameter["schema"] for parameter in stylize["parameters"]}
    assert wanted["model"]["enum"] == ["negative", "strokes"]
    assert set(wanted) == {"model", "style", "strength", "size", "preserve_color", "format", "quality"}


def test_metrics_count_requests_by_route_and_status(server: Running) -> None:
    def count(status: str) -> float:
        return server.metric("fast_nst_requests_total", route="/v1/stylize", status=status)

    done, refused, other = count("200"), count("422"), server.metric("fast_nst_requests_total", route="other")
    server.stylize(encoded(noise(5, 5)))
    server.stylize(b"no picture")
    for index in range(3):
        server.client.get(f"/nothing/{index}")
    assert (count("200"), count("422")) == (done + 1, refused + 1)
    assert server.metric("fast_nst_requests_total", route="other") == other + 3
    assert server.metric("fast_nst_request_seconds_count", route="/v1/stylize") >= 2
    assert server.metric("fast_nst_rejected_total", reason="unprocessable") >= 1
    assert server.metric("process_resident_memory_bytes") > 1e6


def test_the_log_has_a_json_line_for_each_request(server: Running) -> None:
    sent = encoded(noise(12, 10))
    answer = server.client.post("/v1/stylize", content=sent, headers={"X-Request-ID": "mine-1"})
    assert answer.headers["x-request-id"] == "mine-1"
    server.client.get("/healthz")  # the line is written after the answer
    line = next(line for line in server.log() if line.get("request_id") == "mine-1")
    assert line["method"], line["path"] == ("POST", "/v1/stylize")
    assert (line["status"], line["model"], line["pixels"]) == (200, "negative", 120)
    assert (line["bytes_in"], line["bytes_out"]) == (len(sent), len(answer.content))
    assert line["ms"] > 0


def test_a_request_id_that_could_forge_a_log_is_replaced(server: Running) -> None:
    answer = server.client.get("/nothing", headers={"X-Request-ID": 'a"}\t{"level": "x'})
    assert_refused(answer, 404, "not_found", "/nothing")
    assert answer.headers["x-request-id"] == answer.json()["error"]["request_id"]
    assert answer.headers["x-request-id"].isalnum()


def test_web_pages_of_other_origins_are_not_let_in(server: Running) -> None:
    answer = server.client.get("/v1/models", headers={"Origin": "https://example.org"})
    assert "access-control-allow-origin" not in answer.headers


def test_head_answers_as_get_does_without_the_body(server: Running) -> None:
    for path in ("/healthz", "/readyz", "/v1/models", "/metrics"):
        answer = server.client.head(path)
        assert (answer.status_code, answer.content) == (200, b"")


def test_a_repeated_parameter_is_refused(server: Running) -> None:
    answer = server.client.post("/v1/stylize?size=64&size=65", content=encoded(noise(8, 9)))
    assert_refused(answer, 422, "unprocessable", "size: given twice")
