"""Transparency: kept, or laid over a color; edges without a fringe of what is hidden."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from heif_files import heic, photograph
from made_pictures import saved
from PIL import Image, features

from fast_nst.errors import UserError
from fast_nst.pictures import UnsuitableFormat, decode_picture, encode_picture, resize_longer_side

AVIF = pytest.param("avif", marks=pytest.mark.skipif(not features.check("avif"), reason="no AVIF"))


def disc(hidden: tuple[int, int, int] = (255, 0, 255)) -> Image.Image:
    """A green disc with a soft edge, and a loud color where nothing is seen."""
    y, x = np.mgrid[:80, :100]
    alpha = np.clip((30 - np.hypot(y - 40, x - 50)) * 64, 0, 255).astype(np.uint8)
    pixels = np.where(alpha[..., None] > 0, np.array([20, 160, 40]), np.array(hidden)).astype(np.uint8)
    return Image.fromarray(np.dstack([pixels, alpha]))


@pytest.mark.parametrize("suffix", ["png", "webp", "tiff", AVIF])
def test_alpha_is_kept_in_formats_that_carry_it(tmp_path: Path, suffix: str) -> None:
    picture = decode_picture(saved(disc()), alpha="keep")
    assert picture.opacity is not None
    encode_picture(tmp_path / f"a.{suffix}", picture.pixels, opacity=picture.opacity)
    back = decode_picture(tmp_path / f"a.{suffix}", alpha="keep")
    assert back.opacity is not None
    alpha = np.asarray(disc())[..., 3]
    assert np.abs(back.opacity.astype(int) - alpha).max() <= (6 if suffix == "avif" else 0)


def test_nothing_hidden_and_no_ground_fringes_the_edge() -> None:
    """What is hidden has the colors around it, also after the picture is made smaller."""
    picture = decode_picture(saved(disc()), alpha="keep")
    for size in (None, 33):
        pixels, opacity = (resize_longer_side(part, size) for part in (picture.pixels, picture.opacity))
        assert np.abs(pixels.astype(int) - (20, 160, 40)).max() <= 2
        assert opacity.min() == 0


def test_what_is_seen_keeps_its_colors_exactly() -> None:
    source = np.dstack([photograph(61, 43), photograph(61, 43, seed=1)[..., 0]])
    picture = decode_picture(saved(Image.fromarray(source)), alpha="keep")
    seen = source[..., 3] > 0
    assert np.array_equal(picture.pixels[seen], source[..., :3][seen])
    assert np.array_equal(picture.opacity, source[..., 3])


def test_ground_is_white_or_the_color_asked_for() -> None:
    image = Image.new("RGBA", (2, 2), (0, 0, 0, 0))
    for alpha, color in (("white", [255] * 3), ("#102030", [16, 32, 48]), ("skyblue", [135, 206, 235])):
        picture = decode_picture(saved(image), alpha=alpha)
        assert picture.pixels[0, 0].tolist() == color
        assert picture.opacity is None
    for wrong in ("", "blak", "#12"):
        with pytest.raises(UserError, match="--alpha must be keep, white or a color"):
            decode_picture(saved(image), alpha=wrong)


def test_a_picture_without_transparency_has_no_opacity() -> None:
    for image in (Image.new("RGB", (3, 3)), Image.new("RGBA", (3, 3), (1, 2, 3, 255))):
        assert decode_picture(saved(image), alpha="keep").opacity is None
    assert decode_picture(saved(Image.new("RGBA", (3, 2))), alpha="keep").pixels.shape == (2, 3, 3)


@pytest.mark.parametrize("mode", ["palette", "LA", "1", "key", "wide gray", "turned"])
def test_every_way_to_say_transparent_is_kept(mode: str) -> None:
    gray = np.array([[0, 255, 0], [255, 255, 255]], np.uint8)  # 0 is hidden
    image, more = Image.fromarray(gray), {"transparency": 0}
    if mode == "palette":
        image = image.quantize(2)
        more = {"transparency": image.getpixel((0, 0))}
    elif mode == "LA":
        image, more = Image.fromarray(np.dstack([gray, gray])), {}
    elif mode == "1":
        image = image.convert("1")
    elif mode == "key":
        image, more = image.convert("RGB"), {"transparency": (0, 0, 0)}
    elif mode == "wide gray":
        image = Image.fromarray(gray.astype(np.uint16) * 257)
    elif mode == "turned":
        exif = Image.Exif()
        exif[0x0112] = 6
        image, more = Image.fromarray(np.dstack([gray, gray])), {"exif": exif.tobytes()}
    picture = decode_picture(saved(image, **more), alpha="keep")
    expected = np.rot90(gray, -1) if mode == "turned" else gray
    assert picture.opacity is not None
    assert np.array_equal(picture.opacity, expected)


def test_gray_of_sixteen_bits_hides_only_the_value_it_names() -> None:
    values = np.array([[1000, 1001, 65535]], np.uint16)
    data = saved(Image.fromarray(values), transparency=1000)
    assert decode_picture(data).pixels[0, :, 0].tolist() == [255, 4, 255]


def test_alpha_of_a_heic_is_kept() -> None:
    opacity = photograph(seed=3)[..., 0]
    picture = decode_picture(heic(photograph(), opacity=opacity), alpha="keep")
    assert picture.opacity is not None
    assert np.abs(picture.opacity.astype(int) - opacity).mean() < 2


@pytest.mark.parametrize("suffix", ["jpg", "bmp"])
def test_a_format_without_alpha_is_named(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(UnsuitableFormat, match=r"carries no transparency; choose --format png"):
        encode_picture(tmp_path / f"a.{suffix}", photograph(), opacity=photograph()[..., 0])
    assert list(tmp_path.iterdir()) == []
