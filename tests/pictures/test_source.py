"""What files say of their colors besides profiles, and HDR, are seen as a viewer shows them."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from heif_files import heic, photograph
from made_pictures import saved
from PIL import Image, ImageCms, features

from fast_nst.pictures import decode_picture

SRGB, ADOBE = (200, 60, 60), (231, 57, 57)  # one color's codes as sRGB; what Adobe RGB means by them
P3 = (218, 41, 52)
needs_avif = pytest.mark.skipif(not features.check("avif"), reason="no AVIF")


def png(*chunks: tuple[bytes, bytes], pixels: np.ndarray | None = None) -> bytes:
    """A PNG file of these pixels, uint8 or uint16 [H, W, 3], with chunks in front of them."""
    if pixels is None:
        pixels = np.full((4, 4, 3), SRGB, np.uint8)
    height, width, _ = pixels.shape
    head = struct.pack(">IIBBBBB", width, height, 8 * pixels.itemsize, 2, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(row.dtype.newbyteorder(">")).tobytes() for row in pixels)
    every = [(b"IHDR", head), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in every
    )


def cicp(primaries: int, transfer: int, full: int = 1) -> tuple[bytes, bytes]:
    return b"cICP", bytes((primaries, transfer, 0, full))


def gamma(value: float) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">I", round(value * 100_000))


def chromaticities(*values: float) -> tuple[bytes, bytes]:
    return b"cHRM", struct.pack(">8I", *(round(value * 100_000) for value in values))


ADOBE_CHRM = chromaticities(0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
SRGB_CHRM = chromaticities(0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)


def color_of(data: bytes) -> list[int]:
    return decode_picture(data).pixels[1, 1].tolist()


def gray_of(data: bytes) -> int:
    red, green, blue = color_of(data)
    assert red == green == blue
    return red


def test_linear_light_in_a_png_is_brightened_as_browsers_do() -> None:
    dark = np.full((4, 4, 3), 55, np.uint8)
    assert gray_of(png(gamma(1.0), pixels=dark)) == pytest.approx(128, abs=1)
    assert gray_of(png(cicp(1, 8), pixels=dark)) == pytest.approx(128, abs=1)


def test_wide_gamut_told_by_numbers_is_converted() -> None:
    assert color_of(png(cicp(12, 13))) == pytest.approx(P3, abs=1)
    assert color_of(png(gamma(1 / 2.2), ADOBE_CHRM)) == pytest.approx(ADOBE, abs=2)


def test_what_is_srgb_comes_back_exactly() -> None:
    for chunks in (
        [cicp(1, 13)],
        [gamma(0.45455)],
        [gamma(0.45455), SRGB_CHRM],
        [gamma(0.45455), (b"sRGB", b"\0")],
    ):
        assert color_of(png(*chunks)) == list(SRGB)


def test_the_order_of_the_png_specification_decides() -> None:
    swapped = (b"iCCP", b"name\0\0" + zlib.compress(swapped_profile()))
    assert color_of(png(cicp(12, 13), swapped)) == pytest.approx(P3, abs=1)
    assert color_of(png(swapped, gamma(1.0))) == pytest.approx((60, 200, 60), abs=2)
    assert color_of(png((b"sRGB", b"\0"), gamma(1.0))) == list(SRGB)


@pytest.mark.parametrize(
    "chunk", [gamma(0.0), gamma(1e-5), chromaticities(*[0.0] * 8), chromaticities(*[0.3] * 8), cicp(99, 99)]
)
def test_numbers_that_make_no_colors_are_passed_over(chunk: tuple[bytes, bytes]) -> None:
    assert color_of(png(chunk)) == list(SRGB)


def test_range_of_television_is_stretched() -> None:
    pixels = np.array([[[16, 16, 16], [235, 235, 235], [126, 126, 126]]], np.uint8)
    stretched = decode_picture(png(cicp(1, 13, 0), pixels=pixels)).pixels[0, :, 0].tolist()
    assert stretched == [0, 255, pytest.approx(128, abs=1)]


def test_sixteen_bits_of_linear_light_do_not_band() -> None:
    """Of 8 bits the darkest step is 13 gray levels of sRGB."""
    codes = np.repeat(np.arange(0, 1024, 2, dtype=np.uint16)[None, :, None], 3, axis=2)
    shown = decode_picture(png(gamma(1.0), pixels=codes)).pixels[0, :, 0].astype(int)
    light = codes[0, :, 0] / 65535
    right = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055) * 255
    assert np.abs(shown - right).max() <= 1


def test_one_transparent_color_of_sixteen_bits_leaves_its_neighbor() -> None:
    pixels = np.array([[[1000, 2000, 3000], [1001, 2000, 3000]]], np.uint16)
    key = (b"tRNS", struct.pack(">3H", 1000, 2000, 3000))
    assert decode_picture(png(key, pixels=pixels)).pixels.tolist() == [[[255, 255, 255], [4, 8, 12]]]


# --- profiles ------------------------------------------------------------------------------------


def swapped_profile() -> bytes:
    """sRGB with red and green swapped, and still called sRGB."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, green = profile.index(b"rXYZ"), profile.index(b"gXYZ")
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(profile)


def test_a_profile_is_what_it_holds_not_what_it_is_called() -> None:
    data = saved(Image.new("RGB", (4, 4), SRGB), "PNG", icc_profile=swapped_profile())
    assert color_of(data) == pytest.approx((60, 200, 60), abs=2)


def test_gray_goes_through_a_profile_of_rgb() -> None:
    linear = bytearray(swapped_profile())
    for curve in (b"rTRC", b"gTRC", b"bTRC"):
        place = linear.index(curve)
        start = int.from_bytes(linear[place + 4 : place + 8], "big")
        linear[start : start + 12] = b"curv" + bytes(8)  # no entry: linear
    data = saved(Image.new("L", (4, 4), 55), "PNG", icc_profile=bytes(linear))
    assert gray_of(data) == pytest.approx(128, abs=2)


# --- EXIF ----------------------------------------------------------------------------------------


def exif_of(color_space: int, index: str | None) -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    exif[0x8769] = {0xA001: color_space}
    if index:
        exif[0x8769][0xA005] = {1: index}
    return exif


@pytest.mark.parametrize(
    ("kind", "color_space", "index"),
    [
        *(("JPEG", 0xFFFF, "R03"), ("WEBP", 0xFFFF, "R03"), ("PNG", 0xFFFF, "R03")),
        *(("JPEG", 2, None), ("TIFF", 2, None)),  # Pillow writes no index into a TIFF
    ],
)
def test_adobe_rgb_of_cameras_is_told_by_exif(kind: str, color_space: int, index: str | None) -> None:
    more = (
        {"quality": 100, "lossless": True} if kind == "WEBP" else {"quality": 100} if kind == "JPEG" else {}
    )
    data = saved(Image.new("RGB", (16, 16), SRGB), kind, exif=exif_of(color_space, index).tobytes(), **more)
    picture = decode_picture(data)
    assert picture.pixels[1, 1].tolist() == pytest.approx(ADOBE, abs=3)
    kept = Image.Exif()
    kept.load(picture.exif or b"")
    details = kept.get_ifd(0x8769)
    assert details.get(0xA001) == 1
    assert 0xA005 not in details


@pytest.mark.parametrize("gamma_tag", [None, 2.2])
def test_primaries_of_a_tiff_or_an_exif_block_count(gamma_tag: float | None) -> None:
    exif = exif_of(0xFFFF, None)
    exif[318], exif[319] = (0.3127, 0.3290), (0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
    if gamma_tag:
        exif[0x8769][0xA500] = gamma_tag
    for kind in ("JPEG", "TIFF"):
        more = {"quality": 100} if kind == "JPEG" else {}
        data = saved(Image.new("RGB", (16, 16), SRGB), kind, exif=exif.tobytes(), **more)
        assert color_of(data) == pytest.approx(ADOBE if gamma_tag else (230, 60, 60), abs=3)


def test_other_words_of_exif_change_nothing() -> None:
    for color_space, index in ((1, "R98"), (1, "R03"), (0xFFFF, "R98"), (0xFFFF, None)):
        data = saved(Image.new("RGB", (8, 8), SRGB), "PNG", exif=exif_of(color_space, index))
        assert color_of(data) == list(SRGB)


# --- AVIF, HEIF, TIFF, QOI -----------------------------------------------------------------------


def avif(primaries: int, transfer: int, pixels: np.ndarray | None = None) -> bytes:
    image = Image.new("RGB", (16, 16), SRGB) if pixels is None else Image.fromarray(pixels)
    data = saved(image, "AVIF", quality=100, subsampling="4:4:4")
    place = data.index(b"nclx") + 4
    return data[:place] + struct.pack(">HH", primaries, transfer) + data[place + 4 :]


@needs_avif
def test_wide_gamut_of_an_avif_is_converted() -> None:
    assert color_of(avif(12, 13)) == pytest.approx(P3, abs=2)
    assert color_of(avif(1, 13)) == pytest.approx(SRGB, abs=2)


def test_wide_gamut_of_a_heic_is_converted() -> None:
    pixels = np.full((64, 64, 3), SRGB, np.uint8)
    assert color_of(heic(pixels, nclx=(12, 13, 6, True))) == pytest.approx(P3, abs=4)
    assert color_of(heic(pixels, icc=swapped_profile())) == pytest.approx((60, 200, 60), abs=3)
    adobe = exif_of(0xFFFF, "R03").tobytes()
    assert color_of(heic(pixels, nclx=(2, 2, 6, True), exif=adobe)) == pytest.approx(ADOBE, abs=4)
    assert color_of(heic(pixels, nclx=(1, 13, 6, True), exif=adobe)) == pytest.approx(SRGB, abs=3)


def test_profile_of_a_jpeg_2000_is_obeyed() -> None:
    data = saved(Image.new("RGB", (16, 16), SRGB), "JPEG2000", irreversible=False)
    assert color_of(data) == list(SRGB)
    place = data.index(b"colr") - 4
    length = int.from_bytes(data[place : place + 4], "big")
    content = b"colr\2\0\0" + swapped_profile()
    box = struct.pack(">I", 4 + len(content)) + content
    header = data.index(b"jp2h") - 4
    size = int.from_bytes(data[header : header + 4], "big") + len(box) - length
    data = data[:header] + struct.pack(">I", size) + data[header + 4 : place] + box + data[place + length :]
    assert color_of(data) == pytest.approx((60, 200, 60), abs=2)


def bmp(color_space: bytes, told: bytes = bytes(48), profile: bytes = b"") -> bytes:
    """A BITMAPV5HEADER and a row of four pixels."""
    rows = bytes(SRGB[::-1]) * 4 * 4
    head = struct.pack("<IiiHHIIiiII", 124, 4, 4, 1, 24, 0, len(rows), 0, 0, 0, 0) + bytes(16)
    head += color_space + told + struct.pack("<IIII", 4, 124 + len(rows), len(profile), 0)
    return struct.pack("<2sIII", b"BM", 14 + 124 + len(rows) + len(profile), 0, 138) + head + rows + profile


def test_color_of_a_bmp_is_obeyed() -> None:
    assert color_of(bmp(b"BGRs")) == list(SRGB)
    assert color_of(bmp(b"DEBM", profile=swapped_profile())) == pytest.approx((60, 200, 60), abs=2)
    assert color_of(bmp(bytes(4))) == list(SRGB)
    primaries = (0.5767, 0.2973, 0.0270, 0.1856, 0.6274, 0.0707, 0.1882, 0.0753, 0.9911)  # Adobe RGB's
    numbers = [round(value * 2**30) for value in primaries]
    told = struct.pack("<9i3I", *numbers, *[round(2.2 * 65536)] * 3)
    assert color_of(bmp(bytes(4), told)) == pytest.approx(ADOBE, abs=2)


def test_white_is_zero_at_sixteen_bits() -> None:
    for bits, white_is_zero in ((8, True), (8, False), (16, True), (16, False)):
        dark = (1 << bits) // 8
        value = (1 << bits) - 1 - dark if white_is_zero else dark
        rows = struct.pack("<H" if bits == 16 else "<B", value) * 64
        tags = [(256, 8), (257, 8), (258, bits), (259, 1), (262, int(not white_is_zero))]
        tags += [(273, 8), (277, 1), (278, 8), (279, len(rows))]
        directory = b"".join(struct.pack("<HHII", tag, 4, 1, number) for tag, number in tags)
        head = b"II*\0" + struct.pack("<I", 8 + len(rows))
        data = head + rows + struct.pack("<H", len(tags)) + directory + bytes(4)
        assert gray_of(data) == pytest.approx(32, abs=1)


# --- HDR -----------------------------------------------------------------------------------------


def pq(light: float) -> float:
    """SMPTE ST 2084, from cd/m2 to a value from 0 to 1."""
    power = (light / 10_000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


def pq_gray(*light: float) -> np.ndarray:
    codes = [round(pq(one) * 65535) for one in light]
    return np.repeat(np.array(codes, np.uint16).reshape(1, -1, 1), 3, axis=2).repeat(64, 0).repeat(16, 1)


def shown(data: bytes) -> list[int]:
    return decode_picture(data).pixels[32, 8::16, 1].tolist()


def test_hdr_within_paper_white_keeps_its_light() -> None:
    """BT.2408: paper white is 203 cd/m2; half of that light is 188 in sRGB."""
    assert shown(png(cicp(9, 16), pixels=pq_gray(203, 101.5, 20.3, 0))) == pytest.approx(
        [255, 188, 89, 0], abs=1
    )


def test_highlights_of_hdr_are_rolled_off_and_the_middle_stays() -> None:
    light = (10, 40, 100, 203, 400, 1000)
    for data in (png(cicp(9, 16), pixels=pq_gray(*light)), heic(pq_gray(*light), nclx=(9, 16, 9, True))):
        ten, forty, hundred, white, bright, brightest = shown(data)
        assert ten == pytest.approx(63, abs=2)
        assert forty == pytest.approx(123, abs=3)
        assert 170 < hundred <= 188
        assert 200 < white < 240 < bright < brightest
        assert brightest >= 253


def test_hlg_is_shown_as_on_a_display_of_its_reference() -> None:
    """BT.2408: paper white is 75 % of the signal, a gray card 38 %: 26 cd/m2."""
    codes = np.array([0, 0.38, 0.75, 1.0]) * 65535
    pixels = np.repeat(codes.astype(np.uint16).reshape(1, -1, 1), 3, axis=2).repeat(64, 0).repeat(16, 1)
    for data in (png(cicp(9, 18), pixels=pixels), heic(pixels, nclx=(9, 18, 9, False))):
        black, card, white, brightest = shown(data)
        assert black <= 1
        assert card == pytest.approx(101, abs=4)
        assert 200 < white < 240
        assert brightest >= 253


@needs_avif
def test_hdr_avif_is_tone_mapped_too() -> None:
    codes = (pq_gray(20.3, 100, 1000) >> 8).astype(np.uint8)
    dark, middle, bright = shown(avif(9, 16, codes))
    assert dark == pytest.approx(89, abs=4)
    assert 165 < middle < 190
    assert bright >= 250


def test_hdr_keeps_hues_and_its_result_says_srgb() -> None:
    orange = np.array([pq(800), pq(300), pq(50)]) * 65535
    pixels = np.broadcast_to(orange.astype(np.uint16), (8, 8, 3))
    red, green, blue = color_of(png(cicp(1, 16), pixels=np.ascontiguousarray(pixels)))
    assert red == 255
    assert red > green > blue > 0


def test_sdr_photograph_through_hdr_codes_is_itself() -> None:
    """Up to paper white, the way through BT.2020 and PQ and back changes nothing."""
    pixels = photograph(32, 48)
    light = np.where(pixels <= 10, pixels / 255 / 12.92, ((pixels / 255 + 0.055) / 1.055) ** 2.4)
    to_2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
    power = ((light @ to_2020.T) * 203 / 10_000) ** 0.1593017578125
    codes = ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375 * 65535
    back = decode_picture(png(cicp(9, 16), pixels=np.rint(codes).astype(np.uint16))).pixels
    assert np.abs(back.astype(int) - pixels).max() <= 2


def test_a_qoi_file_is_srgb_whatever_its_header_says() -> None:
    """Its byte for the color space is informative only, by the format's specification."""
    for told in (0, 1):
        data = bytearray(saved(Image.new("RGB", (4, 4), SRGB), "QOI"))
        data[13] = told
        assert color_of(bytes(data)) == list(SRGB)
