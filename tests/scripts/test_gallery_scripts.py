"""The scripts around the gallery: the card of a network of many styles, comparison of networks, weights."""

from __future__ import annotations

import hashlib
import json
import runpy
import shlex
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from fast_nst.arguments import parse
from fast_nst.config import TrainConfig
from fast_nst.contract import STYLES, StyleInfo, styles_to_json
from fast_nst.errors import UserError
from fast_nst.export import export_onnx
from fast_nst.networks.transform import TransformConfig, TransformNetwork
from fast_nst.training.report import tiles

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def call(script: ModuleType, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", [script.__name__, *arguments])
    script.main()


@pytest.fixture(scope="module")
def styles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two style pictures."""
    folder = tmp_path_factory.mktemp("styles")
    for name, color in {"red": (200, 40, 40), "sea": (20, 90, 160)}.items():
        Image.fromarray(
            np.random.default_rng(0).integers(0, 56, (80, 90, 3), np.uint8) + np.uint8(color)
        ).save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="module")
def network_of_two(styles: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained network of both, as an ONNX file that says so."""
    torch.manual_seed(0)
    network = TransformNetwork(TransformConfig(4, 1), 2)
    with torch.no_grad():
        for parameter in network.parameters():  # else the norms start out alike
            parameter += 0.3 * torch.randn_like(parameter)
    infos = [
        StyleInfo(
            "red", "MIT", "Red, made by a test", hashlib.sha256((styles / "red.png").read_bytes()).hexdigest()
        ),
        StyleInfo(
            "sea", "CC0", "Sea, made by a test", hashlib.sha256((styles / "sea.png").read_bytes()).hexdigest()
        ),
    ]
    config = {"steps": 7, "data": {"batch": 4, "size": 64}}
    about = {"style": "both", "loss_network": "vgg16", "config": json.dumps(config)}
    path = tmp_path_factory.mktemp("network") / "both-fast.onnx"
    export_onnx(network, path, about | {STYLES: styles_to_json(infos)})
    return path


def test_a_card_tells_of_every_style(
    network_of_two: Path,
    styles: Path,
    photographs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import gallery_cards

    measured = {
        "name": "red",
        "license": "MIT",
        "attribution": "Red, made by a test",
        "detail at 2-4 px": 0.5,
        "losses": {"content": 1.25, "style": 0.2, "style of the photographs": 0.8},
        "stability": {"shift_1px": 0.01, "noise": 0.005},
        "artefacts": dict.fromkeys(("lattice", "border_ratio", "frame", "blobs", "stripes"), 1.0),
    }
    sha256 = hashlib.sha256(network_of_two.read_bytes()).hexdigest()
    begun = {"sha256": sha256, "size": 48, "photographs": 2, "styles": {"red": measured}}
    (tmp_path / "both-fast.json").write_text(json.dumps(begun))  # as an interrupted call leaves it
    arguments = [str(network_of_two), "--styles", str(styles), "--heldout", str(photographs), "--count", "2"]
    call(gallery_cards, monkeypatch, *arguments, "--size", "48", "--output", str(tmp_path))
    told = json.loads((tmp_path / "both-fast.json").read_text())
    assert told["styles"]["red"] == measured
    found = told["styles"]["sea"]
    assert {"losses", "stability", "sharpness", "artefacts"} <= set(found)
    assert found["losses"]["style"] > 0
    text = (tmp_path / "both-fast.md").read_text()
    for words in (
        "Red, made by a test. License: MIT.",
        "Sea, made by a test. License: CC0.",
        "7 steps of 4 crops",
    ):
        assert words in text
    assert "| [red](#red) | 1.25 | 0.2 | 25% |" in text
    assert np.asarray(Image.open(tmp_path / "both-fast.jpg")).shape == (300, 600, 3)
    strips = [np.asarray(Image.open(tmp_path / "both-fast" / f"{name}.jpg")) for name in ("red", "sea")]
    assert not np.array_equal(*strips)
    assert all(f"both-fast/{name}.jpg" in text for name in ("red", "sea"))


def test_a_card_wants_the_pictures_the_network_was_trained_on(
    network_of_two: Path, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import gallery_cards

    Image.new("RGB", (9, 9)).save(tmp_path / "red.png")
    arguments = [str(network_of_two), "--styles", str(tmp_path), "--heldout", str(photographs)]
    with pytest.raises(UserError, match="red, sea"):
        call(gallery_cards, monkeypatch, *arguments, "--output", str(tmp_path / "cards"))
    assert not (tmp_path / "cards").exists()


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (6, 1), (7, 2)])
def test_a_sheet_of_any_number_of_styles(count: int, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    from gallery_cards import COLUMNS

    made = tiles([np.full((30, 30, 3), index, np.uint8) for index in range(count)], COLUMNS)
    assert made.shape == (30 * rows, 180, 3)
    cells = [
        made[at : at + 30, left : left + 30] for at in range(0, 30 * rows, 30) for left in range(0, 180, 30)
    ]
    assert [int(cell.max()) for cell in cells] == [*range(count), *[255] * (6 * rows - count)]


@pytest.mark.parametrize("project", ["jcjohnson", "pytorch-examples", "lengstrom"])
def test_converted_weights_keep_the_other_projects_ratio_of_style_to_content(
    project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a relative error of 1 its style term over its content term is ours, whatever scale was measured."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    from convert_weights import CONVENTIONS, convert

    convention = CONVENTIONS[project]
    energies, variance = [(64, 5.0), (128, 7.0)], 3.0  # as its own network gives
    theirs = 10 * (5 / 64**2 + 7 / 128**2) / (2 * variance)
    assert convert(convention, 2, 10, variance, energies, convention.pixels) == pytest.approx(theirs)
    scale = 1 / convention.pixels  # features are nearly linear in the pixels
    in_255 = [(channels, energy * scale**4) for channels, energy in energies]
    assert convert(convention, 2, 10, variance * scale**2, in_255, 1) == pytest.approx(theirs)


def test_converted_weights_are_options_of_train(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import convert_weights

    arguments = [
        "--style",
        "strokes",
        "--project",
        "pytorch-examples",
        "--content",
        "1e5",
        "--weight",
        "1e10",
    ]
    call(convert_weights, monkeypatch, *arguments)
    _, config = parse("train", TrainConfig, shlex.split(capsys.readouterr().out))
    assert (config.loss.network, config.loss.content_tap) == ("vgg16", "relu2_2")
    assert config.loss.style_taps == ("relu1_2", "relu2_2", "relu3_3", "relu4_3")
    assert config.loss.weights.style > 0


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
        ("gallery_cards.py", ["x", "--styles", "x", "--heldout", "x"]),
        ("frontier.py", ["x", "--style", "x", "--content", "x"]),
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
