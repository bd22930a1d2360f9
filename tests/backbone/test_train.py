"""Training a backbone: it learns, resumes bit for bit, follows validation, and becomes a loss network."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from signaled import signaled
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fast_nst.backbone.accuracy import measure_accuracy, wilson_interval
from fast_nst.backbone.classifier import VGG19, ClassifierConfig, load_backbone, save_backbone
from fast_nst.backbone.labelled import Labelled, LabelledConfig, open_labelled
from fast_nst.cli import main
from fast_nst.errors import UserError
from fast_nst.networks.features import CONTENT_TAP, STYLE_TAPS, load_loss_network

pytestmark = pytest.mark.slow

CLASSES = ("circle", "line", "square")


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes that a network tells apart in a minute: a folder each, 40 pictures."""
    root = tmp_path_factory.mktemp("shapes")
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:36, :36]
    for name in CLASSES:
        (root / name).mkdir()
        for index in range(40):
            x, y = rng.integers(12, 24, 2)
            mask = {
                "circle": (rows - y) ** 2 + (columns - x) ** 2 < 60,
                "line": abs(rows - y) < 2,
                "square": (abs(rows - y) < 9) & (abs(columns - x) < 9) & ((rows + columns) % 4 < 2),
            }[name]
            pixels = rng.integers(0, 90, (36, 36, 3)) + 150 * mask[..., None] * rng.uniform(0.6, 1, 3)
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(root / name / f"{index}.png")
    return root


@pytest.fixture(scope="module")
def quick_backbone(shapes: Path) -> list[str]:
    """Arguments of a run of a few seconds."""
    return [
        *("--data.source", str(shapes), "--data.batch", "16", "--data.workers", "0", "--epochs", "3"),
        *("--network.width", "8", "--network.hidden", "32", "--network.dropout", "0.2"),
        *("--optimizer.warmup", "2", "--log-every", "2"),
    ]


def run(arguments: list[str], folder: Path, *more: str) -> int:
    return main(["backbone", "train", *arguments, "--output", str(folder), *more])


def scalars(folder: Path, name: str) -> list[float]:
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    return [event.value for event in events.Scalars(name)]


@pytest.fixture(scope="module")
def trained(quick_backbone: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "run"
    assert run(quick_backbone, folder, "--epochs", "12", "--license", "CC0") == 0
    return folder


def test_it_learns_and_tells_how_well(
    trained: Path, shapes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert scalars(trained, "validation/top1")[-1] > 0.9
    assert len(scalars(trained, "validation/loss")) == 12
    assert {"train/loss", "train/lr", "train/images_per_second"} <= tags(trained, "scalars")
    assert "worst classes/text_summary" in tags(trained, "tensors")
    card = (trained / "card.md").read_text()
    assert "top-1" in card
    assert "| class | right |" in card
    assert main(["backbone", "evaluate", str(trained), "--source", str(shapes)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("top-1 ")
    assert "top-5 100.00% [" in printed
    assert "of 12 pictures" in printed


def test_accuracy_is_measured_in_float32_in_a_run_of_bf16(
    quick_backbone: list[str], shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(quick_backbone, tmp_path / "run", "--epochs", "1", "--mixed-precision", "bf16") == 0
    assert (
        capsys.readouterr().out == f"{tmp_path / 'run' / 'model.safetensors'}\n"
    )  # and progress is not a result
    network, _ = load_backbone(tmp_path / "run" / "model.safetensors")
    data = open_labelled(LabelledConfig(source=str(shapes)))
    exact = measure_accuracy(network, data.validation, 32, 16).loss
    assert scalars(tmp_path / "run", "validation/loss")[0] == pytest.approx(exact, rel=1e-5)


def tags(folder: Path, kind: str) -> set[str]:
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    return set(events.Tags()[kind])


def test_the_file_is_a_loss_network_at_once(trained: Path, quick: list[str], tmp_path: Path) -> None:
    network = load_loss_network(str(trained / "model.safetensors"))
    assert network.info.license == "CC0"
    assert network.info.name.startswith("vgg19-shapes")
    features = network(torch.rand(1, 3, 64, 48), (*STYLE_TAPS, CONTENT_TAP))
    assert features["relu4_2"].shape == (1, 64, 8, 6)
    classifier, _ = load_backbone(trained)
    images = torch.rand(2, 3, 64, 64)
    normal = (images - classifier.mean) / classifier.std
    upto = classifier.layers[: [n for n, _ in classifier.layers.named_children()].index("relu2_1") + 1]
    expected = upto(normal)[..., 8:-8, 8:-8]  # borders aside: the loss network pads its first layer otherwise
    found = network(images, ["relu2_1"])["relu2_1"][..., 8:-8, 8:-8]
    assert torch.allclose(found, expected, atol=1e-5)
    arguments = [str(trained / "model.safetensors") if a == "vgg16" else a for a in quick]
    assert main(["train", *arguments, "--output", str(tmp_path / "style"), "--steps", "2"]) == 0


def test_folding_the_batch_norm_away_changes_nothing() -> None:
    torch.manual_seed(0)
    network = VGG19(ClassifierConfig(width=4, hidden=8), 5)
    for _ in range(3):
        network(torch.rand(8, 3, 40, 33))  # moves the running statistics
    network.eval()
    images = torch.rand(2, 3, 70, 45)
    assert torch.allclose(network.folded()(images), network(images), atol=1e-4)


@pytest.mark.parametrize("size", [(32, 32), (45, 70), (224, 224)])
@pytest.mark.parametrize("batch_norm", [True, False])
def test_any_input_size_and_the_data_sets_own_classes(size: tuple[int, int], batch_norm: bool) -> None:
    network = VGG19(ClassifierConfig(width=4, hidden=8, batch_norm=batch_norm), 7).eval()
    convolutions = [layer for layer in network.layers if isinstance(layer, torch.nn.Conv2d)]
    assert len(convolutions) == 16
    assert network(torch.rand(2, 3, *size)).shape == (2, 7)


def test_kaiming_initialization_keeps_the_variance_through_sixteen_layers() -> None:
    torch.manual_seed(0)
    network = VGG19(ClassifierConfig(width=16, batch_norm=False), 10)
    deep = network.layers(torch.randn(2, 3, 64, 64))
    assert 0.1 < float(deep.square().mean()) < 30


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_killed_run_resumes_to_the_same_bytes(
    quick_backbone: list[str], tmp_path: Path, workers: str
) -> None:
    more = ("--epochs", "4", "--data.workers", workers)
    assert run(quick_backbone, tmp_path / "whole", *more) == 0
    command = ["backbone", "train", *quick_backbone, *more, "--output", str(tmp_path / "parts"), "--resume"]
    # 97 pictures to train on make 6 batches of 16: while the states of the second and third epoch are saved.
    for step, number, code in ((12, signal.SIGKILL, -signal.SIGKILL), (18, signal.SIGINT, 130)):
        assert subprocess.run(signaled(number, f"step-{step:08d}", 4, *command)).returncode == code
    assert run(quick_backbone, tmp_path / "parts", *more, "--resume") == 0
    files = [tmp_path / name / "model.safetensors" for name in ("whole", "parts")]
    assert tensors(files[0]) == tensors(files[1])
    for name in ("validation/loss", "train/loss"):
        assert scalars(tmp_path / "whole", name) == scalars(tmp_path / "parts", name)


def tensors(path: Path) -> list[bytes]:
    network, _ = load_backbone(path)
    return [value.numpy().tobytes() for value in network.state_dict().values()]


def test_the_plateau_follows_the_validation_loss_alone(quick_backbone: list[str], tmp_path: Path) -> None:
    """In the project this one grew from it was stepped on an empty list, and the rate fell to 1e-8 unseen."""
    more = (
        "--optimizer.lr",
        "1e-3",
        "--optimizer.patience",
        "0",
        "--optimizer.factor",
        "0.1",
        "--epochs",
        "16",
    )
    assert run(quick_backbone, tmp_path / "run", *more) == 0
    losses = scalars(tmp_path / "run", "validation/loss")
    epochs = [rate for i, rate in enumerate(scalars(tmp_path / "run", "train/lr")) if i % 3 == 2]
    expected, best, rate = [], float("inf"), 1e-3
    for loss in losses:
        expected.append(rate)
        if loss < best * (1 - 1e-4):
            best = loss
        else:
            rate = max(rate * 0.1, 1e-6)
    assert epochs == pytest.approx(expected)
    assert epochs[-1] < epochs[0]  # with no patience at all it fell at least once


def test_the_best_weights_by_validation_are_kept(trained: Path, shapes: Path) -> None:
    losses = scalars(trained, "validation/loss")
    network, about = load_backbone(trained)
    assert about["best_epoch"] == int(np.argmin(losses)) + 1
    validation = open_labelled(LabelledConfig(source=str(shapes))).validation
    assert measure_accuracy(network, validation, 32, 16).loss == pytest.approx(min(losses), rel=1e-3)


def test_dropout_and_batch_norm_are_on_in_training_and_off_in_judging() -> None:
    """The project this one grew from trained in eval mode."""
    network = VGG19(ClassifierConfig(width=4, hidden=16), 3).train()
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (32, 32, 3), np.uint8) for _ in range(6)]
    data = Labelled(pictures, np.arange(6) % 3, CLASSES)
    first, second = (measure_accuracy(network, data, 32, 4) for _ in range(2))
    assert first.loss == second.loss
    assert network.training
    images = torch.rand(2, 3, 32, 32)
    assert not torch.equal(network(images), network(images))


def test_bf16_trains_too(quick_backbone: list[str], tmp_path: Path) -> None:
    assert run(quick_backbone, tmp_path / "run", "--epochs", "8", "--mixed-precision", "bf16") == 0
    assert scalars(tmp_path / "run", "validation/top1")[-1] > 0.5


def test_confusions_are_named() -> None:
    class Says(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.tensor([0.0, 1.0, 0.5]).expand(len(images), 3)

    pictures = [np.zeros((32, 32, 3), np.uint8)] * 6
    found = measure_accuracy(Says(), Labelled(pictures, np.array([0, 0, 1, 1, 1, 2]), CLASSES), 32, 4)
    assert found.top1 == pytest.approx(0.5)
    assert found.top5 == 1
    assert found.worst(CLASSES, 1) == [("circle", 0.0, "line", 1.0)]


def test_the_confidence_interval_is_wilsons() -> None:
    assert wilson_interval(0.5, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)
    assert wilson_interval(1.0, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)
    assert wilson_interval(0.0, 10)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--optimizer.lr", "1e30", "--optimizer.clip", "0", "--network.batch_norm", "false"], "the loss is"),
        (["--data.size", "16"], "--data.size must be at least 32"),
        (["--epochs", "0"], "--epochs must be at least 1"),
        (["--optimizer.schedule", "step"], "plateau"),
        (["--data.source", "nowhere at all"], "neither"),
        (["--mixed-precision", "fp16"], "fp16 needs a GPU"),
        (["--network.widht", "8"], "widht"),
        (["--network.dropout", "1"], "--network.dropout must be"),
    ],
)
def test_what_a_user_gets_wrong_is_one_line(
    quick_backbone: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    if torch.cuda.is_available() and "fp16" in arguments:
        pytest.skip("there is a GPU here")
    assert run(quick_backbone, tmp_path / "run", *arguments) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert words in error
    assert error.startswith("fast-nst: ")


def test_a_backbone_for_other_classes_is_refused(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for index in range(8):
            Image.new("RGB", (32, 32), (index, 0, 0)).save(tmp_path / name / f"{index}.png")
    assert main(["backbone", "evaluate", str(trained), "--source", str(tmp_path)]) == 2
    assert "knows 3 classes (circle, line, square ...)" in capsys.readouterr().err
    assert main(["backbone", "evaluate", str(tmp_path / "none"), "--source", str(tmp_path)]) == 2
    assert "there is no backbone" in capsys.readouterr().err


def test_a_tap_deeper_than_the_backbone_is_named(trained: Path) -> None:
    with pytest.raises(UserError, match=r"has no tap relu6_1: it has conv1_1 \.\.\. pool5"):
        load_loss_network(str(trained / "model.safetensors"), ["relu6_1"])


def test_a_file_without_its_head_is_damaged(tmp_path: Path) -> None:
    network = VGG19(ClassifierConfig(width=4, hidden=8), 2)
    about = {"name": "x", "license": "MIT", "origin": "a test"}
    save_backbone(network, tmp_path / "a.safetensors", ("one", "two", "three"), about)
    with pytest.raises(UserError, match="is damaged"):
        load_backbone(tmp_path / "a.safetensors")


def test_it_is_judged_at_the_size_and_split_of_its_training(
    quick_backbone: list[str], shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was judged at 32 px, whatever it was trained at, and on training pictures with another share."""
    more = ("--epochs", "1", "--data.size", "40", "--data.test-share", "0.3")
    assert run(quick_backbone, tmp_path / "run", *more) == 0
    _, about = load_backbone(tmp_path / "run")
    capsys.readouterr()
    assert main(["backbone", "evaluate", str(tmp_path / "run"), "--source", str(shapes)]) == 0
    assert f"top-1 {about['test']['top1']:.2%}" in (printed := capsys.readouterr().out)
    assert "of 36 pictures" in printed
    assert main(["backbone", "evaluate", str(tmp_path / "run"), "--test", str(shapes)]) == 0
    assert "of 120 pictures" in capsys.readouterr().out


def test_a_validation_loss_that_is_no_number_ends_the_run(
    quick_backbone: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It kept the untrained weights and exited with 0."""
    more = ("--epochs", "1", "--data.batch", "96", "--optimizer.lr", "1e30", "--optimizer.clip", "0")
    assert run(quick_backbone, tmp_path / "run", *more, "--optimizer.warmup", "0") == 2
    assert "the loss is" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_other_pictures_are_not_gone_on_with(
    quick_backbone: list[str], shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A renamed class went on under its new name."""
    shutil.copytree(shapes, tmp_path / "shapes")
    arguments = [str(tmp_path / "shapes") if a == str(shapes) else a for a in quick_backbone]
    assert run(arguments, tmp_path / "run", "--epochs", "1") == 0
    (tmp_path / "shapes" / "line").rename(tmp_path / "shapes" / "lime")
    assert run(arguments, tmp_path / "run", "--epochs", "1", "--resume") == 2
    assert "have changed since" in capsys.readouterr().err


WATCHED = """
import hashlib, json, os, sys
from torch.optim.lr_scheduler import ReduceLROnPlateau
from fast_nst.cli import main
step = ReduceLROnPlateau.step
def watched(self, loss, *more):
    step(self, loss, *more)
    weights = hashlib.sha256()
    for group in self.optimizer.param_groups:
        for parameter in group["params"]:
            weights.update(parameter.detach().numpy().tobytes())
    seen = {"loss": float(loss), "rate": self.optimizer.param_groups[0]["lr"], "weights": weights.hexdigest()}
    with open(f"{sys.argv[0]}.{os.environ['RANK']}", "a") as file:
        print(json.dumps(seen), file=file)
ReduceLROnPlateau.step = watched
sys.exit(main(sys.argv[1:]))
"""


def test_two_processes_agree_on_rate_and_weights(quick_backbone: list[str], tmp_path: Path) -> None:
    """Each follows the validation loss of one: with its own, the rates of two could part."""
    script = tmp_path / "watched.py"
    script.write_text(WATCHED)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", str(script)]
    command += ["backbone", "train", *quick_backbone, "--data.batch", "8", "--output", str(tmp_path / "run")]
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    first, second = ((tmp_path / f"watched.py.{rank}").read_text().splitlines() for rank in (0, 1))
    assert first == second
    assert len(set(first)) == 3  # epochs
    load_backbone(tmp_path / "run")
