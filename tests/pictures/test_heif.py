"""HEIC and HEIF: tiles, turns, crops, and what is said where one cannot be read."""

from __future__ import annotations

import struct
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from heif_files import heic, photograph
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fast_nst.pictures import Picture, UnreadablePicture, decode_picture, looks_like_picture
from fast_nst.pictures.srgb import srgb_profile


def close(data: bytes, pixels: np.ndarray) -> bool:
    decoded = decode_picture(data).pixels
    return decoded.shape == pixels.shape and np.abs(decoded.astype(int) - pixels).mean() < 2


@pytest.mark.parametrize("brand", [b"heic", b"heix", b"mif1", b"msf1"])
def test_a_phones_photograph_is_read_whatever_its_name(tmp_path: Path, brand: bytes) -> None:
    data = heic(photograph(), brand=brand)
    assert looks_like_picture(data[:16])
    for name in ("IMG_1.HEIC", "IMG_2.jpg", "DSC3.HIF"):
        (tmp_path / name).write_bytes(data)
        picture = decode_picture(tmp_path / name)
        assert picture.format == "HEIF"
        assert np.abs(picture.pixels.astype(int) - photograph()).mean() < 2


@pytest.mark.parametrize("size", [(96, 128), (97, 131), (64, 64)])
def test_tiles_are_put_together(size: tuple[int, int]) -> None:
    assert close(heic(photograph(*size), tile=64), photograph(*size))


def test_range_and_matrix_are_the_files() -> None:
    for nclx in ((1, 13, 6, True), (1, 13, 1, False), (1, 13, 5, False), (9, 13, 9, True)):
        data = heic(photograph(), nclx=(1, *nclx[1:]))
        assert close(data, photograph())


@pytest.mark.parametrize("icc", [None, srgb_profile()])
def test_a_file_that_says_nothing_of_its_range_is_of_full_range(icc: bytes | None) -> None:
    pixels = np.full((64, 64, 3), (200, 60, 60), np.uint8)
    decoded = decode_picture(heic(pixels, nclx=None, icc=icc)).pixels
    assert np.abs(decoded.astype(int) - pixels).max() <= 2


def test_turned_mirrored_and_cropped_as_the_file_says() -> None:
    pixels = photograph()
    crop = (b"clap", struct.pack(">IIIIiIiI", 100, 1, 60, 1, 4, 1, -8, 1))
    turn, mirror, flip = (b"irot", b"\1"), (b"imir", b"\1"), (b"imir", b"\0")
    cropped = pixels[10:70, 18:118]
    for turns, expected in (
        ([turn], np.rot90(pixels)),
        ([mirror], pixels[:, ::-1]),
        ([flip], pixels[::-1]),
        ([turn, mirror], np.rot90(pixels)[:, ::-1]),
        ([crop], cropped),
        ([crop, (b"irot", b"\3")], np.rot90(cropped, 3)),
    ):
        assert close(heic(pixels, turns=turns), expected)


def test_orientation_of_exif_is_not_applied_a_second_time() -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x011A] = 8, "Camera", 300.0
    data = heic(photograph(), turns=[(b"irot", b"\1")], exif=exif.tobytes())
    picture = decode_picture(data)
    assert picture.pixels.shape == (128, 96, 3)
    assert picture.resolution == (300, 300)
    kept = Image.Exif()
    kept.load(picture.exif or b"")
    assert kept[0x010F] == "Camera"


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_broken_exif_does_not_cost_the_picture() -> None:
    data = heic(photograph(), exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff garbage")
    assert close(data, photograph())
    assert decode_picture(data.replace(b"Exif", b"hvc1")).exif is None


def test_what_is_not_read_names_the_package_that_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("pillow_heif", "pillow_jxl"):
        monkeypatch.setitem(sys.modules, package, None)
    data = heic(photograph()).replace(b"hvc1", b"unci")
    with pytest.raises(UnreadablePicture, match=r"HEIC/HEIF .*'unci'.*pip install pillow-heif"):
        decode_picture(data)
    (tmp_path / "a.jxl").write_bytes(b"\xff\x0a" + bytes(40))
    with pytest.raises(UnreadablePicture, match=r"JPEG XL .*pip install pillow-jxl-plugin"):
        decode_picture(tmp_path / "a.jxl")


def test_limit_of_pixels_counts_before_anything_is_decoded() -> None:
    with pytest.raises(UnreadablePicture, match="--max-pixels"):
        decode_picture(heic(photograph()), max_pixels=96 * 128 - 1)
    claims_little = heic(photograph(640, 640)).replace(
        struct.pack(">II", 640, 640), struct.pack(">II", 64, 64), 1
    )
    with pytest.raises(UnreadablePicture, match="corrupt HEIF file"):
        decode_picture(claims_little)


def test_cut_file_is_refused() -> None:
    data = heic(photograph(), tile=64)
    for part in (0.02, 0.1, 0.5, 0.95):
        with pytest.raises(UnreadablePicture):
            decode_picture(data[: int(len(data) * part)])


SAMPLES = [heic(photograph(64, 64)), heic(photograph(96, 64), tile=64, opacity=photograph(96, 64)[..., 0])]


@given(st.data(), st.sampled_from(SAMPLES))
@settings(max_examples=150, deadline=None)
def test_flipped_bytes_never_raise_another_error(data: st.DataObject, sample: bytes) -> None:
    raw = bytearray(sample)
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, 900))] = data.draw(st.integers(0, 255))
    with suppress(UnreadablePicture):
        assert isinstance(decode_picture(bytes(raw)), Picture)
