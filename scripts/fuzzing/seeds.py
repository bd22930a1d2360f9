"""Small good files of every kind that can be read, and files that are something else than they should be."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import av
import numpy as np
from PIL import Image

from fast_nst.pictures.srgb import srgb_profile
from fast_nst.shipped import list_models

Kind = Literal["picture", "video", "model", "other"]


@dataclass(frozen=True)
class Seed:
    """A file to mutate."""

    name: str
    """Its file name; the suffix is the right one."""
    data: bytes
    kind: Kind


def make_seeds() -> list[Seed]:
    """The same seeds every time, in memory, but for the date in a moving AVIF."""
    return [*_pictures(), *_videos(), *_models(), *_others()]


def painted(height: int = 40, width: int = 56, shift: int = 0) -> np.ndarray:
    """uint8 RGB [H, W, 3] with a gradient and some noise, so that coders have something to code."""
    y, x = np.mgrid[:height, :width]
    pixels = np.stack([x * 4 + shift, y * 5, (x + y) * 2], axis=-1)
    noise = np.random.default_rng(shift).integers(0, 30, pixels.shape)
    return ((pixels + noise) % 256).astype(np.uint8)


# --- pictures ------------------------------------------------------------------------------------


def _pictures() -> Iterator[Seed]:
    rgb = Image.fromarray(painted())
    gray, palette = rgb.convert("L"), rgb.quantize(16)
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a photograph"
    tagged: dict[str, Any] = {
        "exif": exif.tobytes(),
        "icc_profile": srgb_profile(),
    }
    more = {"save_all": True, "append_images": [Image.fromarray(painted(shift=9))], "duration": 80}
    wide = Image.fromarray((painted()[..., 0].astype(np.uint16) << 8) + 7)
    alpha = rgb.copy()
    alpha.putalpha(gray)
    kinds: list[tuple[str, Image.Image, dict[str, Any]]] = [
        ("tagged.jpg", rgb, tagged),
        ("progressive.jpg", rgb, {"progressive": True, "quality": 60}),
        ("cmyk.jpg", rgb.convert("CMYK"), {}),
        ("gray.jpeg", gray, {}),
        ("tagged.png", rgb, tagged),
        ("palette.png", palette, {"transparency": 3}),
        ("wide.png", wide, {}),
        ("alpha.png", alpha, {}),
        ("lossy.webp", rgb, tagged),
        ("lossless.webp", alpha, {"lossless": True}),
        ("moving.webp", rgb, more),
        ("moving.png", rgb, more),
        ("plain.tif", rgb, tagged),
        ("deflate.tiff", alpha, {"compression": "tiff_adobe_deflate"}),
        ("lzw.tiff", wide, {"compression": "tiff_lzw"}),
        ("jpeg.tif", rgb, {"compression": "jpeg"}),
        ("fax.tif", rgb.convert("1"), {"compression": "group4"}),
        ("lab.tif", rgb.convert("LAB"), {"icc_profile": None}),
        ("float.tif", gray.convert("F"), {}),
        ("plain.bmp", rgb, {}),
        ("palette.bmp", palette, {}),
        ("still.gif", palette, {}),
        ("plain.avif", alpha, {}),
        ("moving.avif", rgb, more),
        ("plain.ppm", rgb, {}),
        ("gray.pgm", gray, {}),
        ("bits.pbm", rgb.convert("1"), {}),
        ("plain.jp2", rgb, {}),
        ("lossy.jp2", alpha, {"quality_layers": [20], "irreversible": True}),
        ("plain.qoi", rgb, {}),
    ]
    Image.init()
    for name, image, options in kinds:
        kind = Image.EXTENSION["." + name.rsplit(".", 1)[1]]
        if kind not in Image.SAVE:
            continue  # a Pillow built without it
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        yield Seed(name, buffer.getvalue(), "picture")


# --- videos --------------------------------------------------------------------------------------


def _videos() -> Iterator[Seed]:
    fast = {"preset": "ultrafast", "crf": "30", "threads": "1"}
    quick = {"deadline": "realtime", "cpu-used": "8", "b": "100k", "threads": "1"}
    plain = {"threads": "1"}
    yield _video("h264.mp4", "libx264", "yuv420p", fast, sound="aac")
    yield _video("h264.mov", "libx264", "yuv420p", fast, sound="pcm_s16le", turned=90)
    yield _video("h264.mkv", "libx264", "yuv420p", fast, sound="aac", subtitles=True)
    yield _video("vp9.webm", "libvpx-vp9", "yuv420p", quick, sound="libopus")
    yield _video("h264.ts", "libx264", "yuv420p", fast, sound="aac")
    yield _video("mpeg4.avi", "mpeg4", "yuv420p", plain, sound="mp2")
    yield _video("mpeg4.mp4", "mpeg4", "yuv420p", plain)
    yield _video("mjpeg.avi", "mjpeg", "yuvj420p", plain)
    yield _video("flv1.flv", "flv", "yuv420p", plain)
    yield _video("mpeg2.mpg", "mpeg2video", "yuv420p", plain)
    images = [Image.fromarray(painted(shift=index)).quantize(16) for index in range(4)]
    buffer = io.BytesIO()
    images[0].save(buffer, "GIF", save_all=True, append_images=images[1:], duration=40, loop=0)
    yield Seed("moving.gif", buffer.getvalue(), "video")


def _video(
    name: str,
    codec: str,
    pixel_format: str,
    options: dict[str, str],
    *,
    sound: str | None = None,
    subtitles: bool = False,
    turned: int = 0,
) -> Seed:
    """Ten frames at 25 per second; `bitexact`: no random identifiers, no dates."""
    muxer = {"mkv": "matroska", "ts": "mpegts", "mpg": "mpeg"}.get(name.rsplit(".", 1)[1])
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=muxer or name.rsplit(".", 1)[1], options={"fflags": "+bitexact"}) as out:
        video: Any = out.add_stream(codec, rate=25, options=options)
        video.width, video.height, video.pix_fmt = 64, 48, pixel_format
        if turned:
            video.set_display_rotation(turned)
        audio: Any = out.add_stream(sound, rate=48000, layout="mono") if sound else None
        text: Any = out.add_mux_stream("subrip", time_base=Fraction(1, 1000)) if subtitles else None
        out.start_encoding()
        if text is not None:
            packet = av.Packet(b"a line of text")
            packet.stream, packet.time_base = text, Fraction(1, 1000)
            packet.pts, packet.dts, packet.duration = 40, 40, 200
            out.mux(packet)
        for index in range(10):
            frame = av.VideoFrame.from_ndarray(painted(48, 64, index), format="rgb24").reformat(
                format=pixel_format
            )
            frame.pts, frame.time_base = index, Fraction(1, 25)
            out.mux(video.encode(frame))
        if audio is not None:
            wave = np.random.default_rng(0).integers(-3000, 3000, (1, 19200)).astype(np.int16)
            tone = av.AudioFrame.from_ndarray(wave, format="s16", layout="mono")
            tone.sample_rate, tone.pts = 48000, 0
            out.mux(audio.encode(tone))
            out.mux(audio.encode(None))
        out.mux(video.encode(None))
    return Seed(name, buffer.getvalue(), "video")


# --- models --------------------------------------------------------------------------------------


def negative_model(**changes: Any) -> bytes:
    """A model that keeps the contract and turns a picture into its negative; `changes` break it."""
    from onnx import TensorProto, helper, numpy_helper

    types = {"uint8": TensorProto.UINT8, "float": TensorProto.FLOAT}
    shape = changes.get("shape", ["N", "H", "W", 3])
    source, result = changes.get("names", ("image", "stylized"))
    kind = types[changes.get("type", "uint8")]
    nodes = changes.get("nodes") or [
        helper.make_node("Cast", [source], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["white", "float"], ["negative"]),
        helper.make_node("Cast", ["negative"], [result], to=kind),
    ]
    graph = helper.make_graph(
        nodes,
        "negative",
        [helper.make_tensor_value_info(source, kind, shape)],
        [helper.make_tensor_value_info(result, kind, changes.get("result_shape", shape))],
        [numpy_helper.from_array(np.array(255, np.float32), "white"), *changes.get("weights", [])],
    )
    opset = helper.make_opsetid("", changes.get("opset", 18))
    model = helper.make_model(graph, opset_imports=[opset], ir_version=changes.get("ir_version", 10))
    properties = {"style": "negative", "format_version": "1"} | changes.get("properties", {})
    helper.set_model_props(model, properties)
    return model.SerializeToString()


def convolving_model() -> bytes:
    """A small model with the operators of the real ones: padding, convolution, normalization, resizing."""
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    weights = {
        "kernel": rng.normal(size=(4, 3, 3, 3)).astype(np.float32),
        "back": rng.normal(size=(3, 4, 3, 3)).astype(np.float32),
        "gain": np.ones(4, np.float32),
        "offset": np.zeros(4, np.float32),
        "scales": np.array([1, 1, 2, 2], np.float32),
        "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1]),
        "whole": np.array([255], np.float32),
    }
    make = helper.make_node
    nodes = [
        make("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        make("Transpose", ["float"], ["planes"], perm=[0, 3, 1, 2]),
        make("Pad", ["planes", "pads"], ["padded"], mode="edge"),
        make("Conv", ["padded", "kernel"], ["features"], kernel_shape=[3, 3]),
        make("InstanceNormalization", ["features", "gain", "offset"], ["normal"], epsilon=1e-5),
        make("Relu", ["normal"], ["active"]),
        make("Resize", ["active", "", "scales"], ["large"], mode="nearest"),
        make("Conv", ["large", "back"], ["mixed"], pads=[1, 1, 1, 1], strides=[2, 2]),
        make("Sigmoid", ["mixed"], ["bounded"]),
        make("Mul", ["bounded", "whole"], ["scaled"]),
        make("Transpose", ["scaled"], ["pixels"], perm=[0, 2, 3, 1]),
        make("Cast", ["pixels"], ["stylized"], to=TensorProto.UINT8),
    ]
    return negative_model(
        nodes=nodes, weights=[numpy_helper.from_array(array, name) for name, array in weights.items()]
    )


def _models() -> Iterator[Seed]:
    yield Seed("strokes.onnx", list_models()["strokes"].read_bytes(), "model")
    yield Seed("negative.onnx", negative_model(), "model")
    yield Seed("convolving.onnx", convolving_model(), "model")


def _wrong_models() -> dict[str, Callable[[], bytes]]:
    from onnx import TensorProto, helper

    make = helper.make_node
    cast = make("Cast", ["image"], ["stylized"], to=TensorProto.UINT8)
    outside = TensorProto(name="kernel", data_type=TensorProto.FLOAT, dims=[3])
    outside.data_location = TensorProto.EXTERNAL
    outside.external_data.add(key="location", value="../../../../etc/hostname")
    absent = TensorProto()
    absent.CopyFrom(outside)
    absent.external_data[0].value = "weights.bin"
    return {
        "fixed": lambda: negative_model(shape=[1, 32, 32, 3]),
        "planes": lambda: negative_model(shape=["N", 3, "H", "W"]),
        "flat": lambda: negative_model(shape=["N"]),
        "names": lambda: negative_model(names=("input", "output")),
        "floats": lambda: negative_model(type="float"),
        "opset": lambda: negative_model(opset=99),
        "ir": lambda: negative_model(ir_version=99),
        "operator": lambda: negative_model(nodes=[make("Paint", ["image"], ["stylized"])]),
        "domain": lambda: negative_model(nodes=[make("Paint", ["image"], ["stylized"], domain="x.y")]),
        "cycle": lambda: negative_model(
            nodes=[make("Add", ["image", "b"], ["stylized"]), make("Add", ["stylized", "image"], ["b"])]
        ),
        "smaller": lambda: negative_model(
            nodes=[
                make("MaxPool", ["image"], ["half"], kernel_shape=[1, 2]),
                make("Cast", ["half"], ["stylized"], to=TensorProto.UINT8),
            ]
        ),
        "reduced": lambda: negative_model(
            nodes=[
                make("Cast", ["image"], ["a"], to=TensorProto.FLOAT),
                make("ReduceMax", ["a"], ["b"], keepdims=0),
                make("Cast", ["b"], ["stylized"], to=TensorProto.UINT8),
            ],
            result_shape=[],
        ),
        "unconnected": lambda: negative_model(nodes=[make("Identity", ["nothing"], ["stylized"])]),
        "outside": lambda: negative_model(
            nodes=[cast, make("Identity", ["kernel"], ["k"])], weights=[outside]
        ),
        "absent": lambda: negative_model(nodes=[cast, make("Identity", ["kernel"], ["k"])], weights=[absent]),
        "escapes": lambda: negative_model(
            properties={"style": "\x1b[2J\x1b]0;owned\x07\nline", "\x1b[1m": "x"}
        ),
        "empty": lambda: b"",
    }


# --- what they are not ---------------------------------------------------------------------------


def _others() -> Iterator[Seed]:
    yield Seed("empty.jpg", b"", "other")
    yield Seed("letter.txt", b"Dear reader, this is no picture.\n" * 40, "other")
    yield Seed("playlist.txt", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n", "other")
    yield Seed("list.txt", b"ffconcat version 1.0\nfile '/etc/hostname'\n", "other")
    yield Seed("drawing.svg", b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', "other")
    yield Seed("page.html", b"<!doctype html><title>Not found</title><h1>404</h1>", "other")
    yield Seed("document.pdf", b"%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n", "other")
    yield Seed("print.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n", "other")
    yield Seed("noise.bin", np.random.default_rng(0).bytes(5000), "other")
    yield Seed("zeros.bin", bytes(5000), "other")
    wave = io.BytesIO()
    with av.open(wave, "w", format="wav", options={"fflags": "+bitexact"}) as out:
        stream: Any = out.add_stream("pcm_s16le", rate=8000, layout="mono")
        tone = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        tone.sample_rate = 8000
        out.mux([*stream.encode(tone), *stream.encode(None)])
    yield Seed("sound.wav", wave.getvalue(), "other")
    for name, make in _wrong_models().items():
        yield Seed(f"{name}.onnx", make(), "model")
