"""One style or mixture taken out of a file of many: the graph for tiles, and the file of a single style."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import pytest
import torch
from onnx import helper

from fast_nst import Stylizer
from fast_nst.arguments import ExportOptions
from fast_nst.cli import main
from fast_nst.contract import STYLES, StyleInfo, styles_to_json
from fast_nst.errors import UserError
from fast_nst.export import PLAIN_OPS, PixelGraph, export_onnx, measure_parity
from fast_nst.networks.transform import TransformConfig, TransformNetwork
from fast_nst.runtime.fold import fold_style
from fast_nst.runtime.tiled.anysize import AnySizeStylizer
from fast_nst.runtime.tiled.stylizer import TiledStylizer
from fast_nst.twins.export import export_file

pytestmark = pytest.mark.slow

MIXTURE = "waves:0.6,udnie:0.4"
ROOT = Path(__file__).parents[2]


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)


def export_style(source: Path | str, style: str | None, output: Path) -> None:
    export_file(str(source), ExportOptions(output, style))


@pytest.fixture(scope="module")
def folded(gallery_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("folded") / "mine.onnx"
    arguments = ["export", str(gallery_model), "--style", MIXTURE, "--output", str(path)]
    assert main(arguments) == 0
    return path


# --- the file of a single style ------------------------------------------------------------------


@pytest.mark.parametrize("style", ["scream", MIXTURE])
def test_a_style_taken_out_paints_as_the_file_of_many(
    gallery_model: Path, tmp_path: Path, style: str
) -> None:
    export_style(gallery_model, style, tmp_path / "one.onnx")
    one, many = Stylizer(tmp_path / "one.onnx", threads=1), Stylizer(gallery_model, style, threads=1)
    for n, height, width in ((1, 1, 1), (1, 7, 5), (3, 33, 50), (3, 64, 64), (2, 97, 130), (1, 333, 517)):
        image = noise(n, height, width)
        assert np.abs(one(image).astype(int) - many(image)).max() <= 1


@pytest.mark.parametrize("kind", ["fast", "johnson"])
def test_it_is_the_graph_that_torch_exports_of_one_style(
    kind: Literal["fast", "johnson"], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    network = TransformNetwork(TransformConfig(4, 1, kind, antialias=True), styles=3)
    with torch.no_grad():
        for norm in network.norms().values():
            norm.weight.copy_(torch.rand_like(norm.weight) * 2)
    styles = styles_to_json([StyleInfo(name) for name in ("a", "b", "c")])
    export_onnx(network, tmp_path / "many.onnx", {STYLES: styles})
    export_style(tmp_path / "many.onnx", "b:1,c:3", tmp_path / "folded.onnx")
    one = network.with_styles(torch.tensor([[0, 0.25, 0.75]]))
    export_onnx(one, tmp_path / "one.onnx", {})
    ops = [
        sorted(node.op_type for node in onnx.load(tmp_path / name).graph.node)
        for name in ("folded.onnx", "one.onnx")
    ]
    assert ops[0] == ops[1]
    assert measure_parity(PixelGraph(one), tmp_path / "folded.onnx", [(1, 9, 9), (3, 50, 41)]).worst <= 1


def test_it_keeps_the_contract_of_a_single_style(folded: Path) -> None:
    model = onnx.load(folded)
    onnx.checker.check_model(model, full_check=True)
    assert [value.name for value in model.graph.input] == ["image"]
    constants = {item.name for item in model.graph.initializer}
    norms = [node for node in model.graph.node if node.op_type == "InstanceNormalization"]
    assert norms
    assert all(constants.issuperset(node.input[1:]) for node in norms)
    assert constants == constants & {name for node in model.graph.node for name in node.input}  # none unused
    assert {node.op_type for node in model.graph.node} <= PLAIN_OPS


def test_it_says_what_it_is_made_of(folded: Path, gallery_model: Path) -> None:
    about = Stylizer(folded, "waves:0.6,udnie:0.4").metadata
    assert STYLES not in about
    assert about["style"] == MIXTURE
    assert about["license"] == "CC0-1.0 and unspecified"
    assert about["attribution"] == "Hokusai"
    assert json.loads(about["parity"])["worst_grey_levels"] <= 1
    assert about["network"] == Stylizer(gallery_model).metadata["network"]
    single = folded.with_name("single.onnx")
    export_style(f"{gallery_model}:scream", None, single)
    about = Stylizer(single).metadata
    found = [about[key] for key in ("style", "license", "attribution", "style_sha256")]
    assert found == ["scream", "CC-BY-4.0", "Munch", "cd"]


def test_taking_a_style_out_needs_no_torch(gallery_model: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from fast_nst.cli import main\n"
        "sys.exit(main(['export', sys.argv[1], '--style', 'waves', '-o', sys.argv[2]]))"
    )
    out = str(tmp_path / "new" / "waves.onnx")
    done = subprocess.run([sys.executable, "-c", code, str(gallery_model), out], cwd=ROOT, check=False)
    assert done.returncode == 0
    assert Stylizer(out).style == {"waves": 1.0}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--style", "wave", "-o", "x.onnx"], "did you mean waves?"),
        (["--style", "waves"], "--output is missing"),
        (["--style", "waves", "-o", "x.onnx", "--opset", "20"], "has opset 22"),
        (["--style", "waves", "-o", "MODEL"], "is the file itself"),
        (["--style", "waves", "-o", "MODEL/x.onnx"], "cannot write"),
    ],
)
def test_what_cannot_be_taken_out_is_one_clear_line(
    gallery_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    before = gallery_model.read_bytes()
    named = [argument.replace("MODEL", str(gallery_model)) for argument in arguments]
    assert main(["export", str(gallery_model), *named]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())
    assert gallery_model.read_bytes() == before


def test_styles_that_reach_beyond_the_norms_are_not_taken_out(gallery_model: Path) -> None:
    model = onnx.load(gallery_model)
    last = model.graph.node[-1]
    last.output[0] = "before"
    model.graph.node.extend(
        [
            helper.make_node("ReduceMin", ["style_weights"], ["least"], keepdims=0),
            helper.make_node("Cast", ["least"], ["tint"], to=onnx.TensorProto.UINT8),
            helper.make_node("Add", ["before", "tint"], ["stylized"]),
        ]
    )
    stylizer = Stylizer(gallery_model, "waves", threads=1)
    with pytest.raises(UserError, match="not in the norms alone"):
        fold_style(model, stylizer.style_rows(None), "odd.onnx", stylizer.open)


# --- tiles ---------------------------------------------------------------------------------------


def test_tiles_of_a_file_of_many_give_the_whole_picture(gallery_model: Path) -> None:
    stylizer = Stylizer(gallery_model, "waves", threads=1)
    tiled, picture = TiledStylizer(stylizer, 64), noise(150, 210)
    for style in ("waves", MIXTURE, "scream"):  # the stylizer's, whenever it changes
        stylizer.style = style
        assert np.abs(tiled(picture).astype(int) - stylizer(picture)).max() <= 1


def test_a_large_picture_in_a_style_of_many_runs_in_tiles_by_itself(gallery_model: Path) -> None:
    stylizer = Stylizer(gallery_model, MIXTURE, threads=1)
    large = AnySizeStylizer(stylizer, 96)
    assert large.in_tiles(200, 100)
    picture = noise(200, 100)
    assert np.abs(large(picture).astype(int) - stylizer(picture)).max() <= 1
