"""Styles of a file of many, named wherever a model is run: Python, the command line, videos."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from fast_nst import Stylizer
from fast_nst.cli import main
from fast_nst.errors import UserError
from fast_nst.runtime.models import find_model, unique_names
from fast_nst.runtime.styles import style_over_time, style_rows
from fast_nst.runtime.video.stylize import VideoOptions, stylize_video

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def many(gallery_model: Path) -> Stylizer:
    return Stylizer(gallery_model, threads=1, providers=["cpu"])


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)


def differ(one: np.ndarray, other: np.ndarray) -> float:
    """In gray levels, on average."""
    return float(np.abs(one.astype(int) - other).mean())


# --- in Python -----------------------------------------------------------------------------------


def test_a_style_by_name_mixture_or_weights(gallery_model: Path, many: Stylizer) -> None:
    picture = noise(40, 50)
    painted = [many(picture, style=style.name) for style in many.styles]
    assert min(differ(painted[a], painted[b]) for a, b in ((0, 1), (0, 2), (1, 2))) > 5
    assert np.array_equal(Stylizer(gallery_model, "scream", threads=1)(picture), painted[1])
    assert np.array_equal(many(picture, style=[0, 2.5, 0]), painted[1])
    mixtures: list[Any] = ["waves:3,udnie:1", "waves:0.75+udnie:.25", {"waves": 0.6, "udnie": 0.2}, [3, 0, 1]]
    mixed = [many(picture, style=mixture) for mixture in mixtures]
    assert max(np.abs(mixed[0].astype(int) - other).max() for other in mixed[1:]) <= 1
    assert np.array_equal(many(picture, style="waves,udnie"), many(picture, style="waves:1,udnie:1"))
    between = differ(painted[0], mixed[0])
    assert 0 < between < differ(painted[0], many(picture, style="waves,udnie:3"))


def test_the_style_changes_between_pictures_of_one_stylizer(gallery_model: Path) -> None:
    stylizer, picture = Stylizer(gallery_model, "waves", threads=1), noise(40, 50)
    assert [style.name for style in stylizer.styles] == ["waves", "scream", "udnie"]
    assert stylizer.styles[0].attribution == "Hokusai"
    before = stylizer(picture)
    stylizer.style = {"scream": 3, "udnie": 1}
    assert stylizer.style == {"scream": 0.75, "udnie": 0.25}
    assert differ(before, stylizer(picture)) > 5
    assert np.array_equal(stylizer(picture, style="waves"), before)  # for one call
    assert stylizer.style == {"scream": 0.75, "udnie": 0.25}
    with pytest.raises(UserError):
        stylizer.style = "no such"
    assert stylizer.style == {"scream": 0.75, "udnie": 0.25}


def test_each_picture_of_a_batch_in_a_style_of_its_own(many: Stylizer) -> None:
    batch = noise(3, 33, 41)
    styles: list[Any] = ["udnie", {"waves": 1}, "waves,scream"]
    together = many(batch, style=styles)
    for picture, style, result in zip(batch, styles, together, strict=True):
        assert np.abs(many(picture, style=style).astype(int) - result).max() <= 1
    assert np.array_equal(many(batch, style=np.float64([[0, 0, 1], [1, 0, 0], [2, 2, 0]])), together)
    alike = many(batch, style="udnie")
    assert np.array_equal(alike[0], together[0])
    assert not np.array_equal(alike[1], together[1])


@pytest.mark.parametrize(
    ("style", "said"),
    [
        ("wave", "no style 'wave' (did you mean waves?); its styles are waves, scream, udnie"),
        ("waves:0.5,ude:1", "no style 'ude' (did you mean udnie?)"),
        ("waves:-1,udnie:2", "weight of style waves must be a number from 0 up, not -1"),
        ({"waves": float("nan")}, "weight of style waves must be a number from 0 up, not nan"),
        ("waves:inf", "weight of style waves"),
        ("waves:much", "'much' is no weight"),
        ("waves,waves", "names waves twice"),
        ([0, 0, 0], "all zero"),
        ({}, "all zero"),
        ([1, 2], "2 style weights were given"),
        (np.ones((2, 3)), "2 styles were given for 3 pictures"),
        (["waves", "udnie"], "2 styles were given for 3 pictures"),
        (3.5, "3.5 is no style"),
        ([["a"]], "is no style"),
        ("", "no style ''"),
    ],
)
def test_a_wrong_style_is_one_clear_line(many: Stylizer, style: Any, said: str) -> None:
    with pytest.raises(UserError) as caught:
        many(noise(3, 8, 8), style=style)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


PARTS = st.sampled_from([*"abc", ",", "+", ":", "@", " ", "0.5", "1e308", "5e-324", "-1", "nan", "1_0", ""])
NUMBERS = st.one_of(st.integers(), st.floats(), st.text(max_size=3), st.none())


@example(style={"a": 10**400})
@example(style=[10**400, 1, 1])
@given(
    style=st.one_of(
        st.lists(PARTS, max_size=8).map("".join),
        st.dictionaries(st.sampled_from("abcd"), NUMBERS),
        st.lists(NUMBERS, max_size=4),
        st.lists(st.lists(NUMBERS, max_size=4), max_size=3),
        NUMBERS,
    )
)
def test_whatever_is_given_as_a_style_is_shares_or_one_clear_line(style: Any) -> None:
    try:
        rows = style_rows(style, ["a", "b", "c"], "m.onnx")
        course = style_over_time(style, ["a", "b", "c"], "m.onnx")(1.5)
    except UserError:
        return
    assert rows.dtype == np.float32
    assert rows.shape[1] == 3
    for row in (*rows, course):
        assert (row >= 0).all()
        assert row.sum() == pytest.approx(1)


def test_without_a_style_named_the_styles_are_listed(many: Stylizer) -> None:
    with pytest.raises(UserError, match=r"holds 3 styles; name one with --style .*: waves, scream, udnie$"):
        many(noise(8, 8))
    many.warm_up([(16, 16)])  # needs none


def test_a_file_of_one_style_takes_its_own_name(tiny_model: Path) -> None:
    assert Stylizer(tiny_model, "negative", threads=1).style == {"negative": 1.0}
    with pytest.raises(UserError, match=r"has no style 'waves'; its style is negative"):
        Stylizer(tiny_model, "waves")


def test_a_file_whose_names_do_not_fit_its_weights_is_refused(gallery_model: Path, tmp_path: Path) -> None:
    import onnx

    model = onnx.load(gallery_model)
    for styles, said in (
        ('[{"name": "waves"}]', "mixes 3 styles and names 1"),
        ("{", "damaged"),
        ('[{"name": 5}, {"name": "a"}, {"name": "b"}]', "not all of it is text"),
        ('[{"name": "b"}, {"name": "a"}, {"name": "b"}]', "two have one name"),
    ):
        onnx.helper.set_model_props(model, {"styles": styles})
        onnx.save(model, tmp_path / "bad.onnx")
        with pytest.raises(UserError, match=said):
            Stylizer(tmp_path / "bad.onnx")


# --- names of models -----------------------------------------------------------------------------


def test_a_style_stands_behind_the_models_colon(gallery_model: Path, many: Stylizer) -> None:
    picture = noise(20, 20)
    behind = Stylizer(f"{gallery_model}:waves:0.6+udnie:0.4", threads=1)(picture)
    assert np.array_equal(behind, many(picture, style="waves:0.6,udnie:0.4"))
    names = unique_names([find_model(f"{gallery_model}:{style}") for style in ("waves", "udnie", "waves")])
    assert names == ["gallery:waves", "gallery:udnie", "gallery:waves (2)"]
    with pytest.raises(UserError, match="names a style already"):
        Stylizer(f"{gallery_model}:waves", "udnie")


def test_a_style_in_a_shipped_file_of_many_is_a_model_by_itself(gallery_model: Path, tmp_path: Path) -> None:
    package = tmp_path / "fast_nst"
    shutil.copytree(ROOT / "fast_nst", package, ignore=shutil.ignore_patterns("__pycache__", "checkpoints"))
    (tmp_path / "checkpoints" / "styles").mkdir(parents=True)
    shutil.copy(gallery_model, tmp_path / "checkpoints" / "styles")

    def run(code: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, env={"PATH": ""}
        )
        return done.stdout + done.stderr

    assert run("from fast_nst import Stylizer; print(Stylizer('udnie').style)") == "{'udnie': 1.0}\n"
    listed = run("from fast_nst.cli import main; main(['models'])").splitlines()
    assert [line.split()[0] for line in listed] == ["gallery", "waves", "scream", "udnie"]
    assert "3 styles" in listed[0]
    assert "Hokusai" in listed[1]
    assert "did you mean waves" in run("from fast_nst import Stylizer; Stylizer('wawes')")


def test_models_shows_the_styles_of_a_file(gallery_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", str(gallery_model)]) == 0
    shown = capsys.readouterr().out
    assert "3 styles:" in shown
    assert "waves   CC0-1.0, Hokusai" in shown
    assert "[{" not in shown


# --- fast-nst stylize ----------------------------------------------------------------------------


def test_style_on_the_command_line(gallery_model: Path, many: Stylizer, tmp_path: Path) -> None:
    Image.fromarray(noise(40, 50)).save(tmp_path / "in.png")
    out = tmp_path / "out.png"
    for model, style, means in (
        (str(gallery_model), ["--style", "waves:0.6,udnie:0.4"], "waves:0.6,udnie:0.4"),
        (f"{gallery_model}:scream", [], "scream"),
    ):
        arguments = ["stylize", str(tmp_path / "in.png"), "--model", model, *style, "-o", str(out)]
        assert main([*arguments, "--threads", "1"]) == 0
        assert np.array_equal(np.asarray(Image.open(out)), many(noise(40, 50), style=means))


@pytest.mark.parametrize(
    ("style", "said"),
    [
        ([], "name one with --style"),
        (["--style", "wave"], "did you mean waves?"),
        (["--style", "waves@0,udnie@1"], "changes over time, which is for videos"),
    ],
)
def test_a_style_that_will_not_do_ends_before_any_work(
    gallery_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], style: list[str], said: str
) -> None:
    Image.fromarray(noise(40, 50)).save(tmp_path / "in.png")
    out = str(tmp_path / "out.png")
    arguments = ["stylize", str(tmp_path / "in.png"), "--model", str(gallery_model), *style, "-o", out]
    assert main(arguments) == 2
    said_all = capsys.readouterr().err
    assert said in said_all
    assert said_all.count("\n") == 1
    assert not (tmp_path / "out.png").exists()


# --- videos --------------------------------------------------------------------------------------


def test_a_mixture_changes_over_a_video(gallery_model: Path, many: Stylizer, tmp_path: Path) -> None:
    frames = []
    for index in range(7):
        frames.append(tmp_path / f"{index}.png")
        Image.fromarray(noise(32, 48)).save(frames[-1])
    style = "waves@1,waves:0.5+scream:0.5@2,udnie@3"
    stylize_video(many, frames, tmp_path / "out", VideoOptions(style=style, fps=2))
    expected = [
        *["waves"] * 3,  # to the first point
        "waves:0.75,scream:0.25",
        "waves,scream",
        "waves:0.25,scream:0.25,udnie:0.5",
        "udnie",
    ]
    for index, mixture in enumerate(expected, 1):
        painted = np.asarray(Image.open(tmp_path / "out" / f"{index:06}.png"))
        assert np.abs(painted.astype(int) - many(noise(32, 48), style=mixture)).max() <= 1, mixture


def test_a_style_over_time_on_the_command_line(gallery_model: Path, many: Stylizer, tmp_path: Path) -> None:
    for index in range(3):
        Image.fromarray(noise(32, 48)).save(tmp_path / f"{index}.png")
    made = tmp_path / "made.mkv"
    arguments = [
        "stylize",
        str(tmp_path / "?.png"),
        "-o",
        str(made),
        "--fps",
        "1",
        "--model",
        str(gallery_model),
    ]
    assert main([*arguments, "--style", "waves@0,udnie@2"]) == 0
    assert made.is_file()


@pytest.mark.parametrize(
    ("style", "said"),
    [
        ("waves@2,udnie@1", "times must increase"),
        ("waves@0,udnie", "'udnie' has no time"),
        ("waves@0,udnie@1:0.5.1", "is no time"),
        ("waves@0,udie@1", "did you mean udnie"),
    ],
)
def test_a_wrong_course_is_one_clear_line(many: Stylizer, tmp_path: Path, style: str, said: str) -> None:
    Image.fromarray(noise(32, 48)).save(tmp_path / "0.png")
    with pytest.raises(UserError, match=said):
        stylize_video(many, [tmp_path / "0.png"], tmp_path / "out", VideoOptions(style=style, fps=2))
    assert not (tmp_path / "out").exists()
