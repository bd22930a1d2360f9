"""Styles of a training: one picture or a folder of them, and the weights they start from."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fast_nst.cli import main
from fast_nst.config import TrainConfig
from fast_nst.contract import read_styles
from fast_nst.data.crops import load_image
from fast_nst.errors import UserError
from fast_nst.losses.config import LossWeights
from fast_nst.losses.perceptual import PerceptualLoss
from fast_nst.networks.features import load_loss_network
from fast_nst.networks.transform import TransformNetwork, load_transform
from fast_nst.training.styles import draw_styles, find_styles

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def paintings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three styles that could not be more different: red noise, green stripes, blue blocks."""
    folder = tmp_path_factory.mktemp("paintings")
    rng = np.random.default_rng(0)
    for channel, name in enumerate(("noise", "stripes", "blocks")):
        pixels = np.full((80, 96, 3), 40, np.uint8)
        texture = {
            "noise": rng.integers(0, 256, (80, 96)),
            "stripes": np.broadcast_to((np.arange(96) // 3 % 2) * 255, (80, 96)),
            "blocks": np.kron(rng.integers(0, 2, (5, 6)) * 255, np.ones((16, 16))),
        }[name]
        pixels[..., channel] = texture
        Image.fromarray(pixels).save(folder / f"{name}.png")
    (folder / "styles.yaml").write_text("noise: {attribution: A. Painter, license: CC0}\n")
    return folder


def train(quick: list[str], style: Path | str, folder: Path, *more: str) -> int:
    return main(["train", *quick, "--style", str(style), "--output", str(folder), *more])


@pytest.fixture(scope="module")
def many(quick: list[str], paintings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three styles."""
    folder = tmp_path_factory.mktemp("many") / "run"
    more = ("--steps", "80", "--network.kind", "fast", "--network.width", "8", "--data.batch", "3")
    more += ("--optimizer.lr", "0.02", "--optimizer.ema", "0.9", "--loss.weights.content", "0.1")
    assert train(quick, paintings, folder, *more) == 0
    return folder


def without_architecture(quick: list[str]) -> list[str]:
    """The arguments less --network.*: a network started from brings its own."""
    pairs = zip(quick[::2], quick[1::2], strict=True)
    return [word for name, value in pairs if not name.startswith("--network.") for word in (name, value)]


def norms(network: TransformNetwork, row: int) -> torch.Tensor:
    return torch.cat([p.detach()[row] for norm in network.norms().values() for p in norm.parameters()])


def convolutions(network: TransformNetwork) -> torch.Tensor:
    own = {id(p) for norm in network.norms().values() for p in norm.parameters()}
    return torch.cat([p.detach().flatten() for p in network.parameters() if id(p) not in own])


def test_a_folder_becomes_one_network_in_which_each_style_paints_like_its_picture(
    many: Path, paintings: Path
) -> None:
    network, about = load_transform(many / "model.safetensors")
    names = [style.name for style in read_styles(about)]
    assert names == ["blocks", "noise", "stripes"]
    judge = load_loss_network("vgg16")
    pictures = [load_image(paintings / f"{name}.png", 64) for name in names]
    loss = PerceptualLoss(judge, pictures, judge.info.style_taps, judge.info.content_tap, LossWeights())
    content = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        painted = torch.cat([network(content, row[None]) for row in torch.eye(3)])
        for number in range(3):
            losses = [float(loss(one[None], content, torch.tensor([number]))["style"]) for one in painted]
            assert min(losses) == losses[number], (names[number], losses)


def test_the_file_and_the_card_say_who_painted_each_style(many: Path) -> None:
    network, about = load_transform(many / "model.onnx")
    first = {style.name: style for style in read_styles(about)}["noise"]
    assert (first.license, first.attribution) == ("CC0", "A. Painter")
    assert len(first.picture_sha256) == 64
    assert network.styles == 3
    card = (many / "card.md").read_text()
    assert "| noise |" in card
    assert "A. Painter" in card
    assert json.loads(about["parity"])["worst_grey_levels"] <= 1


def test_validation_is_told_for_each_style(many: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(many / "tensorboard"))
    found.Reload()
    scalars = found.Tags()["scalars"]
    assert {"validation/style", "validation_style/blocks", "validation_content/stripes"} <= set(scalars)


def test_a_style_that_is_known_goes_on_from_its_own_norms(
    quick: list[str], paintings: Path, many: Path, tmp_path: Path
) -> None:
    more = ("--init-from", str(many), "--steps", "1", "--optimizer.lr", "1e-9")
    quick = without_architecture(quick)
    assert train(quick, paintings / "stripes.png", tmp_path / "run", *more) == 0
    network, _ = load_transform(tmp_path / "run" / "model.safetensors")
    former, _ = load_transform(many / "model.safetensors")
    assert network.styles == 1
    assert torch.allclose(norms(network, 0), norms(former, 2), atol=1e-6)
    assert torch.allclose(convolutions(network), convolutions(former), atol=1e-6)


def test_a_new_style_starts_from_the_nearest_and_learns_its_norms_alone(
    quick: list[str], paintings: Path, many: Path, tmp_path: Path
) -> None:
    pixels = np.asarray(Image.open(paintings / "stripes.png"))
    Image.fromarray(np.roll(pixels, 2, 1)).save(tmp_path / "others.png")  # stripes, but another file
    quick = without_architecture(quick)
    more = ("--init-from", str(many / "model.onnx"), "--train", "norms", "--steps", "4")
    more += ("--optimizer.weight-decay", "0.1")
    assert train(quick, tmp_path / "others.png", tmp_path / "run", *more) == 0
    network, _ = load_transform(tmp_path / "run" / "model.safetensors")
    former, _ = load_transform(many / "model.safetensors")
    assert torch.equal(convolutions(network), convolutions(former))
    far = [float((norms(network, 0) - norms(former, row)).norm()) for row in range(3)]
    assert min(far) == far[2]
    assert far[2] > 0


def test_an_interrupted_run_of_many_styles_goes_on_to_the_same_weights(
    quick: list[str], paintings: Path, tmp_path: Path
) -> None:
    more = ("--steps", "5", "--log.checkpoint", "2")
    assert train(quick, paintings, tmp_path / "whole", *more) == 0
    assert train(quick, paintings, tmp_path / "parts", *more) == 0
    for path in (tmp_path / "parts" / "checkpoint").iterdir():
        if not path.name.endswith("4"):
            path.rename(tmp_path / path.name)  # as if it had been killed behind step 4
    (tmp_path / "parts" / "model.safetensors").unlink()
    assert train(quick, paintings, tmp_path / "parts", *more, "--resume") == 0
    first, second = (load_transform(tmp_path / name / "model.safetensors")[0] for name in ("whole", "parts"))
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name


def test_every_style_is_drawn_as_often_as_the_others() -> None:
    drawn = torch.cat([draw_styles(3, first, 4, 5) for first in range(0, 100, 4)])
    assert set(Counter(drawn.tolist()).values()) == {20}
    assert torch.equal(draw_styles(3, 8, 4, 5), drawn[8:12])
    assert drawn[:5].tolist() != drawn[5:10].tolist()


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda folder: (folder / "styles.yaml").write_text("- a\n- b\n"), "styles.yaml must map NAME"),
        (lambda folder: (folder / "noise.jpg").write_bytes(b""), "more than one picture called noise"),
    ],
)
def test_a_folder_of_styles_that_is_not_in_order_is_named(
    spoil: object, named: str, paintings: Path, tmp_path: Path
) -> None:
    for path in paintings.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    spoil(tmp_path)  # type: ignore[operator]
    with pytest.raises(UserError, match=named):
        find_styles(TrainConfig(style=str(tmp_path)))
