"""What a picture file may hold, and what must come out of it."""

from __future__ import annotations

import io
import pickle
import resource
import struct
import subprocess
import sys
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_pictures import noise, saved, smooth
from PIL import Image, ImageCms, PngImagePlugin, features
from PIL.ExifTags import IFD, Base

from fast_nst.errors import UserError
from fast_nst.pictures import (
    Picture,
    UnreadablePicture,
    UnsuitableFormat,
    decode_picture,
    encode_picture,
)

ROOT = Path(__file__).parents[2]
AVIF = pytest.param("avif", marks=pytest.mark.skipif(not features.check("avif"), reason="no AVIF"))
ORIENTATION, MAKE, DESCRIPTION = 0x0112, 0x010F, 0x010E


# --- decoding ------------------------------------------------------------------------------------


def test_lossless_file_comes_back_exactly(tmp_path: Path) -> None:
    encode_picture(tmp_path / "a.png", noise(7, 5))
    assert np.array_equal(decode_picture(tmp_path / "a.png").pixels, noise(7, 5))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_orientation_is_applied_once_and_forgotten(orientation: int, kind: str) -> None:
    upright = Image.fromarray(smooth())
    undo = {6: 8, 8: 6}.get(orientation, orientation)  # each other turn is its own inverse
    turns = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}  # orientation -> Image.Transpose
    stored = upright if orientation == 1 else upright.transpose(Image.Transpose(turns[undo]))
    exif = Image.Exif()
    exif[ORIENTATION], exif[MAKE] = orientation, "Camera"
    options = {"quality": 95} if kind in ("JPEG", "WEBP") else {}
    picture = decode_picture(saved(stored, kind, exif=exif, **options))
    assert picture.pixels.shape == (40, 60, 3)
    assert np.abs(picture.pixels.astype(int) - smooth()).max() < 40
    kept = Image.Exif()
    assert picture.exif is not None
    kept.load(picture.exif)
    assert kept[MAKE] == "Camera"
    assert ORIENTATION not in kept


def test_animation_gives_its_first_frame() -> None:
    frames = [Image.new("RGB", (4, 3), color) for color in ("red", "blue")]
    for kind in ("GIF", "WEBP"):
        data = saved(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True)
        assert decode_picture(data).pixels[0, 0].tolist() == pytest.approx([255, 0, 0], abs=2)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_broken_exif_does_not_cost_the_picture() -> None:
    data = saved(Image.fromarray(smooth()), exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff garbage")
    assert np.array_equal(decode_picture(data).pixels, smooth())


def test_decoding_leaves_the_callers_image_alone() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    image = Image.open(io.BytesIO(saved(Image.fromarray(smooth()), "JPEG", exif=exif)))
    decode_picture(image)
    assert image.getexif()[ORIENTATION] == 6
    assert image.size == (60, 40)


def test_exif_thumbnail_of_the_original_is_not_carried_over() -> None:
    exif = Image.Exif()
    exif[MAKE] = "Camera"
    exif.get_ifd(0x8769)[0xA002] = 9999  # the original's width
    picture = decode_picture(saved(Image.fromarray(smooth()), "JPEG", exif=exif))
    kept = Image.Exif()
    kept.load(picture.exif or b"")
    assert 0xA002 not in kept.get_ifd(0x8769)
    assert kept.get_ifd(1) == {}


# --- unreadable ----------------------------------------------------------------------------------


def reason(source: Path | bytes, **options: int) -> str:
    with pytest.raises(UnreadablePicture) as caught:
        decode_picture(source, **options)
    assert "\n" not in str(caught.value)
    if isinstance(source, Path):
        assert str(source) in str(caught.value)
    return caught.value.reason


def test_what_is_no_picture_is_named_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("hello, I am no picture at all")
    assert "no such file" in reason(tmp_path / "missing.jpg")
    assert "folder" in reason(tmp_path)
    assert "empty" in reason(tmp_path / "empty.jpg")
    assert "not a picture" in reason(tmp_path / "text.jpg")
    assert "regular" in reason(Path("/dev/zero"))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP"])
def test_truncated_file_is_refused_not_half_gray(kind: str) -> None:
    data = saved(Image.fromarray(noise(64, 64)), kind)
    for part in (0.05, 0.3, 0.7, 0.9):
        assert reason(data[: int(len(data) * part)])


@given(st.binary(max_size=300), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM"]))
@settings(max_examples=150, deadline=None)
def test_random_bytes_never_raise_another_error(tail: bytes, head: bytes) -> None:
    with suppress(UnreadablePicture):
        assert isinstance(decode_picture(head + tail), Picture)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's own remarks on what it repaired
@given(st.data(), st.sampled_from(["JPEG", "PNG", "WEBP", "TIFF", "GIF"]))
@settings(max_examples=150, deadline=None)
def test_flipped_bytes_never_raise_another_error(data: st.DataObject, kind: str) -> None:
    exif = Image.Exif()
    exif[ORIENTATION], exif[DESCRIPTION] = 3, "words"
    raw = bytearray(saved(Image.fromarray(smooth(16, 16)), kind, exif=exif))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    with suppress(UnreadablePicture):
        assert isinstance(decode_picture(bytes(raw)), Picture)


def test_a_damaged_tiff_is_told_once(capfd: pytest.CaptureFixture[str]) -> None:
    """libtiff wrote lines of its own to stderr, and the reason was "decoder error -2"."""
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "jpeg"):
        data = bytearray(saved(Image.fromarray(smooth()), "TIFF", compression=compression))
        middle = len(data) // 2
        data[middle : middle + 200] = bytes(200)
        with suppress(UnreadablePicture):  # libjpeg goes on
            decode_picture(bytes(data))
    assert capfd.readouterr().err == ""


def test_a_damaged_picture_is_called_that_and_its_kind(tmp_path: Path) -> None:
    """The reasons were "decoder error -2" and "index out of range"."""
    lzw = saved(Image.fromarray(smooth()), "TIFF", compression="tiff_lzw")
    assert reason(lzw[:400] + bytes(100) + lzw[500:]) == "corrupt TIFF file"
    # Pillow 13 has words for it, Pillow 12 has none.
    assert reason(saved(Image.fromarray(smooth()), "QOI")[:-900]) in (
        "corrupt QOI file",
        "corrupt QOI file (not enough image data)",
    )
    truncated = reason(saved(Image.fromarray(noise(40, 40)), "JPEG")[:-500])
    assert truncated.startswith("corrupt JPEG file (image file is truncated")


def test_decompression_bomb_names_the_flag_and_can_be_allowed(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.png"
    bomb.write_bytes(saved(Image.new("1", (20_000, 20_000))))
    assert "--max-pixels" in reason(bomb)
    small = saved(Image.new("1", (20, 20)))
    assert "--max-pixels" in reason(small, max_pixels=399)
    assert decode_picture(small, max_pixels=400).pixels.shape == (20, 20, 3)


def test_max_pixels_can_go_above_pillows_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    data = saved(Image.new("RGB", (20, 20)))
    assert "limit of 200" in reason(data)
    assert decode_picture(data, max_pixels=1000).pixels.shape == (20, 20, 3)


def test_error_survives_the_way_out_of_a_worker_process() -> None:
    copy = pickle.loads(pickle.dumps(UnreadablePicture("a.jpg", "empty")))
    assert (str(copy), copy.reason) == ("a.jpg: empty", "empty")


# --- encoding ------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["jpg", "jpeg", "png", "webp", "tif", "tiff", "bmp", "JPG", AVIF])
def test_every_format_comes_back_close(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    encode_picture(path, smooth())
    assert np.abs(decode_picture(path).pixels.astype(int) - smooth()).mean() < 3
    if suffix != "bmp":
        with Image.open(path) as image:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
            assert "sRGB" in ImageCms.getProfileDescription(profile)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff", AVIF])
def test_exif_is_kept_where_the_format_carries_it(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[MAKE] = "Camera"
    encode_picture(tmp_path / f"a.{suffix}", smooth(), exif=exif.tobytes())
    with Image.open(tmp_path / f"a.{suffix}") as image:
        assert image.getexif()[MAKE] == "Camera"


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff", AVIF])
def test_exposure_and_place_of_a_photograph_are_kept(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[MAKE] = "Camera"
    exif.get_ifd(IFD.Exif).update({Base.DateTimeOriginal: "2020:01:02 03:04:05", Base.ExposureTime: 0.01})
    exif.get_ifd(IFD.GPSInfo).update({1: "N", 2: (48.0, 8.0, 30.5)})
    photograph = decode_picture(saved(Image.fromarray(smooth()), "JPEG", exif=exif))
    path = tmp_path / f"a.{suffix}"
    encode_picture(path, smooth(), exif=photograph.exif, resolution=(300, 300))
    with Image.open(path) as image:
        assert image.info.get("compression") in (None, "tiff_adobe_deflate")
        told = image.getexif()
        assert (told[MAKE], dict(told.get_ifd(IFD.GPSInfo))) == ("Camera", {1: "N", 2: (48.0, 8.0, 30.5)})
        assert told.get_ifd(IFD.Exif)[Base.DateTimeOriginal] == "2020:01:02 03:04:05"
        assert told.get_ifd(IFD.Exif)[Base.ExposureTime] == 0.01
    assert np.abs(decode_picture(path).pixels.astype(int) - smooth()).mean() < 3


def test_what_an_encoder_does_not_take_is_said_of_the_one_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("Error setting from dictionary")

    monkeypatch.setattr(Image.Image, "save", refuse)
    with pytest.raises(UnsuitableFormat, match=r"a\.tif.*Error setting"):
        encode_picture(tmp_path / "a.tif", smooth())


def test_tiffs_own_layout_tags_do_not_get_into_a_jpeg(tmp_path: Path) -> None:
    picture = decode_picture(saved(Image.fromarray(smooth()), "TIFF", description="words"))
    encode_picture(tmp_path / "a.jpg", picture.pixels, exif=picture.exif)
    with Image.open(tmp_path / "a.jpg") as image:
        assert dict(image.getexif()) == {DESCRIPTION: "words"}


def test_exif_too_long_for_jpeg_does_not_stop_the_write(tmp_path: Path) -> None:
    encode_picture(tmp_path / "a.jpg", smooth(), exif=b"Exif\0\0" + b"x" * 70_000)
    assert decode_picture(tmp_path / "a.jpg").exif is None


def test_quality_95_does_not_halve_the_color_resolution(tmp_path: Path) -> None:
    encode_picture(tmp_path / "a.jpg", smooth())
    with Image.open(tmp_path / "a.jpg") as image:
        assert {layer[1:3] for layer in image.layer} == {(1, 1)}  # sampling factors


def test_same_pixels_give_the_same_file(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np; from fast_nst.pictures import encode_picture;"
        "encode_picture(sys.argv[1], np.zeros((4, 4, 3), np.uint8))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.png")], cwd=ROOT, check=True)
    encode_picture(tmp_path / "b.png", np.zeros((4, 4, 3), np.uint8))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_format_that_cannot_hold_the_picture_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(UnsuitableFormat, match="20000x1"):
        encode_picture(tmp_path / "a.webp", np.zeros((1, 20_000, 3), np.uint8))
    assert list(tmp_path.iterdir()) == []


def test_unwritable_place_is_one_line_naming_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere.*No such file") as caught:
        encode_picture(tmp_path / "nowhere" / "a.png", smooth())
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="choose one of"):
        encode_picture(tmp_path / "a.xyz", smooth())


def test_wrong_pixels_are_a_type_error(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="float64"):
        encode_picture(tmp_path / "a.png", smooth() / 255.0)


def test_full_disk_keeps_the_old_file_and_leaves_no_rubbish(tmp_path: Path) -> None:
    target = tmp_path / "a.png"
    encode_picture(target, smooth())
    before = target.read_bytes()
    code = (
        "import resource, sys, numpy as np\n"
        "from fast_nst.errors import UserError\n"
        "from fast_nst.pictures import encode_picture\n"
        "pixels = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))\n"
        "try: encode_picture(sys.argv[1], pixels)\n"
        "except UserError as error: sys.exit(str(error))\n"
    )
    command = [sys.executable, "-c", code, str(target)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 1
    assert run.stderr == f"cannot write {target}: File too large\n"
    assert target.read_bytes() == before
    assert list(tmp_path.iterdir()) == [target]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 5000


# --- resolution ----------------------------------------------------------------------------------


def resolution_of(path: Path) -> tuple[float, float] | None:
    return decode_picture(path).resolution


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp", "bmp", AVIF])
def test_print_size_goes_along(tmp_path: Path, suffix: str) -> None:
    """By the format's own place, or by EXIF."""
    encode_picture(tmp_path / f"a.{suffix}", smooth(), resolution=(300, 150))
    assert resolution_of(tmp_path / f"a.{suffix}") == pytest.approx((300, 150), abs=0.1)
    exif = Image.Exif()
    exif[MAKE] = "Camera"
    encode_picture(tmp_path / f"b.{suffix}", smooth(), resolution=(300, 150), exif=exif.tobytes())
    assert resolution_of(tmp_path / f"b.{suffix}") == pytest.approx((300, 150), abs=0.1)


def test_a_file_that_says_no_resolution_gets_none(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[MAKE] = "Camera"
    for kind in ("JPEG", "PNG", "WEBP", "TIFF"):
        assert decode_picture(saved(Image.fromarray(smooth()), kind, exif=exif)).resolution is None
    with Image.open(io.BytesIO(saved(Image.fromarray(smooth()), "PNG"))) as image:
        assert decode_picture(image).resolution is None


def test_resolution_turns_with_the_picture_and_may_be_in_centimeters() -> None:
    exif = Image.Exif()
    exif[ORIENTATION], exif[282], exif[283], exif[296] = 6, 100.0, 50.0, 3
    picture = decode_picture(saved(Image.fromarray(smooth()), "JPEG", exif=exif))
    assert picture.resolution == pytest.approx((127, 254))


@pytest.mark.parametrize("dpi", [(0, 0), (1e9, 1e9)])
def test_senseless_resolutions_are_dropped(dpi: tuple[float, float]) -> None:
    assert decode_picture(saved(Image.fromarray(smooth()), "TIFF", dpi=dpi)).resolution is None


# --- what Pillow does not read -------------------------------------------------------------------


@pytest.mark.parametrize("zip_it", [True, False])
@pytest.mark.parametrize("behind", [True, False])
def test_long_texts_do_not_cost_the_picture(zip_it: bool, behind: bool) -> None:
    texts = PngImagePlugin.PngInfo()
    for name in ("parameters", "workflow"):
        texts.add_text(name, "node " * 300_000, zip=zip_it)
    texts.add_itxt("XML:com.adobe.xmp", "history " * 200_000, zip=zip_it)
    exif = Image.Exif()
    exif[ORIENTATION] = 3
    data = saved(Image.fromarray(smooth()), pnginfo=texts, exif=exif)
    if behind:  # the texts after the pixels
        start, end = data.index(b"IDAT") - 4, data.index(b"IEND") - 4
        texts_start = min(data.index(kind) for kind in (b"tEXt", b"zTXt", b"iTXt") if kind in data) - 4
        texts_end = data.index(b"eXIf") - 4
        chunks = data[texts_start:texts_end]
        data = data[:texts_start] + data[texts_end:start] + data[start:end] + chunks + data[end:]
    picture = decode_picture(data)
    assert np.array_equal(picture.pixels, smooth()[::-1, ::-1])


def test_what_stands_beside_the_pixels_of_a_png_does_not_cost_them() -> None:
    """Of an unknown compression, or cut short."""
    data = saved(Image.fromarray(smooth()))
    for kind, content in (
        *((b"zTXt", b"note\0\7xyz"), (b"iCCP", b"name\0\7xyz"), (b"iTXt", b"note\0\1\7\0\0xyz")),
        *((b"gAMA", b""), (b"cHRM", bytes(31)), (b"pHYs", bytes(3)), (b"sRGB", b""), (b"zTXt", b"")),
    ):
        chunk = struct.pack(">I", len(content)) + kind + content
        chunk += struct.pack(">I", zlib.crc32(kind + content))
        assert np.array_equal(decode_picture(data[:33] + chunk + data[33:]).pixels, smooth())


def test_a_sound_file_of_a_kind_without_a_decoder_is_not_called_corrupt() -> None:
    jpeg = bytearray(saved(Image.fromarray(smooth()), "JPEG"))
    jpeg[jpeg.index(b"\xff\xc0") + 4] = 12  # bits
    assert reason(bytes(jpeg)) == "a JPEG file of a kind that is not read (cannot handle 12-bit layers)"


def test_a_long_profile_of_a_png_is_obeyed() -> None:
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, green = profile.index(b"rXYZ"), profile.index(b"gXYZ")
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    profile += bytes(2_000_000)
    profile[:4] = len(profile).to_bytes(4, "big")
    data = saved(Image.new("RGB", (4, 4), (255, 0, 0)), icc_profile=bytes(profile))
    assert np.abs(decode_picture(data).pixels[0, 0].astype(int) - (0, 255, 0)).max() <= 2


def float_tiff(values: np.ndarray, photometric: int = 2) -> bytes:
    """float16, float32 or uint16 [H, W, C] as a TIFF file."""
    data, (height, width, count) = values.tobytes(), values.shape
    extra = [(338, 3, 1, 2)] if count in (2, 4) else []
    kind = 3 if values.dtype.kind == "f" else 1
    lists = struct.pack(f"<{2 * count}H", *[8 * values.itemsize] * count, *[kind] * count)
    bits, formats = 8 + len(data), 8 + len(data) + 2 * count
    if count <= 2:  # they fit into the tag
        bits, formats = (int.from_bytes(lists[at : at + 2 * count], "little") for at in (0, 2 * count))
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, count, bits), (259, 3, 1, 1)]
    tags += [(262, 3, 1, photometric), (273, 4, 1, 8), (277, 3, 1, count), (278, 4, 1, height)]
    tags += [(279, 4, 1, len(data)), *extra, (339, 3, count, formats)]
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\0" + struct.pack("<I", 8 + len(data) + len(lists)) + data + lists + directory + bytes(4)


@pytest.mark.parametrize("kind", ["float16", "float32"])
def test_float_tiff_is_read_from_0_to_1_and_that_is_said(
    kind: str, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    pytest.importorskip("pyvips", reason="pip install 'fast-nst[huge]'")
    nothing = np.nan if kind == "float32" else -0.5  # libvips does not know the half one
    values = np.array([[[0.8, 0.4, 0.2], [-1.0, 7.0, nothing]]]).astype(kind)
    (tmp_path / "a.tif").write_bytes(float_tiff(values))
    picture = decode_picture(tmp_path / "a.tif")
    assert picture.pixels.tolist() == [[[204, 102, 51], [0, 255, 0]]]
    assert picture.format == "TIFF"
    [said] = [record.message for record in caplog.records if record.name == "fast_nst"]
    assert "a.tif" in said
    assert "float RGB" in said


@pytest.mark.parametrize("big", [False, True])
def test_float_tiff_is_read_however_large_a_file_its_header_allows(tmp_path: Path, big: bool) -> None:
    vips = pytest.importorskip("pyvips", reason="pip install 'fast-nst[huge]'")
    values = np.array([[[0.8, 0.4, 0.2]]], np.float32)
    image = vips.Image.new_from_array(values).copy(interpretation="rgb")
    image.tiffsave(str(tmp_path / "a.tif"), bigtiff=big)
    assert (tmp_path / "a.tif").read_bytes()[2] == (43 if big else 42)
    assert decode_picture(tmp_path / "a.tif").pixels.tolist() == [[[204, 102, 51]]]


def test_a_kind_of_tiff_that_is_not_read_is_named() -> None:
    pytest.importorskip("pyvips", reason="pip install 'fast-nst[huge]'")
    assert reason(float_tiff(np.zeros((2, 2, 3)))) == "a TIFF of 64-bit float RGB is not read; convert it"


def test_gray_of_sixteen_bits_with_alpha_is_read() -> None:
    pytest.importorskip("pyvips", reason="pip install 'fast-nst[huge]'")
    values = np.array([[[257 * 100, 65535], [257 * 100, 0]]], np.uint16)
    picture = decode_picture(float_tiff(values, photometric=1), alpha="keep")
    assert picture.pixels[0, 0].tolist() == [100, 100, 100]
    assert picture.opacity is not None
    assert picture.opacity.tolist() == [[255, 0]]


def test_premultiplied_floats_are_divided_by_their_alpha() -> None:
    pytest.importorskip("pyvips", reason="pip install 'fast-nst[huge]'")
    data = float_tiff(np.array([[[0.4, 0.2, 0.1, 0.5]]], np.float32)).replace(
        struct.pack("<HHII", 338, 3, 1, 2), struct.pack("<HHII", 338, 3, 1, 1)
    )
    assert decode_picture(data, alpha="keep").pixels.tolist() == [[[204, 102, 51]]]


def test_without_libvips_the_kind_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyvips", None)
    said = reason(float_tiff(np.zeros((2, 2, 3), np.float32)))
    assert said == "a TIFF of 32-bit float RGB: pip install 'fast-nst[huge]' to read it, or convert it"
