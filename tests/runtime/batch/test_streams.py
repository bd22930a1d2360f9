"""Pictures decoded to disk and encoded from it are those that Pillow makes in memory."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from fast_nst.data.builtin import make_picture
from fast_nst.errors import UserError
from fast_nst.pictures import UnreadablePicture, UnsuitableFormat, decode_picture
from fast_nst.runtime.batch.streams import PictureOnDisk, read_picture, write_picture
from fast_nst.runtime.scratch import Plane

pytest.importorskip("pyvips", reason="pip install 'fast-nst[huge]'")


def always(height: int, width: int) -> bool:
    return True


def photograph(height: int = 300, width: int = 211) -> np.ndarray:
    return make_picture(np.random.default_rng(0), max(height, width))[:height, :width]


def on_disk(pixels: np.ndarray) -> Plane:
    plane = Plane(pixels.shape, np.uint8)
    plane[:, :] = pixels
    return plane


# --- reading -------------------------------------------------------------------------------------


def wide_gamut() -> bytes:
    """A profile that is not sRGB: its red and green are swapped."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, green = profile.index(b"rXYZ"), profile.index(b"gXYZ")
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(profile).replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif"])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
@pytest.mark.parametrize("profile", [False, True])
def test_pixels_read_by_rows_are_pillows(tmp_path: Path, name: str, mode: str, profile: bool) -> None:
    if mode == "RGBA" and name == "a.jpg":
        pytest.skip("JPEG has no alpha")
    image = Image.fromarray(photograph()).convert(mode)
    if mode == "RGBA":
        image.putalpha(Image.fromarray(photograph()[..., 0]))
    more = {"icc_profile": wide_gamut()} if profile and mode != "L" else {}
    image.save(tmp_path / name, **more)
    picture = read_picture(tmp_path / name, always)
    assert isinstance(picture, PictureOnDisk)
    assert np.array_equal(picture.pixels[:, :], decode_picture(tmp_path / name).pixels)


@pytest.mark.parametrize("kind", ["turned", "palette", "wide gray", "wide color", "webp", "cmyk"])
def test_what_needs_more_than_rows_is_left_to_pillow(tmp_path: Path, kind: str) -> None:
    image, path = Image.fromarray(photograph()), tmp_path / "a.png"
    if kind == "turned":
        exif = Image.Exif()
        exif[0x0112] = 6
        image.save(path, exif=exif)
    elif kind == "palette":
        image.quantize(16).save(path)
    elif kind == "wide gray":
        Image.fromarray(photograph()[..., 0].astype(np.uint16) * 257).save(path)
    elif kind == "wide color":
        import pyvips

        pyvips.Image.new_from_array(photograph().astype(np.uint16) * 257).copy(
            interpretation="rgb16"
        ).pngsave(str(path))
    elif kind == "webp":
        image.save(path, "WEBP", lossless=True)
    else:
        path = tmp_path / "a.jpg"
        image.convert("CMYK").save(path)
    picture = read_picture(path, always)
    assert not isinstance(picture, PictureOnDisk)
    assert np.array_equal(picture.pixels, decode_picture(path).pixels)


def test_small_pictures_stay_in_memory(tmp_path: Path) -> None:
    Image.fromarray(photograph()).save(tmp_path / "a.png")
    asked = []

    def never(height: int, width: int) -> bool:
        asked.append((height, width))
        return False

    assert not isinstance(read_picture(tmp_path / "a.png", never), PictureOnDisk)
    assert asked == [(300, 211)]


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif"])
def test_cut_file_is_refused_as_from_memory(tmp_path: Path, name: str) -> None:
    Image.fromarray(photograph()).save(tmp_path / name)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(UnreadablePicture) as expected:
        decode_picture(tmp_path / name)
    with pytest.raises(UnreadablePicture) as got:
        read_picture(tmp_path / name, always)
    assert str(got.value) == str(expected.value)


def test_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    Image.new("RGB", (200, 100)).save(tmp_path / "a.png")
    with pytest.raises(UnreadablePicture, match="--max-pixels"):
        read_picture(tmp_path / "a.png", always, max_pixels=10_000)


def test_without_pyvips_pillow_does_it_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyvips", None)
    Image.fromarray(photograph()).save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png", always)
    assert not isinstance(picture, PictureOnDisk)
    write_picture(tmp_path / "b.png", on_disk(picture.pixels))
    assert np.array_equal(decode_picture(tmp_path / "b.png").pixels, photograph())


# --- writing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp"])
def test_written_from_disk_are_the_same_pixels(tmp_path: Path, name: str) -> None:
    @given(st.integers(1, 200), st.integers(1, 70))
    @settings(max_examples=10, deadline=None)
    def check(height: int, width: int) -> None:
        pixels = photograph(height, width)
        write_picture(tmp_path / name, on_disk(pixels))
        assert np.array_equal(decode_picture(tmp_path / name).pixels, pixels)

    check()


def test_formats_that_libvips_is_not_used_for_are_written_from_memory(tmp_path: Path) -> None:
    for name, pixels in (("memory.webp", photograph()), ("disk.webp", on_disk(photograph()))):
        write_picture(tmp_path / name, pixels)
    assert (tmp_path / "disk.webp").read_bytes() == (tmp_path / "memory.webp").read_bytes()


@pytest.mark.parametrize("quality", [60, 95])
def test_jpeg_from_disk_is_as_good_as_from_memory(tmp_path: Path, quality: int) -> None:
    write_picture(tmp_path / "memory.jpg", photograph(), quality=quality)
    write_picture(tmp_path / "disk.jpg", on_disk(photograph()), quality=quality)
    memory, disk = (decode_picture(tmp_path / f"{name}.jpg").pixels for name in ("memory", "disk"))
    errors = [np.abs(pixels.astype(int) - photograph()).mean() for pixels in (memory, disk)]
    assert errors[1] <= 1.1 * errors[0] + 0.05
    sizes = [(tmp_path / f"{name}.jpg").stat().st_size for name in ("memory", "disk")]
    assert sizes[1] < 1.2 * sizes[0]


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif"])
def test_profile_and_details_go_along(tmp_path: Path, name: str) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    write_picture(tmp_path / name, on_disk(photograph()), exif=exif.tobytes())
    with Image.open(tmp_path / name) as image:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
        assert "sRGB" in profile.profile.profile_description
        if name != "a.tif":  # libvips writes none there
            assert image.getexif()[0x010F].startswith("Camera")


def test_jpeg_too_wide_is_the_pictures_fault_and_a_missing_folder_is_not(tmp_path: Path) -> None:
    wide = Plane((1, 66_000, 3), np.uint8)
    with pytest.raises(UnsuitableFormat, match="66000x1 pixels do not go into JPEG"):
        write_picture(tmp_path / "a.jpg", wide)
    with pytest.raises(UserError, match="cannot write"):
        write_picture(tmp_path / "none" / "a.jpg", on_disk(photograph()))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif"])
def test_resolution_is_read_and_written_by_rows_too(tmp_path: Path, name: str) -> None:
    Image.fromarray(photograph()).save(tmp_path / name, dpi=(300, 150))
    picture = read_picture(tmp_path / name, always)
    assert isinstance(picture, PictureOnDisk)
    write_picture(tmp_path / f"b-{name}", picture.pixels, resolution=picture.resolution)
    assert decode_picture(tmp_path / f"b-{name}").resolution == pytest.approx((300, 150), abs=0.1)


def test_alpha_by_rows_is_that_of_memory(tmp_path: Path) -> None:
    image = Image.fromarray(np.dstack([photograph(), photograph()[..., 0]]))
    image.save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png", always, alpha="#405060")
    assert isinstance(picture, PictureOnDisk)
    expected = decode_picture(tmp_path / "a.png", alpha="#405060").pixels
    assert np.array_equal(picture.pixels[:, :], expected)
    kept = read_picture(tmp_path / "a.png", always, alpha="keep")
    assert kept.opacity is not None
    image.convert("RGB").save(tmp_path / "b.jpg")
    assert isinstance(read_picture(tmp_path / "b.jpg", always, alpha="keep"), PictureOnDisk)


def test_color_told_without_a_profile_counts_by_rows_too(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x8769] = {0xA001: 2}  # Adobe RGB
    Image.fromarray(photograph()).save(tmp_path / "a.jpg", exif=exif, quality=95)
    picture = read_picture(tmp_path / "a.jpg", always)
    assert isinstance(picture, PictureOnDisk)
    assert np.array_equal(picture.pixels[:, :], decode_picture(tmp_path / "a.jpg").pixels)
    assert np.abs(picture.pixels[:, :].astype(int) - photograph()).mean() > 3
