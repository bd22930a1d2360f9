"""The per-image baseline: it goes down, the same way each time, in one go or two, and says what is wrong."""

from __future__ import annotations

import copy
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from signaled import signaled
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fast_nst.cli import main
from fast_nst.data.builtin import heldout_photographs
from fast_nst.data.crops import to_float, to_tensor
from fast_nst.errors import UserError
from fast_nst.losses.config import PerceptualConfig
from fast_nst.per_image.descent import Descent
from fast_nst.per_image.optimize import OptimizeConfig, Step, optimize, scale_sizes

pytestmark = pytest.mark.slow

VGG16 = ("--loss.network", "vgg16")
SMALL = (*VGG16, "--size", "48", "--iterations", "6")


@pytest.fixture(scope="module")
def photograph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small, oblong photograph."""
    path = tmp_path_factory.mktemp("photograph") / "chelsea.png"
    Image.fromarray(heldout_photographs()[0][1]).resize((96, 64)).save(path)
    return path


def picture(path: Path) -> torch.Tensor:
    return to_float(to_tensor(np.asarray(Image.open(path))))[None]


def config(**fields: object) -> OptimizeConfig:
    return OptimizeConfig(loss=PerceptualConfig(network="vgg16"), size=48, **fields)  # type: ignore[arg-type]


def test_the_result_has_the_contents_aspect_and_a_lower_loss(photograph: Path, tmp_path: Path) -> None:
    out, log = tmp_path / "deep" / "out.png", tmp_path / "log"
    arguments = ["optimize", str(photograph), "strokes", *SMALL, "--output", str(out)]
    assert main([*arguments, "--log", str(log), "--every", "3"]) == 0
    assert Image.open(out).size == (48, 32)
    events = EventAccumulator(str(log / "tensorboard"))
    events.Reload()
    totals = events.Scalars("optimize/total")
    assert [event.step for event in totals] == list(range(7))
    assert totals[-1].value < 0.7 * totals[0].value
    assert {"optimize/content", "optimize/style/relu4_3"} <= set(events.Tags()["scalars"])
    assert [path.name for path in sorted((log / "pictures").iterdir())] == ["000000.jpg", "000003.jpg"]
    assert not list(out.parent.glob("*.state"))


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
@pytest.mark.parametrize("start", ["content", "noise"])
def test_the_same_seed_gives_the_same_bytes(
    photograph: Path, tmp_path: Path, optimizer: str, start: str
) -> None:
    for name in ("a.png", "b.png"):
        out = str(tmp_path / name)
        arguments = ["--optimizer", optimizer, "--start", start, "--output", out]
        assert main(["optimize", str(photograph), "strokes", *SMALL, *arguments]) == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_lbfgs_is_ahead_of_adam_after_as_many_iterations(photograph: Path) -> None:
    content, style = picture(photograph), picture(photograph).flip(1)
    ends = [
        optimize(content, style, config(iterations=40, optimizer=name)).history[-1]["total"]
        for name in ("lbfgs", "adam")
    ]
    assert ends[0] < ends[1]


def test_pixels_stay_in_range_and_history_tells_the_pictures_own_loss(photograph: Path) -> None:
    """A loss measured before the last clipping would be that of a picture nobody gets to see."""
    style = torch.tensor([1.0, 0.0, 1.0]).view(1, 3, 1, 1).expand(1, 3, 64, 64)
    first = optimize(picture(photograph), style, config(iterations=5))
    assert 0 <= first.picture.min() <= first.picture.max() <= 1
    again = optimize(picture(photograph), style, config(iterations=1), start=first.picture)
    assert again.history[0]["total"] == pytest.approx(first.history[-1]["total"], rel=1e-5)


def test_scales_go_from_coarse_to_fine_and_start_from_each_other(photograph: Path) -> None:
    assert scale_sizes(config(coarsest=20)) == [24, 34, 48]
    assert scale_sizes(config()) == [48]
    seen = []
    result = optimize(
        picture(photograph),
        picture(photograph).flip(2),
        config(coarsest=34, iterations=3),
        each=lambda step: seen.append((step.scale, step.iteration, step.descent.picture.shape[-1])),
    )
    assert seen == [(0, 0, 34), (0, 1, 34), (0, 2, 34), (1, 0, 48), (1, 1, 48), (1, 2, 48)]
    assert result.picture.shape == (1, 3, 32, 48)
    assert len(result.history) == 4


@given(width=st.integers(1, 70), height=st.integers(1, 70), size=st.integers(16, 40))
@settings(max_examples=10, deadline=None)
def test_any_shape_of_picture_is_taken(width: int, height: int, size: int) -> None:
    content = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))
    loss = PerceptualConfig(network="vgg16", style_taps=("relu1_1",), content_tap="relu1_2")
    result = optimize(content, content.flip(2), OptimizeConfig(loss=loss, size=size, iterations=1))
    assert max(result.picture.shape[-2:]) == size
    assert torch.isfinite(result.picture).all()


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_an_interrupted_optimization_goes_on_to_the_same_picture(
    photograph: Path, tmp_path: Path, optimizer: str
) -> None:
    """Stopped by the signal a terminal sends, at the second of two scales."""
    arguments = [str(photograph), "strokes", *VGG16, "--size", "48", "--iterations", "30"]
    arguments += ["--coarsest", "34", "--optimizer", optimizer]
    assert main(["optimize", *arguments, "--output", str(tmp_path / "whole.png")]) == 0
    parts = [*arguments, "--output", str(tmp_path / "parts.png"), "--every", "10"]
    parts += ["--log", str(tmp_path / "log")]
    state = tmp_path / "parts.png.state"
    command = signaled(signal.SIGINT, "pictures/000040.jpg", 1, "optimize", *parts)
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 130, done.stderr
    assert "go on with --resume" in done.stderr
    assert scale_of(state) == 1
    assert not (tmp_path / "parts.png").exists()
    assert main(["optimize", *parts, "--resume"]) == 0
    assert (tmp_path / "parts.png").read_bytes() == (tmp_path / "whole.png").read_bytes()
    assert not state.exists()


def scale_of(state: Path) -> int:
    return int(torch.load(state, weights_only=True)["scale"])


def test_a_state_of_other_settings_pictures_or_none_at_all_is_refused(
    photograph: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.png"
    arguments = ["optimize", str(photograph), "strokes", *SMALL, "--output", str(out), "--every", "2"]
    command = [
        sys.executable,
        "-c",
        "import os, sys; from fast_nst import cli; from fast_nst.per_image import",
    ]
    command[-1] += " file as f\nsave = f.save_state\ndef stop(*a): save(*a); os._exit(9)\n"
    command[-1] += "f.save_state, f.SAVE_EVERY = stop, -1\ncli.main(sys.argv[1:])"
    assert subprocess.run([*command, *arguments], env={**os.environ}, check=False).returncode == 9
    for more, words in (
        (("--loss.weights.style", "7"), "--loss.weights.style is 7.0"),
        (("--seed", "3"), "--seed is 3"),
    ):
        assert main([*arguments, "--resume", *more]) == 2
        assert words in capsys.readouterr().err
    other = [str(photograph) if a == "strokes" else a for a in arguments]
    assert main([*other, "--resume"]) == 2
    assert "other pictures" in capsys.readouterr().err
    out.with_name("out.png.state").write_bytes(b"nothing of the kind")
    assert main([*arguments, "--resume"]) == 2
    assert "is damaged" in capsys.readouterr().err


TOO_MUCH = ("--loss.weights.style", "3e38", "--loss.weights.content", "3e38")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--size", "0"], "--size must be at least 1"),
        (["--coarsest", "90"], "--coarsest 90 is larger than --size 48"),
        (["--lr", "-1"], "--lr must be above 0"),
        (["--optimizer", "sgd"], "lbfgs"),
        (["--loss.style-taps", "[relu9_1]"], "has no tap relu9_1"),
        (["--size", "6"], "px is too small for the loss network"),
        (["--start", "nowhere.png"], "nowhere.png"),
        ([*TOO_MUCH, "--start", "noise", "--optimizer", "adam"], "lower --lr or --loss.weights"),
        (["--mixed-precision", "bf16"], "needs --optimizer adam"),
        (["--output", "picture.xyz"], "cannot write the picture format '.xyz'"),
        (["--output", "."], "is a folder"),
    ],
)
def test_what_a_user_gets_wrong_is_one_line(
    photograph: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: list[str], words: str
) -> None:
    out = ["--output", str(tmp_path / "out.png")]
    assert main(["optimize", str(photograph), "strokes", *SMALL, *out, *arguments]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert words in error
    assert error.startswith("fast-nst: ")
    assert not list(tmp_path.iterdir())


def test_bf16_ends_near_float32(photograph: Path) -> None:
    content, style = picture(photograph), picture(photograph).flip(1)
    ends = [
        optimize(content, style, config(iterations=60, optimizer="adam", mixed_precision=precision))
        for precision in ("no", "bf16")
    ]
    totals = [end.history[-1]["total"] for end in ends]
    assert totals[1] == pytest.approx(totals[0], rel=0.1)
    assert totals[1] != totals[0]


def test_what_was_evaluated_is_not_evaluated_again() -> None:
    calls = []

    def bowl(x: torch.Tensor) -> dict[str, torch.Tensor]:
        calls.append(1)
        return {"total": (x - 0.3).square().sum()}

    descent = Descent(torch.full((1, 3, 4, 4), 0.9), bowl)
    for _ in range(5):
        descent.terms()
        descent.step()
    assert descent.terms()["total"] < 1e-8
    assert len(calls) == descent.evaluations <= 8


def test_a_content_that_is_no_picture_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    assert main(["optimize", str(tmp_path / "a.png"), "strokes"]) == 2
    assert "a.png" in capsys.readouterr().err
    assert main(["optimize", "strokes"]) == 2
    assert "takes two pictures" in capsys.readouterr().err


def test_the_python_call_needs_no_files(photograph: Path) -> None:
    loss = PerceptualConfig(network="vgg16", style_taps=("relu7",))
    with pytest.raises(UserError, match="relu7"):
        optimize(picture(photograph), picture(photograph), OptimizeConfig(loss=loss))


class Stop(Exception):
    """Raised by a caller to stop an optimization."""


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
@pytest.mark.parametrize("where", [(0, 1), (1, 0), (1, 4)])
def test_a_state_goes_on_to_the_same_picture_and_history(
    photograph: Path, optimizer: str, where: tuple[int, int]
) -> None:
    pictures = picture(photograph), picture(photograph).flip(2)
    settings = config(coarsest=34, iterations=6, optimizer=optimizer)
    whole = optimize(*pictures, settings)
    states = []

    def stop(step: Step) -> None:
        if (step.scale, step.iteration) == where:
            states.append(copy.deepcopy(step.state()))
            raise Stop

    with pytest.raises(Stop):
        optimize(*pictures, settings, each=stop)
    resumed = optimize(*pictures, settings, state=states[0])
    assert torch.equal(resumed.picture, whole.picture)
    assert resumed.history == whole.history
