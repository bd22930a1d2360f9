"""`fast-nst sheet`: which styles are on it, in which order, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from generated_clips import corners
from PIL import Image

from fast_nst import Stylizer
from fast_nst.cli import main
from fast_nst.contract import read_styles
from fast_nst.pictures import encode_picture
from fast_nst.runtime.graph import read_metadata
from fast_nst.shipped import list_models

HEIGHT, WIDTH = 48, 200  # wide enough for every name


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    encode_picture(tmp_path / "photo.png", corners(HEIGHT, WIDTH))
    return tmp_path / "photo.png"


def sheet(photo: Path, columns: int, *more: object) -> list[np.ndarray]:
    """The pictures on it, row by row, each found by the white between them."""
    target = photo.with_name("sheet.png")
    arguments = ["sheet", photo, "--output", target, "--threads", "1", "--columns", columns, *more]
    assert main([*map(str, arguments)]) == 0
    pixels = np.asarray(Image.open(target))
    wide = pixels.shape[1] // columns
    high = next(high for high in range(HEIGHT + 12, 2 * HEIGHT) if pixels.shape[0] % high == 0)
    cells = [
        pixels[top : top + high, left : left + wide]
        for top in range(0, pixels.shape[0], high)
        for left in range(0, pixels.shape[1], wide)
    ]
    margin = (wide - WIDTH) // 2
    return [cell[4 : 4 + HEIGHT, margin : margin + WIDTH] for cell in cells]


def test_every_shipped_style_is_on_it(photo: Path) -> None:
    shown = sheet(photo, 1)
    styles = [style.name for style in read_styles(read_metadata(list_models()["gallery"]))]
    assert len(shown) == 1 + len(styles)  # strokes once, though it has a file of its own
    assert np.array_equal(shown[0], corners(HEIGHT, WIDTH))
    for name, painted in list(zip(styles, shown[1:], strict=True))[::7]:
        assert np.array_equal(painted, Stylizer(name, threads=1)(corners(HEIGHT, WIDTH)))


def test_the_styles_of_files_of_ones_own(photo: Path, gallery_model: Path, tiny_model: Path) -> None:
    original, *shown, blank = sheet(photo, 3, "--model", f"{gallery_model}, {tiny_model}")
    stylizer = Stylizer(gallery_model, threads=1)
    expected = [stylizer(original, style=style) for style in ("waves", "scream", "udnie")]
    assert np.array_equal(shown, [*expected, 255 - original])
    assert (blank == 255).all()
    one = sheet(photo, 2, "--model", f"{gallery_model}:scream")
    assert np.array_equal(one, [original, expected[1]])


def test_pictures_are_made_smaller_but_never_larger(photo: Path, tiny_model: Path) -> None:
    target = photo.with_name("small.jpg")
    sizes = []
    for size in (100, 200, 1000):
        assert main(["sheet", str(photo), "--model", str(tiny_model), f"--size={size}", f"-o={target}"]) == 0
        sizes.append(Image.open(target).size)
    assert sizes[0][0] < sizes[1][0]
    assert sizes[1] == sizes[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{photo}", "{photo}"], "sheet takes one picture"),
        (["{photo}", "--output", "{photo}"], "would overwrite the picture"),
        (["{photo}", "--output", "sheet.mp4"], "--output sheet.mp4: cannot write the picture format"),
        (["{photo}", "--model", "nowhere"], "nowhere"),
        (["{photo}", "--size", "0"], "--size must be at least 1"),
        (["nowhere.jpg"], "nowhere.jpg: no such file"),
    ],
)
def test_mistakes_are_one_line(
    photo: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sheet", *(argument.format(photo=photo) for argument in arguments)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert [path.name for path in photo.parent.iterdir()] == ["photo.png"]
