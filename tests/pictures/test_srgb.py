"""Every mode, alpha, bit depth and color profile a picture may come in."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_pictures import noise, saved, smooth
from PIL import Image, ImageCms

from fast_nst.pictures import decode_picture


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from(["1", "L", "LA", "P", "PA", "RGB"]))
@settings(max_examples=60, deadline=None)
def test_every_mode_and_size_gives_uint8_rgb_of_that_size(h: int, w: int, mode: str) -> None:
    image = Image.fromarray(noise(h, w)).convert("P" if mode == "PA" else mode).convert(mode)
    pixels = decode_picture(image).pixels
    assert pixels.shape == (h, w, 3)
    assert pixels.dtype == np.uint8
    assert pixels.flags.writeable


@pytest.mark.parametrize("mode", ["RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV", "LAB", "F", "I"])
def test_unusual_modes_are_not_refused(mode: str) -> None:
    source = Image.fromarray(smooth()).convert("RGB")
    if mode == "LAB":
        lab = ImageCms.createProfile("LAB")
        image = ImageCms.profileToProfile(source, ImageCms.createProfile("sRGB"), lab, outputMode=mode)
    else:
        image = source.convert("RGBA").convert(mode) if mode == "RGBa" else source.convert(mode)
    pixels = decode_picture(image).pixels
    if mode in ("F", "I"):
        assert pixels.shape == (40, 60, 3)
    else:
        assert np.abs(pixels.astype(int) - smooth()).mean() < 5


def test_transparent_pixels_are_white_not_black() -> None:
    rgba = np.zeros((2, 2, 4), np.uint8)
    rgba[0, 0] = (255, 0, 0, 255)
    rgba[0, 1] = (0, 0, 0, 128)
    pixels = decode_picture(saved(Image.fromarray(rgba, "RGBA"))).pixels
    assert pixels[1, 1].tolist() == [255, 255, 255]
    assert pixels[0, 0].tolist() == [255, 0, 0]
    assert pixels[0, 1].tolist() == [127, 127, 127]


def test_transparent_palette_entry_is_white() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putdata([0, 1])
    pixels = decode_picture(saved(image, transparency=0)).pixels
    assert pixels.tolist() == [[[255, 255, 255], [40, 50, 60]]]


def test_gray_with_alpha_is_composed_over_white() -> None:
    image = Image.fromarray(np.array([[[100, 255], [100, 0]]], np.uint8), "LA")
    assert decode_picture(saved(image)).pixels[0, :, 0].tolist() == [100, 255]


def test_16_bit_gray_is_scaled_not_clipped() -> None:
    values = np.array([[0, 257 * 100, 257 * 200, 65535]], np.uint16)
    for data in (saved(Image.fromarray(values)), saved(Image.fromarray(values), "TIFF")):
        assert decode_picture(data).pixels[0, :, 1].tolist() == [0, 100, 200, 255]


def test_big_endian_16_bit_tiff_is_scaled() -> None:
    image = Image.frombytes("I;16B", (2, 1), np.array([257 * 3, 65535], ">u2").tobytes())
    assert decode_picture(image).pixels[0, :, 0].tolist() == [3, 255]


def test_32_bit_gray_beyond_16_bits_keeps_its_extremes() -> None:
    image = Image.fromarray(np.array([[-1000, 0, 100_000]], np.int32))
    assert decode_picture(saved(image, "TIFF")).pixels[0, :, 0].tolist() == [0, 3, 255]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255]),
        ([0.0, 100.0, 255.0], [0, 100, 255]),
        ([-1.0, 0.0, 1.0], [0, 0, 255]),
        ([0.25, 0.5, 1.5], [64, 128, 255]),
        ([-0.01, 0.5, 0.25], [0, 128, 64]),
        ([30.0, 100.0, 3e6], [30, 100, 255]),
        ([-1000.0, 1000.0, 3000.0], [0, 128, 255]),
        ([np.nan, 0.25, np.inf], [0, 64, 255]),
        ([np.nan, np.nan, np.nan], [0, 0, 0]),
        ([1e30, 1e30, 1e30], [0, 0, 0]),
    ],
)
def test_float_gray_is_read_by_most_of_it(values: list[float], expected: list[int]) -> None:
    image = Image.fromarray(np.array([values], np.float32))
    assert decode_picture(image).pixels[0, :, 0].tolist() == expected


def test_float_gray_that_is_clipped_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name, values in (("plain.tif", [0.0, 0.5, 1.0]), ("beyond.tif", [0.25, 0.5, 1.5])):
        Image.fromarray(np.array([values], np.float32)).save(tmp_path / name)
        decode_picture(tmp_path / name)
    said = [record.message for record in caplog.records if record.name == "fast_nst"]
    path = tmp_path / "beyond.tif"
    assert said == [f"{path}: float gray, read as 0 (black) to 1 (white), what is beyond clipped"]


def swapped_profile() -> bytes:
    """A profile with red and green swapped stands for any that is not sRGB."""
    swapped = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    tags = int.from_bytes(swapped[128:132], "big")
    for index in range(132, 132 + 12 * tags, 12):
        name = bytes(swapped[index : index + 4])
        if name in (b"rXYZ", b"gXYZ"):
            swapped[index : index + 4] = {b"rXYZ": b"gXYZ", b"gXYZ": b"rXYZ"}[name]
    return bytes(swapped).replace("sRGB".encode("utf-16-be"), "Swap".encode("utf-16-be"))


def test_wide_gamut_profile_is_converted_to_srgb() -> None:
    red = Image.new("RGB", (4, 4), (255, 0, 0))
    pixels = decode_picture(saved(red, icc_profile=swapped_profile())).pixels
    assert np.abs(pixels[0, 0].astype(int) - (0, 255, 0)).max() <= 2


def test_a_profile_counts_for_sixteen_bits_with_a_transparent_color() -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    row = b"\0" + struct.pack(">6H", 60_000, 10_000, 257, 1, 2, 3)
    data = b"".join(
        [
            b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)),
            chunk(b"iCCP", b"icc\0\0" + zlib.compress(swapped_profile())),
            chunk(b"tRNS", struct.pack(">3H", 1, 2, 3)) + chunk(b"IDAT", zlib.compress(row)),
            chunk(b"IEND", b""),
        ]
    )
    picture = decode_picture(data, alpha="keep")
    assert picture.opacity is not None
    assert picture.opacity.tolist() == [[255, 0]]
    assert np.abs(picture.pixels[0, 0].astype(int) - (39, 233, 1)).max() <= 2


@pytest.mark.parametrize("profile", [b"garbage", b"\0" * 200])
def test_unusable_profile_is_ignored(profile: bytes) -> None:
    data = saved(Image.fromarray(smooth()), icc_profile=profile)
    assert np.array_equal(decode_picture(data).pixels, smooth())


def test_profile_of_another_mode_is_ignored() -> None:
    srgb_v4 = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    gray = Image.fromarray(smooth()[..., 0])
    data = saved(gray, icc_profile=srgb_v4)
    assert np.array_equal(decode_picture(data).pixels[..., 2], smooth()[..., 0])


def test_cmyk_jpeg_keeps_its_colors() -> None:
    data = saved(Image.fromarray(smooth()).convert("CMYK"), "JPEG", quality=95)
    assert np.abs(decode_picture(data).pixels.astype(int) - smooth()).mean() < 4
