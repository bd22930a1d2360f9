"""Scorecards: the right measures under one loss network, and what they say of networks worse and better."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fast_nst.cli import main
from fast_nst.evaluate import equals_iterations
from fast_nst.scorecard import quartiles
from fast_nst.shipped import checkpoints_dir


@pytest.fixture(scope="module")
def scorecard(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped style on two small pictures, beside 12 iterations of the baseline."""
    folder = tmp_path_factory.mktemp("scorecard")
    arguments = ["--style", "strokes", "--content", str(photographs), "--output", str(folder)]
    arguments += ["--loss.network", "vgg19-compact", "--count", "3", "--sheet", "2", "--size", "48"]
    assert main(["evaluate", "strokes", *arguments, "--style-size", "64", "--baseline", "12"]) == 0
    return folder


def test_it_tells_the_losses_of_every_way(scorecard: Path) -> None:
    found = json.loads((scorecard / "scorecard.json").read_text())
    assert found["loss_network"] == "vgg19-compact"
    assert len(found["photographs"]) == 3
    unchanged, network = found["ways"]["photograph"], found["ways"]["strokes"]
    assert unchanged["mean"]["content"] == 0
    assert network["mean"]["style"] < 0.7 * unchanged["mean"]["style"]
    weights = found["weights"]
    baseline = found["ways"]["baseline, 12 iterations"]
    assert baseline["mean"]["total"] < unchanged["mean"]["total"]
    for way in (unchanged, network, baseline):
        total = sum(weight * way["mean"][name] for name, weight in weights.items())
        assert way["mean"]["total"] == pytest.approx(total, rel=1e-4)
        assert len(way["each"]) == 3
    assert unchanged["equals_iterations"]["median"] == 0
    equals = network["equals_iterations"]
    assert all(value is None or 1 <= value <= 12 for value in equals["each"])
    assert network["seconds"] > 0
    assert network["times_faster_than_baseline"] > 1


def test_the_page_and_the_sheet_show_it(scorecard: Path) -> None:
    text = (scorecard / "scorecard.md").read_text()
    assert "| photograph | 0.0000 |" in text
    assert "| strokes |" in text
    assert "Columns: content, style, baseline, 12 iterations, strokes." in text
    sheet = np.asarray(Image.open(scorecard / "contact-sheet.jpg"))
    assert sheet.shape[0] == pytest.approx(2 * 48, abs=16)
    assert sheet.shape[1] > 3 * 40


@given(values=st.lists(st.one_of(st.integers(0, 500).map(float), st.just(math.inf)), min_size=1, max_size=30))
def test_quartiles_are_values_in_order_and_never_not_a_number(values: list[float]) -> None:
    lower, median, upper = quartiles(values)
    assert lower <= median <= upper
    assert {lower, median, upper} <= set(values)


def test_the_first_iteration_that_is_as_good_counts() -> None:
    assert equals_iterations([5.0, 3.0, 2.0, 2.5, 1.0], 2.2) == 2
    assert equals_iterations([5.0, 3.0], 5.0) == 0
    assert equals_iterations([5.0, 3.0], 1.0) == math.inf


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no-such-model"], "no-such-model"),
        (["--content", "nowhere"], "--content nowhere is not a folder"),
        (["--style", "nowhere.png"], "nowhere.png"),
        (["--count", "0"], "--count must be at least 1"),
        (["--loss.style-taps", "[relu9_1]"], "has no tap relu9_1"),
        (["--loss.network", "missing.pth"], "missing.pth"),
    ],
)
def test_what_a_user_gets_wrong_is_one_line(
    photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    base = ["--style", "strokes", "--content", str(photographs), "--output", str(tmp_path / "card")]
    base += ["--loss.network", "vgg19-compact", "--baseline", "0", "--size", "48", "--count", "1"]
    assert main(["evaluate", *base, *arguments]) == 2
    assert words in capsys.readouterr().err.strip().splitlines()[-1]


def test_a_folder_without_pictures_and_the_networks_alone(
    tmp_path: Path, photographs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    base = ["--style", "strokes", "--loss.network", "vgg19-compact", "--output", str(tmp_path / "card")]
    assert main(["evaluate", *base, "--content", str(tmp_path / "empty")]) == 2
    assert "holds no pictures" in capsys.readouterr().err
    model = str(checkpoints_dir() / "styles" / "strokes.onnx")
    more = ["--content", str(photographs), "--baseline", "0", "--count", "1", "--size", "48"]
    assert main(["evaluate", model, *base, *more, "--sheet", "0"]) == 0
    assert "iteration" not in capsys.readouterr().out
    assert not (tmp_path / "card" / "contact-sheet.jpg").exists()


def test_an_unreadable_photograph_is_skipped_and_named_once(
    tmp_path: Path, photographs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(b"broken")
    (tmp_path / "in" / "b.png").write_bytes((photographs / "0.png").read_bytes())
    arguments = ["--style", "strokes", "--loss.network", "vgg19-compact", "--content", str(tmp_path / "in")]
    arguments += ["--baseline", "0", "--size", "48", "--output", str(tmp_path / "card")]
    assert main(["evaluate", "strokes", "--stability", *arguments]) == 1
    out, err = capsys.readouterr()
    assert err.count("a.png") == 1
    found = json.loads((tmp_path / "card" / "scorecard.json").read_text())
    assert found["photographs"] == found["quality"]["pictures"] == ["b.png"]
    assert out.index("| total") < out.index("## Stability")
    assert main(["evaluate", "strokes", *arguments[:-1], str(tmp_path / "in" / "b.png")]) == 2


def test_losses_of_a_style_of_many(gallery_model: Path, photographs: Path, tmp_path: Path) -> None:
    arguments = ["--style", "strokes", "--content", str(photographs), "--output", str(tmp_path)]
    arguments += ["--loss.network", "vgg16", "--count", "1", "--size", "48", "--style-size", "64"]
    models = [f"{gallery_model}:{style}" for style in ("waves", "udnie")]
    assert main(["evaluate", *models, *arguments, "--baseline", "0"]) == 0
    ways = json.loads((tmp_path / "scorecard.json").read_text())["ways"]
    assert list(ways) == ["photograph", "gallery:waves", "gallery:udnie"]
    assert ways["gallery:waves"]["mean"]["style"] != ways["gallery:udnie"]["mean"]["style"]
    assert ways["gallery:waves"]["seconds"] > 0
