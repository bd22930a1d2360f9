"""Networks trained by pytorch/examples' fast_neural_style paint as they did, under the ONNX contract."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from fast_nst.cli import main
from fast_nst.runtime.stylizer import Stylizer

pytestmark = pytest.mark.slow

WIDTH = 8


def their_weights(width: int = WIDTH, blocks: int = 5) -> dict[str, Tensor]:
    """Random ones, named and shaped as theirs; the output has contrast and is cut off here and there."""
    random = torch.Generator().manual_seed(0)
    state: dict[str, Tensor] = {}

    def layer(conv: str, norm: str | None, into: int, out: int, kernel: int) -> None:
        deviation = (into * kernel**2) ** -0.5
        state[f"{conv}.conv2d.weight"] = torch.randn(out, into, kernel, kernel, generator=random) * deviation
        state[f"{conv}.conv2d.bias"] = torch.randn(out, generator=random)
        if norm is not None:
            state[f"{norm}.weight"] = 1 + 0.3 * torch.randn(out, generator=random)
            state[f"{norm}.bias"] = 0.3 * torch.randn(out, generator=random)

    layer("conv1", "in1", 3, width, 9)
    layer("conv2", "in2", width, 2 * width, 3)
    layer("conv3", "in3", 2 * width, 4 * width, 3)
    for number in range(1, blocks + 1):
        for half in (1, 2):
            layer(f"res{number}.conv{half}", f"res{number}.in{half}", 4 * width, 4 * width, 3)
    layer("deconv1", "in4", 4 * width, 2 * width, 3)
    layer("deconv2", "in5", 2 * width, width, 3)
    layer("deconv3", None, width, 3, 9)
    state["deconv3.conv2d.weight"] *= 90
    state["deconv3.conv2d.bias"] = torch.tensor([100.0, 128.0, 150.0])
    return state


def their_painting(state: dict[str, Tensor], picture: np.ndarray, blocks: int = 5) -> np.ndarray:
    """What their network gives for uint8 [H, W, 3], rounded, not truncated."""

    def conv(x: Tensor, name: str, stride: int = 1) -> Tensor:
        weight = state[f"{name}.conv2d.weight"]
        padded = F.pad(x, [weight.shape[-1] // 2] * 4, mode="reflect")
        return F.conv2d(padded, weight, state[f"{name}.conv2d.bias"], stride)

    def norm(x: Tensor, name: str) -> Tensor:
        return F.instance_norm(x, weight=state[f"{name}.weight"], bias=state[f"{name}.bias"])

    def twice(x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=2, mode="nearest")

    x = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
    for number, stride in ((1, 1), (2, 2), (3, 2)):
        x = norm(conv(x, f"conv{number}", stride), f"in{number}").relu()
    for number in range(1, blocks + 1):
        y = norm(conv(x, f"res{number}.conv1"), f"res{number}.in1").relu()
        x = x + norm(conv(y, f"res{number}.conv2"), f"res{number}.in2")
    x = norm(conv(twice(x), "deconv1"), "in4").relu()
    x = norm(conv(twice(x), "deconv2"), "in5").relu()
    y = conv(x, "deconv3").clamp(0, 255)
    return y[0].permute(1, 2, 0).round().byte().numpy()


def noise(height: int, width: int) -> np.ndarray:
    ramp = np.linspace(0, 200, height)[:, None, None] * np.linspace(0.2, 1, width)[:, None]
    return (ramp + np.random.default_rng(0).integers(0, 56, (height, width, 3))).astype(np.uint8)


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    return their_weights()


@pytest.fixture(scope="module")
def imported(weights: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `fast-nst import` makes."""
    folder = tmp_path_factory.mktemp("old")
    torch.save(weights, folder / "candy.pth")
    arguments = [
        "--license",
        "BSD-3-Clause",
        "--attribution",
        "June Tays, Candy",
        "--output",
        str(folder / "run"),
    ]
    assert main(["import", str(folder / "candy.pth"), *arguments]) == 0
    return folder / "run"


@pytest.mark.parametrize("size", [(64, 64), (40, 96), (8, 12), (132, 100)])
def test_it_paints_as_it_did_where_it_was_trained(
    size: tuple[int, int], weights: dict[str, Tensor], imported: Path
) -> None:
    picture = noise(*size)
    expected = their_painting(weights, picture).astype(int)
    assert np.abs(Stylizer(imported / "model.onnx")(picture) - expected).max() <= 1
    assert expected.std() > 20
    assert {0, 255} <= {*expected.flat}, "nothing was cut off, so that cutting it off is not tried"


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (61, 66), (63, 64)])
def test_any_other_size_keeps_its_size_and_is_padded_by_its_edge(
    size: tuple[int, int], weights: dict[str, Tensor], imported: Path
) -> None:
    """They gave the size rounded up to a multiple of 4."""
    picture = noise(*size)
    painted = Stylizer(imported / "model.onnx")(picture)
    assert painted.shape == picture.shape
    if min(size) > 1:  # a flat picture's norms make a picture of rounding errors
        bottom, right = (max(-(-side // 4) * 4, 8) - side for side in size)
        padded = np.pad(picture, ((0, bottom), (0, right), (0, 0)), mode="edge")
        expected = their_painting(weights, padded)[: size[0], : size[1]].astype(int)
        assert np.abs(painted - expected).max() <= 1


def test_file_and_card_say_whose_it_is(imported: Path) -> None:
    about = Stylizer(imported / "model.onnx").metadata
    assert (about["style"], about["width"], about["blocks"]) == ("candy", str(WIDTH), "5")
    assert (about["license"], about["attribution"]) == ("BSD-3-Clause", "June Tays, Candy")
    card = (imported / "card.md").read_text()
    for said in (about["origin"], "BSD-3-Clause", "June Tays, Candy", f"width {WIDTH}", "candy.pth"):
        assert said in card


def test_the_folder_is_a_run_that_is_exported_again(imported: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.onnx"
    assert main(["export", str(imported), "--output", str(again)]) == 0
    picture = noise(33, 35)
    assert np.array_equal(Stylizer(again)(picture), Stylizer(imported / "model.onnx")(picture))


def test_a_style_is_trained_from_it_and_keeps_its_kind_of_output(
    quick: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(their_weights(4, 1), tmp_path / "candy.pth")
    assert main(["import", str(tmp_path / "candy.pth"), "--output", str(tmp_path / "candy")]) == 0
    start = ["train", *quick, "--steps", "1", "--init-from", str(tmp_path / "candy")]
    start += ["--output", str(tmp_path / "new")]
    assert main(start) == 2
    assert "--network.width 4 --network.blocks 1 --network.head linear" in capsys.readouterr().err
    assert main([*start, "--network.head", "linear"]) == 0
    assert Stylizer(tmp_path / "new" / "model.onnx").metadata["head"] == "linear"


def test_other_widths_depths_and_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Old files carry statistics that are not used; without --output the ONNX file stands beside the file."""
    state = their_weights(16, 2)
    statistics = {
        f"{name}.running_{what}": torch.full((16,), 9.0)
        for name in ("in1", "in5")
        for what in ("mean", "var")
    }
    save_file(state | statistics, tmp_path / "rain.safetensors")
    assert main(["import", str(tmp_path / "rain.safetensors")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'rain.onnx'}\n"
    stylizer, picture = Stylizer(tmp_path / "rain.onnx"), noise(48, 32)
    assert np.abs(stylizer(picture) - their_painting(state, picture, 2).astype(int)).max() <= 1
    assert stylizer.metadata["license"] == "unspecified"


def without(state: dict[str, Tensor], *keys: str) -> dict[str, Tensor]:
    return {key: value for key, value in state.items() if key not in keys}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda state: {"features.0.weight": torch.ones(1)}, ["features.0.weight", "conv1.conv2d.weight"]),
        (lambda state: without(state, "in4.bias"), ["lacks in4.bias;"]),
        (lambda state: state | {"saturation.bias": torch.ones(1)}, ["has saturation.bias"]),
        (
            lambda state: state | {"conv2.conv2d.weight": torch.ones(16, 8, 5, 5)},
            ["conv2.conv2d.weight", "5, 5"],
        ),
        (lambda state: [1, 2], ["not a state dict"]),
    ],
)
def test_what_is_no_such_network_is_named_in_one_line(
    change: object,
    named: list[str],
    weights: dict[str, Tensor],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    torch.save(change(weights), tmp_path / "other.pth")  # type: ignore[operator]
    assert main(["import", str(tmp_path / "other.pth")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    for name in ("other.pth", *named):
        assert name in line
    assert not (tmp_path / "other.onnx").exists()


def test_a_folder_with_a_network_is_left_alone(imported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (imported / "model.safetensors").read_bytes()
    assert main(["import", str(imported.parent / "candy.pth"), "--output", str(imported)]) == 2
    assert "holds a network already" in capsys.readouterr().err
    assert (imported / "model.safetensors").read_bytes() == before
