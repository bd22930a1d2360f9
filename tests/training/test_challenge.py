"""Stylized pictures in the distillation: which belong to which painting, and that they take part."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from fast_nst.errors import UserError
from fast_nst.training.challenge import Challenges


@pytest.fixture
def folders(tmp_path: Path) -> tuple[str, str]:
    """Paintings in full red and full blue; stylized pictures in their dark versions, one of them tiny."""
    styles, stylized = tmp_path / "styles", tmp_path / "stylized"
    styles.mkdir()
    for name, color in (("red", (255, 0, 0)), ("blue", (0, 0, 255))):
        Image.new("RGB", (300, 400), color).save(styles / f"{name}.png")
        (stylized / name).mkdir(parents=True)
        dark = tuple(value // 2 for value in color)
        for index, size in enumerate(((80, 60), (20, 30))):
            Image.new("RGB", size, dark).save(stylized / name / f"{index}.png")
    return str(stylized), str(styles)


def test_a_painting_comes_with_two_pictures_stylized_after_it(folders: tuple[str, str]) -> None:
    challenges = Challenges(*folders)
    seen = set()
    for step in range(12):
        crops = challenges.crops(32, (0, step))
        assert crops.shape == (3, 3, 32, 32)
        assert torch.equal(crops, challenges.crops(32, (0, step)))
        painting, *stylized = (int(crop.float().mean((1, 2)).argmax()) for crop in crops)
        assert all(channel == painting for channel in stylized)
        assert [int(crop.max()) for crop in crops] == [255, 127, 127]
        seen.add(painting)
    assert seen == {0, 2}


def test_stylized_pictures_without_their_painting_are_named(folders: tuple[str, str]) -> None:
    stylized, styles = folders
    (Path(styles) / "red.png").unlink()
    with pytest.raises(UserError, match="there is no painting red in --styles"):
        Challenges(stylized, styles)
    with pytest.raises(UserError, match="there is no painting blue"):
        Challenges(stylized, None)


def test_a_folder_of_stylized_pictures_without_any_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no folders"):
        Challenges(str(tmp_path), None)
