"""Training a style: what the run folder holds, precision, recovery, warm start, more processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fast_nst.cli import main
from fast_nst.networks.transform import load_transform
from fast_nst.runtime.stylizer import Stylizer
from fast_nst.shipped import checkpoints_dir

pytestmark = pytest.mark.slow


def weights(folder: Path) -> torch.Tensor:
    network, _ = load_transform(folder / "model.safetensors")
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


def events(folder: Path) -> EventAccumulator:
    accumulator = EventAccumulator(str(folder / "tensorboard"))
    accumulator.Reload()
    return accumulator


def validation(folder: Path) -> float:
    return float(events(folder).Scalars("validation/total")[-1].value)


def train(quick: list[str], folder: Path, *more: str) -> int:
    return main(["train", *quick, "--output", str(folder), *more])


def test_a_run_folder_holds_all_of_it(quick: list[str], tmp_path: Path, capfd: object) -> None:
    folder = tmp_path / "run"
    assert train(quick, folder, "--steps", "6", "--log.validate", "3", "--license", "CC0") == 0
    names = {path.name for path in folder.iterdir()}
    assert names == {
        *("config.yaml", "tensorboard", "samples", "checkpoint"),
        *("model.safetensors", "model.onnx", "card.md", "preview.jpg"),
    }
    found = events(folder)
    scalars = set(found.Tags()["scalars"])
    layers = {f"style/{tap}" for tap in ("relu1_2", "relu2_2", "relu3_3", "relu4_3")}
    for name in {"total", "content", "style", "tv", *layers}:
        assert {f"train/{name}", f"validation/{name}"} <= scalars
    assert {"train/lr", "train/images_per_second"} <= scalars
    assert found.Tags()["images"] == ["samples"]
    assert len(list((folder / "samples").glob("*.jpg"))) == 2
    assert Image.open(folder / "preview.jpg").width > 100
    stylizer = Stylizer(folder / "model.onnx")
    config = json.loads(stylizer.metadata["config"])
    assert config["loss"]["network"] == "vgg16"
    assert stylizer.metadata["license"] == "CC0"
    assert len(stylizer.metadata["style_sha256"]) == 64
    assert str(tmp_path) not in "".join(stylizer.metadata.values())
    card = (folder / "card.md").read_text()
    assert "validation total" in card
    assert "preview.jpg" in card


def test_the_saved_config_trains_the_same_network_again(quick: list[str], tmp_path: Path) -> None:
    assert train(quick, tmp_path / "a", "--steps", "3") == 0
    again = ["train", "--config", str(tmp_path / "a" / "config.yaml"), "--output", str(tmp_path / "b")]
    assert main(again) == 0
    assert torch.equal(weights(tmp_path / "a"), weights(tmp_path / "b"))
    saved = yaml.safe_load((tmp_path / "b" / "config.yaml").read_text())
    assert saved["steps"] == 3


LONGER = [
    *("--network.width", "8", "--data.size", "48", "--data.validation", "6", "--loss.style_size", "128"),
    *("--steps", "80", "--optimizer.lr", "0.001", "--optimizer.ema", "0.9"),
    # At 48 px the deeper layers have a few positions only: too few to compare two precisions by.
    *("--loss.style-taps", "[relu1_2,relu2_2,relu3_3]", "--loss.content-tap", "relu3_3"),
]


@pytest.fixture(scope="module")
def trained(quick: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a few dozen steps in float32."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    assert train(quick, folder, *LONGER) == 0
    return folder


def test_training_lowers_the_validation_loss(quick: list[str], trained: Path, tmp_path: Path) -> None:
    assert train(quick, tmp_path / "run", *LONGER, "--steps", "1") == 0
    assert validation(trained) < 0.8 * validation(tmp_path / "run")


def test_bf16_trains_to_the_same_validation_loss(quick: list[str], trained: Path, tmp_path: Path) -> None:
    assert train(quick, tmp_path / "bf16", *LONGER, "--mixed-precision", "bf16") == 0
    assert validation(tmp_path / "bf16") == pytest.approx(validation(trained), rel=0.05)
    assert not torch.equal(weights(tmp_path / "bf16"), weights(trained))  # it was another path


def test_fp16_without_a_gpu_is_refused_in_words(
    quick: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    assert train(quick, tmp_path / "run", "--mixed-precision", "fp16") == 2
    assert "--mixed-precision fp16 needs a GPU" in capsys.readouterr().err


def test_accumulated_batches_equal_one_large_batch(quick: list[str], tmp_path: Path) -> None:
    more = ("--steps", "3", "--data.batch", "4", "--optimizer.clip", "0", "--log.every", "1")
    assert train(quick, tmp_path / "whole", *more) == 0
    halves = ("--data.batch", "2", "--optimizer.accumulate", "2")
    assert train(quick, tmp_path / "halves", *more, *halves) == 0
    # Adam turns the smallest gradients, float noise, into full steps: compared is how far the weights went.
    assert train(quick, tmp_path / "start", "--steps", "1", "--optimizer.lr", "1e-12") == 0
    whole, halves, start = (weights(tmp_path / name) for name in ("whole", "halves", "start"))
    assert (whole - halves).norm() < 0.1 * (whole - start).norm()
    for term in ("total", "content", "style"):  # of the whole step, not of its last batch
        logged = [events(tmp_path / name).Scalars(f"train/{term}")[0].value for name in ("whole", "halves")]
        assert logged[0] == pytest.approx(logged[1], rel=1e-4)


def test_a_hopeless_weight_is_skipped_rolled_back_and_given_up_in_words(
    quick: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    assert train(quick, tmp_path / "run", "--steps", "60", "--loss.weights.style", "3e38") == 2
    assert "not finite, step skipped" in caplog.text
    assert "rolled back to the weights of step 0; learning rate halved" in caplog.text
    error = capsys.readouterr().err.splitlines()[-1]
    assert "lower --optimizer.lr or --loss.weights" in error
    assert not (tmp_path / "run" / "model.onnx").exists()


def test_a_run_without_one_good_step_does_not_end_well(
    quick: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It exported random weights and exited with 0."""
    assert train(quick, tmp_path / "run", "--steps", "4", "--loss.weights.style", "3e38") == 2
    assert "nothing was learned: 4 of 4 steps" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "run" / "model.onnx").exists()


def test_taps_smoothing_and_pooling_are_resolved_and_saved(quick: list[str], tmp_path: Path) -> None:
    more = (
        "--loss.style-taps",
        "[relu1_1, relu2_2]",
        "--loss.smoothing",
        "true",
        "--loss.pooling",
        "average",
    )
    assert train(quick, tmp_path / "run", "--steps", "2", *more) == 0
    saved = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["loss"]
    assert saved["style_taps"] == ["relu1_1", "relu2_2"]
    assert saved["content_tap"] == "relu3_3"
    assert (saved["smoothing"], saved["pooling"]) == (True, "average")
    assert "validation/style/relu2_2" in events(tmp_path / "run").Tags()["scalars"]
    assert train(quick, tmp_path / "run", "--steps", "2", "--resume", *more) == 0


def test_a_warm_start_begins_where_the_other_style_ended(quick: list[str], tmp_path: Path) -> None:
    assert train(quick, tmp_path / "first", "--steps", "3") == 0
    more = ("--init-from", str(tmp_path / "first"), "--steps", "1", "--optimizer.lr", "1e-9")
    assert train(quick, tmp_path / "second", *more) == 0
    assert torch.allclose(weights(tmp_path / "second"), weights(tmp_path / "first"), atol=1e-6)


def test_a_warm_start_from_another_architecture_is_refused(
    quick: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(quick, tmp_path / "first", "--steps", "1") == 0
    more = ("--init-from", str(tmp_path / "first"), "--network.width", "8")
    assert train(quick, tmp_path / "second", *more) == 2
    assert "--network.width 4" in capsys.readouterr().err
    assert not (tmp_path / "second").exists()


def test_a_misspelled_network_to_start_from_is_named_beside_those_that_ship(
    quick: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(quick, tmp_path / "run", "--init-from", "galery") == 2
    said = capsys.readouterr().err
    assert "--init-from galery: no such run or weights file" in said
    assert "gallery" in said


def test_unreadable_content_is_skipped_counted_and_named(
    quick: list[str], photographs: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = tmp_path / "content"
    content.mkdir()
    for path in photographs.glob("*.png"):
        (content / path.name).write_bytes(path.read_bytes())
    (content / "broken.jpg").write_bytes(b"broken")
    assert train(quick, tmp_path / "run", "--content", str(content), "--steps", "12") == 0
    assert caplog.text.count("skipped unreadable content picture") == 1
    assert "broken.jpg" in caplog.text
    assert "| unreadable pictures | 1 |" in (tmp_path / "run" / "card.md").read_text()


def test_a_plain_picture_has_no_checkerboard_whatever_was_learned(quick: list[str], tmp_path: Path) -> None:
    more = ("--network.kind", "fast", "--optimizer.lr", "0.1", "--optimizer.warmup", "0", "--steps", "6")
    assert train(quick, tmp_path / "run", *more) == 0
    painted = Stylizer(tmp_path / "run" / "model.onnx")(np.full((64, 64, 3), 99, np.uint8))[16:-16, 16:-16]
    assert np.ptp(painted.reshape(-1, 3), axis=0).max() == 0
    state = load_transform(tmp_path / "run" / "model.safetensors")[0].head.state_dict()
    assert state["0.weight"].unflatten(0, (3, 4)).std(1).max() > 0.01  # the four pixels differ all the same


def test_local_folders_stay_out_of_the_exported_file(
    quick: list[str], photographs: Path, tmp_path: Path
) -> None:
    assert train(quick, tmp_path / "first", "--steps", "1") == 0
    weights_file = checkpoints_dir() / "vgg16.safetensors"
    more = ("--init-from", str(tmp_path / "first"), "--data.validation-content", str(photographs))
    more += ("--loss.network", str(weights_file), "--steps", "1")
    assert train(quick, tmp_path / "second", *more) == 0
    text = "".join(Stylizer(tmp_path / "second" / "model.onnx").metadata.values())
    for folder in (tmp_path, photographs.parent, weights_file.parent):
        assert str(folder) not in text
    assert json.loads(Stylizer(tmp_path / "second" / "model.onnx").metadata["config"])["init_from"] == "first"


GRADIENTS = """
import sys, torch
from accelerate import Accelerator
from torch import nn
from fast_nst.training import style

real = Accelerator.clip_grad_norm_
def keep(self, parameters, *args, **kwargs):
    parameters = list(parameters)
    flat = torch.cat([p.grad.flatten() for p in parameters])
    if self.is_main_process:
        torch.save(flat, sys.argv[1])
    return real(self, parameters, *args, **kwargs)
Accelerator.clip_grad_norm_ = keep

from fast_nst.cli import main
sys.exit(main(sys.argv[2:]))
"""


def test_two_processes_train_as_one_with_twice_the_batch(quick: list[str], tmp_path: Path) -> None:
    script = tmp_path / "gradients.py"
    script.write_text(GRADIENTS)
    # `accelerate launch --cpu` starts one process whatever --num_processes says, unless it has MPI.
    launch = ["torch.distributed.run", "--nproc_per_node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    gradients = {}
    for name, start, batch in (("two", ["-m", *launch], 2), ("one", [], 4)):
        options = [*quick, "--data.batch", str(batch), "--steps", "1", "--output", str(tmp_path / name)]
        target = tmp_path / f"{name}.pt"
        arguments = [sys.executable, *start, str(script), str(target), "train", *options]
        done = subprocess.run(arguments, capture_output=True, text=True, env=environment, timeout=240)
        assert done.returncode == 0, done.stderr[-3000:]
        assert done.stdout.splitlines() == [str(tmp_path / name / "model.onnx")]  # once, not per process
        gradients[name] = torch.load(target, weights_only=True)
    one, two = gradients["one"], gradients["two"]
    assert float((one - two).norm() / one.norm()) < 1e-4
    assert np.isclose(validation(tmp_path / "two"), validation(tmp_path / "one"), rtol=0.01)


def test_a_long_attribution_does_not_cost_the_finished_training(quick: list[str], tmp_path: Path) -> None:
    """It was looked up as a file's name, which the system refuses beyond 255 bytes."""
    more = ("--steps", "1", "--attribution", "a | b " * 60)
    assert train(quick, tmp_path / "run", *more) == 0
    assert Stylizer(tmp_path / "run" / "model.onnx").metadata["attribution"] == "a | b " * 60
    card = (tmp_path / "run" / "card.md").read_text()
    row = next(line for line in card.splitlines() if line.startswith("| attribution"))
    assert row.replace("\\|", "").count("|") == 3


def test_local_folders_stay_out_of_the_card(quick: list[str], photographs: Path, tmp_path: Path) -> None:
    assert train(quick, tmp_path / "run", "--steps", "1") == 0
    assert str(photographs.parent) not in (tmp_path / "run" / "card.md").read_text()


def test_a_full_gpu_is_said_in_words(
    quick: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(self: torch.nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(torch.nn.Conv2d, "forward", full)
    assert train(quick, tmp_path / "run", "--steps", "1") == 2
    assert "lower --data.batch" in capsys.readouterr().err.splitlines()[-1]


def test_stability_makes_frames_stand_still(quick: list[str], tmp_path: Path) -> None:
    """At equal training, what is painted of a shifted picture is nearer to the shifted painting."""
    more = ("--network.kind", "fast", "--network.width", "8", "--data.size", "48", "--optimizer.ema", "0")
    pictures = torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(1))
    pictures = torch.nn.functional.interpolate(pictures, 96, mode="bicubic").clamp(0, 1)
    shifted = torch.roll(pictures, (1, 1), (2, 3))
    errors = {}
    for weight in ("0", "50"):
        folder = tmp_path / weight
        assert train(quick, folder, *more, "--steps", "60", "--loss.stability", weight) == 0
        network, _ = load_transform(folder / "model.safetensors")
        with torch.no_grad():
            moved, painted = network(shifted), torch.roll(network(pictures), (1, 1), (2, 3))
        inside = (..., slice(16, 80), slice(16, 80))
        errors[weight] = float((moved - painted)[inside].square().mean() / painted[inside].var())
    assert errors["50"] < 0.7 * errors["0"], errors
    assert "train/stability" in events(tmp_path / "50").Tags()["scalars"]
