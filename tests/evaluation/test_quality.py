"""`fast-nst evaluate --stability --artefacts`: the tables, the floor, and what a user can get wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from flow_files import sequence
from PIL import Image, ImageFilter
from test_cli import blocked

from fast_nst.cli import main
from fast_nst.evaluation.quality import (
    Quality,
    QualityCard,
    as_dict,
    as_markdown,
    builtin_pictures,
    named_models,
    summary,
)
from fast_nst.evaluation.sharpness import mean_octaves
from fast_nst.evaluation.stability import Stability, stability


def test_without_torch_and_data_a_network_is_measured_beside_the_unchanged_picture(
    tiny_model: Path, tmp_path: Path
) -> None:
    sequence(tmp_path / "video" / "walk", range(1, 4))
    output = tmp_path / "card"
    arguments = ["--stability", "--artefacts", "--flow", str(tmp_path / "video"), "--output", str(output)]
    done = blocked("evaluate", str(tiny_model), *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == (output / "scorecard.md").read_text().strip()
    assert "## Stability" in done.stdout
    assert "| negative | 0.0000 | 0.0000 | 0.0000 | 0.007" in done.stdout
    found = json.loads((output / "scorecard.json").read_text())
    assert found["quality"]["pictures"] == "built in"
    floor, negative = (found["quality"]["methods"][name] for name in ("photograph", "negative"))
    # Pixel by pixel there is no artefact; what is measured is the floor's.
    assert negative["artefacts"] == floor["artefacts"]
    assert negative["stability"] == floor["stability"]
    assert negative["sharpness"] == floor["sharpness"]
    assert set(floor["sharpness"]["of_photograph"].values()) == {1}
    # Frame n of the sequence is all of gray level n, and the flow says that nothing changes.
    assert floor["stability"]["e_stab"]["walk"] == pytest.approx(1 / 255, abs=1e-4)
    assert negative["stability"]["flicker"]["walk"] == 1


def test_a_card_holds_what_the_command_writes(tiny_model: Path, tmp_path: Path) -> None:
    assert main(["evaluate", str(tiny_model), "--stability", "--artefacts", "--output", str(tmp_path)]) == 0
    written = json.loads((tmp_path / "scorecard.json").read_text())["quality"]["methods"]["negative"]
    assert json.loads(json.dumps(summary(tiny_model))) == written
    assert set(written) == {"stability", "sharpness", "artefacts"}


def test_the_builtin_pictures_are_always_the_same_and_varied() -> None:
    first, second = builtin_pictures(), builtin_pictures()
    assert all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))
    assert all(picture.shape == (384, 384, 3) and picture.std() > 20 for picture in first)


def test_a_network_that_only_blurs_is_still_and_shown_to_be_soft() -> None:
    def soft(pixels: np.ndarray) -> np.ndarray:
        return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(2)))

    pictures = builtin_pictures()[:1]
    floor = Quality(stability(np.copy, pictures), mean_octaves(pictures))
    blurred = Quality(stability(soft, pictures), mean_octaves([soft(pictures[0])]))
    found = as_dict(QualityCard({"photograph": floor, "soft": blurred}, []))["methods"]["soft"]
    assert found["stability"]["shift_1px"] < 0.001
    assert found["sharpness"]["of_photograph"]["2-4 px"] < 0.1
    assert (
        "| soft | "
        in as_markdown(QualityCard({"photograph": floor, "soft": blurred}, [])).split("## Sharp")[1]
    )


def test_one_measure_on_pictures_of_ones_own(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = tmp_path / "in"
    content.mkdir()
    (content / "a.png").write_bytes(b"broken")
    Image.new("RGB", (50, 90), (9, 99, 200)).save(content / "b.png")
    arguments = ["--stability", "--content", str(content), "--output", str(tmp_path / "card")]
    assert main(["evaluate", str(tiny_model), *arguments]) == 1
    out, err = capsys.readouterr()
    assert "a.png" in err
    assert "## Artefacts" not in out
    assert json.loads((tmp_path / "card" / "scorecard.json").read_text())["quality"]["pictures"] == ["b.png"]


def test_a_broken_sequence_is_skipped_once_and_the_other_measured(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("good", "bad"):
        sequence(tmp_path / "video" / name, range(1, 3))
    (tmp_path / "video" / "bad" / "flow_0001_to_0002.flo").write_bytes(b"PIEH")
    arguments = ["--stability", "--flow", str(tmp_path / "video"), "--output", str(tmp_path / "card")]
    assert main(["evaluate", str(tiny_model), *arguments]) == 1
    out, err = capsys.readouterr()
    assert err.count("not a Middlebury .flo file") == 1
    assert "e_stab good" in out
    assert "e_stab bad" not in out


def test_a_network_that_fails_on_a_sequence_leaves_its_cells_empty() -> None:
    floor, way = (
        Quality(Stability({1: 0, 2: 0, 4: 0}, 0, 0, e_stab)) for e_stab in ({"a": 0.1, "b": 0.2}, {"b": 0.6})
    )
    text = as_markdown(QualityCard({"photograph": floor, "large": way}, []))
    assert text.endswith("|  |  | 0.6000 | 3.0x |")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--stability or --artefacts"),
        (["--stability"], "name a model"),
        (["--flow", "video"], "give both"),
        (["strokes", "--stability", "--flow", "nowhere"], "--flow nowhere is not a folder"),
        (["strokes", "--stability", "--content", "nowhere"], "--content nowhere is not a folder"),
        (["strokes", "--artefacts", "--content", "."], "holds no pictures"),
        (["--artefacts", "--style", "strokes"], "--content is missing"),
        (["--artefacts", "--pictures", "."], "give --style as well"),
        (["no-such-model", "--artefacts"], "no-such-model"),
    ],
)
def test_what_a_user_gets_wrong_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", *arguments]) == 2
    assert words in capsys.readouterr().err.strip().splitlines()[-1]


def test_losses_without_the_training_packages_name_the_install(tmp_path: Path) -> None:
    done = blocked("evaluate", "strokes", "--style", "strokes", "--content", str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.strip().endswith("pip install 'fast-nst[train]'")


def test_models_of_one_name_are_told_apart(tiny_model: Path, tmp_path: Path) -> None:
    for run in ("a", "b"):
        (tmp_path / run).mkdir()
        (tmp_path / run / "model.onnx").write_bytes(tiny_model.read_bytes())
    (tmp_path / "a.onnx").write_bytes(tiny_model.read_bytes())
    names = named_models([str(tmp_path / "a"), str(tmp_path / "b"), str(tmp_path / "a.onnx")])
    assert list(names)[1] == "b"
    assert len(names) == 3
    assert list(names)[2] == str(tmp_path / "a.onnx")


def test_styles_of_a_file_of_many_stand_beside_each_other(
    gallery_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (50, 90), (9, 99, 200)).save(tmp_path / "a.png")
    models = [f"{gallery_model}:{style}" for style in ("waves", "waves:0.5+udnie:0.5")]
    arguments = ["--artefacts", "--content", str(tmp_path), "--output", str(tmp_path / "card")]
    assert main(["evaluate", *models, *arguments]) == 0
    assert "| gallery:waves:0.5+udnie:0.5 |" in capsys.readouterr().out
    methods = json.loads((tmp_path / "card" / "scorecard.json").read_text())["quality"]["methods"]
    assert list(methods) == ["photograph", "gallery:waves", "gallery:waves:0.5+udnie:0.5"]
    assert methods["gallery:waves"] != methods["gallery:waves:0.5+udnie:0.5"]
    assert main(["evaluate", str(gallery_model), *arguments]) == 2
    assert "name one behind a colon, gallery:waves, of waves, scream, udnie" in capsys.readouterr().err
