"""Scorecards: the right measures under one loss network, and what they say of networks worse and better."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fast_nst.cli import main
from fast_nst.evaluation.evaluate import equals_iterations, evaluate
from fast_nst.evaluation.options import EvaluateOptions
from fast_nst.evaluation.scorecard import quartiles
from fast_nst.shipped import checkpoints_dir


@pytest.fixture(scope="module")
def scorecard(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped style on two small pictures, beside 6 iterations of the baseline."""
    folder = tmp_path_factory.mktemp("scorecard")
    arguments = ["--style", "strokes", "--content", str(photographs), "--output", str(folder)]
    arguments += ["--count", "3", "--sheet", "2", "--size", "80"]
    assert main(["evaluate", "strokes", *arguments, "--style-size", "64", "--baseline", "6"]) == 0
    return folder


def test_it_tells_the_losses_of_every_method(scorecard: Path) -> None:
    found = json.loads((scorecard / "scorecard.json").read_text())
    assert found["loss_network"] == "vgg16"
    assert len(found["photographs"]) == 3
    methods = found["methods"]
    unchanged, network = methods["photograph"], methods["strokes"]
    assert unchanged["mean"]["content"] == 0
    assert network["median"]["style"] < unchanged["median"]["style"]
    baseline = methods["baseline, 6 iterations"]
    for method in (unchanged, network, baseline):
        assert len(method["each"]) == 3
        for terms in method["each"]:
            total = sum(weight * terms[name] for name, weight in found["weights"].items())
            assert terms["total"] == pytest.approx(total, rel=1e-4)
        for name in method["mean"]:
            values = sorted(terms[name] for terms in method["each"])
            assert method["mean"][name] == pytest.approx(sum(values) / 3)
            assert method["median"][name] == values[1]
    assert all(value is None or 0 <= value <= 6 for value in network["equals_iterations"]["each"])
    assert network["seconds"] > 0
    assert network["times_faster_than_baseline"] > 1


def test_the_baseline_starts_from_noise_and_comes_down(scorecard: Path) -> None:
    """As Johnson et al. measured it. From the photograph, that is reached before the first iteration."""
    methods = json.loads((scorecard / "scorecard.json").read_text())["methods"]
    assert max(methods["photograph"]["equals_iterations"]["each"]) > 0
    assert methods["baseline, 6 iterations"]["median"]["style"] < methods["photograph"]["median"]["style"]


def test_the_page_and_the_sheet_show_it(scorecard: Path) -> None:
    text = (scorecard / "scorecard.md").read_text()
    medians, means = text.split("## Means")
    assert medians.count("| photograph | 0.0000 |") == means.count("| photograph | 0.0000 |") == 1
    assert "total = 1 content + 10 style + 5 tv" in medians
    heads = next(line for line in medians.splitlines() if "relu4_3" in line)
    assert [head.strip() for head in heads.split("|")[2:10]] == [
        *("content", "style", "relu1_2", "relu2_2", "relu3_3", "relu4_3", "tv", "total")
    ]
    assert "| strokes |" in text
    assert "Columns: content, style, baseline, 6 iterations, strokes." in text
    sheet = np.asarray(Image.open(scorecard / "contact-sheet.jpg"))
    assert sheet.shape[0] == pytest.approx(2 * 80, abs=16)
    assert sheet.shape[1] > 3 * 40


def test_sharpness_is_held_against_the_photograph_and_the_style(scorecard: Path) -> None:
    found = json.loads((scorecard / "scorecard.json").read_text())
    of = found["methods"]["strokes"]["sharpness"]
    for band, level in of["gray_levels"].items():
        photograph = found["methods"]["photograph"]["sharpness"]["gray_levels"][band]
        assert of["of_photograph"][band] == pytest.approx(level / photograph, rel=0.05, abs=0.01)
        assert of["of_style"][band] == pytest.approx(
            level / found["style_sharpness"][band], rel=0.05, abs=0.01
        )
    assert "| style picture |" in (scorecard / "scorecard.md").read_text().split("## Sharpness")[1]


@pytest.fixture
def painted(photographs: Path, tmp_path: Path) -> Path:
    """What somebody made of three of the photographs: the picture itself, its negative, one enlarged."""
    folder = tmp_path / "theirs"
    (folder / "nested").mkdir(parents=True)
    with Image.open(photographs / "0.png") as picture:
        picture.save(folder / "0.png")
    with Image.open(photographs / "1.png") as picture:
        Image.fromarray(255 - np.asarray(picture)).save(folder / "1.bmp")
    with Image.open(photographs / "10.png") as picture:
        picture.resize((picture.width * 2, picture.height * 2), Image.Resampling.NEAREST).save(
            folder / "10.tif"
        )
    return folder


def judge(painted: Path, photographs: Path, **more: int) -> EvaluateOptions:
    return EvaluateOptions(
        style="strokes", content=photographs, pictures=painted, size=48, style_size=64, baseline=0, **more
    )


def test_picture_files_are_judged_like_networks(painted: Path, photographs: Path) -> None:
    card = evaluate(["strokes"], judge(painted, photographs, count=3))
    assert card.photographs == ["0.png", "1.png", "10.png"]
    assert not card.skipped
    theirs, network = card.methods["theirs/"], card.methods["strokes"]
    assert [len(theirs.terms), len(network.terms)] == [3, 3]
    assert theirs.terms[0]["content"] == 0  # the photograph itself
    assert theirs.terms[1]["content"] > 0.5
    assert theirs.terms[2]["content"] < 0.2  # enlarged, so reduced to the size that is judged
    assert theirs.seconds is None


def test_a_smaller_picture_is_not_enlarged_its_photograph_is_judged_at_its_size(
    painted: Path, photographs: Path
) -> None:
    """Enlarging makes soft, and what is soft has other losses: at 481 px a picture had .13, at 512 .15."""
    options = judge(painted, photographs, count=1)
    options.size = 500
    card = evaluate([], options)
    assert card.sheet[0][0].shape == np.asarray(Image.open(painted / "0.png")).shape
    assert card.methods["theirs/"].terms[0]["content"] == 0


def test_missing_pictures_are_counted_and_named_and_nobody_is_judged_on_them(
    painted: Path, photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (painted / "1.jpg").write_bytes((painted / "1.bmp").read_bytes())
    Image.new("RGB", (40, 70)).save(painted / "2.png")
    arguments = ["--pictures", str(painted), "--content", str(photographs), "--style", "strokes"]
    arguments += ["--baseline", "0", "--size", "48", "--output", str(tmp_path / "card"), "--count", "5"]
    assert main(["evaluate", *arguments]) == 1
    found = json.loads((tmp_path / "card" / "scorecard.json").read_text())
    assert found["photographs"] == ["0.png", "10.png"]
    assert {len(method["each"]) for method in found["methods"].values()} == {2}
    told = capsys.readouterr().err
    assert "skipped 1.png: " in told
    assert "several of it, 1.bmp, 1.jpg" in told
    assert "skipped 11.png: " in told
    assert "no picture of it" in told
    assert "of another aspect" in told


@settings(deadline=None)
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
        (["--pictures", "nowhere"], "--pictures nowhere is not a folder"),
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
    base += ["--baseline", "0", "--size", "48", "--count", "1"]
    assert main(["evaluate", *base, *arguments]) == 2
    assert words in capsys.readouterr().err.strip().splitlines()[-1]


def test_a_folder_without_pictures_and_the_networks_alone(
    tmp_path: Path, photographs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    base = ["--style", "strokes", "--output", str(tmp_path / "card")]
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
    arguments = ["--style", "strokes", "--content", str(tmp_path / "in")]
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
    arguments += ["--count", "1", "--size", "48", "--style-size", "64"]
    models = [f"{gallery_model}:{style}" for style in ("waves", "udnie")]
    assert main(["evaluate", *models, *arguments, "--baseline", "0"]) == 0
    methods = json.loads((tmp_path / "scorecard.json").read_text())["methods"]
    assert list(methods) == ["photograph", "gallery:waves", "gallery:udnie"]
    assert methods["gallery:waves"]["mean"]["style"] != methods["gallery:udnie"]["mean"]["style"]
    assert methods["gallery:waves"]["seconds"] > 0
