"""The scripts around the gallery: recipes, contact sheet, comparison of networks, doubled networks."""

from __future__ import annotations

import importlib
import os
import runpy
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from fast_nst.errors import UserError
from fast_nst.networks.transform import TransformConfig, TransformNetwork

ROOT = Path(__file__).parents[1]


@pytest.fixture
def gallery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """scripts/gallery.py, in an empty folder."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    monkeypatch.chdir(tmp_path)
    return importlib.import_module("gallery")


def call(script: ModuleType, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", [script.__name__, *arguments])
    script.main()


def test_the_recipes_in_the_repository_are_those_of_the_script(
    gallery: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    call(gallery, monkeypatch, "recipes")
    written, kept = (
        {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
        for folder in (Path("configs/gallery"), ROOT / "configs/gallery")
    )
    assert written == kept


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["recipes", "--steps", "3"], "recipes knows no --steps"),
        (["publish", "--heldout", "x", "--steps", "3"], "publish knows no --steps"),
        (["publish"], "runs/gallery holds no trained network"),
        (["train", "--steps", "3"], "the training of strokes-fast ended with code 2"),  # without recipes
    ],
)
def test_what_the_gallery_is_told_wrong_is_a_user_error(
    gallery: ModuleType, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    """Unknown options were ignored; a training that failed ended in a traceback."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    with pytest.raises(UserError, match=words):
        call(gallery, monkeypatch, *arguments)


def test_a_missing_painting_is_told_before_anything_is_published(
    gallery: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Path("runs/gallery/udnie-fast")
    run.mkdir(parents=True)
    (run / "model.onnx").touch()
    with pytest.raises(UserError, match=r"there is no styles.udnie\.jpg"):
        call(gallery, monkeypatch, "publish")
    assert not Path("checkpoints").exists()


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (5, 1), (6, 2)])
def test_a_contact_sheet_of_any_number_of_styles(
    count: int, rows: int, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fewer than five styles were a ValueError, and of six the last was lost."""
    from skimage import data

    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    from gallery_cards import contact_sheet

    names = [f"style {index}" for index in range(count)]
    sheet = contact_sheet(dict.fromkeys(names, "strokes"), dict.fromkeys(names, tiny_model))
    assert sheet.shape == (300 * rows, 1500, 3)
    cells = [
        sheet[at : at + 300, left : left + 300]
        for at in range(0, 300 * rows, 300)
        for left in range(0, 1500, 300)
    ]
    negative = 255 - data.chelsea()[100:, 60:360]  # below the style picture in the corner
    assert all(np.array_equal(cell[100:], negative) for cell in cells[:count])
    assert all((cell == 255).all() for cell in cells[count:])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{model}", "--style", "nowhere.jpg", "--content", "{photographs}"], "nowhere.jpg"),
        (["{model}", "--style", "strokes", "--content", "nowhere"], "--content nowhere is not a folder"),
        (["{model}", "--style", "strokes", "--content", "{empty}"], "holds no pictures"),
        (["{model}", "{model}", "--style", "strokes", "--content", "{photographs}"], "named twice"),
        (["nowhere", "--style", "strokes", "--content", "{photographs}"], "nowhere"),
        (["{model}", "--style", "strokes", "--content", "{photographs}", "--sizes", "big"], "'big'"),
    ],
)
def test_the_frontier_finds_bad_input_before_it_measures(
    arguments: list[str],
    words: str,
    tiny_model: Path,
    photographs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Style and content were looked at only after all rounds of the benchmark."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import frontier

    monkeypatch.setattr(frontier, "benchmark", lambda *_: pytest.fail("measured before it looked"))
    names = {"model": tiny_model, "photographs": photographs, "empty": tmp_path}
    with pytest.raises(UserError, match=words):
        call(frontier, monkeypatch, *(argument.format(**names) for argument in arguments))


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("gallery.py", ["publish"]),
        ("frontier.py", ["x", "--style", "x", "--content", "x"]),
        ("experiments/widen.py", ["x", "y"]),
    ],
)
def test_a_user_error_is_one_line(
    script: str,
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [script, *arguments])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(ROOT / "scripts" / script), run_name="__main__")
    assert end.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith(f"{Path(script).stem}: ")
    assert len(told.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "config",
    [TransformConfig(4, 2), TransformConfig(4, 2, antialias=True), TransformConfig(4, 2, "fast")],
    ids=["johnson", "antialias", "fast"],
)
def test_a_doubled_network_answers_equally(config: TransformConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts" / "experiments"))
    from widen import widen

    torch.manual_seed(0)
    network = TransformNetwork(config)
    with torch.no_grad():
        for parameter in network.parameters():  # instance norms start out alike for all channels
            parameter += 0.3 * torch.randn_like(parameter)
        wide = widen(network, noise=0)
        pictures = torch.rand(2, 3, 32, 48)
        assert wide.config.width == 8
        assert torch.allclose(wide(pictures), network(pictures), rtol=0, atol=1e-4)
        assert not torch.allclose(widen(network)(pictures), network(pictures), rtol=0, atol=1e-3)
