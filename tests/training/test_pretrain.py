"""Pretraining on many styles: what it writes, that styles stay apart, resume."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from fast_nst.cli import main
from fast_nst.networks.multistyle import MultiStyleNetwork
from fast_nst.networks.transform import TransformConfig, TransformNetwork, load_transform
from fast_nst.training import pretrain


@pytest.fixture(scope="module")
def paintings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("paintings")
    rng = np.random.default_rng(0)
    for name, cell in (("coarse", 16), ("fine", 4), ("flat", 64)):
        cells = rng.integers(0, 255, (64 // cell, 64 // cell, 3)).astype(np.uint8)
        Image.fromarray(cells).resize((64, 64), Image.Resampling.NEAREST).save(folder / f"{name}.png")
    return folder


def arguments(paintings: Path, photographs: Path, output: Path) -> list[str]:
    return [
        *("pretrain", "--styles", str(paintings), "--content", str(photographs), "--output", str(output)),
        *("--loss.network", "vgg19-compact", "--loss.style-size", "64", "--network.width", "4"),
        *("--network.blocks", "1", "--network.kind", "fast", "--data.size", "32", "--data.batch", "2"),
        *("--data.workers", "0", "--optimizer.warmup", "1", "--loss.stability", "1", "--license", "CC0"),
    ]


def test_a_new_style_starts_from_it(
    paintings: Path, photographs: Path, quick: list[str], tmp_path: Path
) -> None:
    base, each = tmp_path / "base.safetensors", tmp_path / "each"
    assert (
        main(
            [
                *arguments(paintings, photographs, base),
                "--steps",
                "3",
                "--each",
                str(each),
                "--mixed-precision",
                "bf16",
            ]
        )
        == 0
    )
    network, about = load_transform(base)
    assert network.config == TransformConfig(4, 1, "fast")
    assert about["license"] == "CC0"
    assert sorted(path.stem for path in each.iterdir()) == ["coarse", "fine", "flat"]
    run = ["train", *quick, "--network.kind", "fast", "--init-from", str(base), "--steps", "2"]
    assert main([*run, "--output", str(tmp_path / "run")]) == 0
    assert main([*run, "--output", str(tmp_path / "other"), "--network.blocks", "2"]) == 2


def test_it_resumes_to_the_same_weights(
    paintings: Path, photographs: Path, tmp_path: Path, monkeypatch
) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(pretrain, "SAVE_EVERY", 2)
    whole, parts = tmp_path / "whole.safetensors", tmp_path / "parts.safetensors"
    assert main([*arguments(paintings, photographs, whole), "--steps", "4"]) == 0

    class Stop(Exception):
        pass

    def stop(step: int, *_: object) -> float:
        if step == 3:
            raise Stop
        return real(step, *_)  # type: ignore[arg-type]

    real = pretrain.warm_up_and_cosine
    with monkeypatch.context() as patch:
        patch.setattr(pretrain, "warm_up_and_cosine", stop)
        with pytest.raises(Stop):
            main([*arguments(paintings, photographs, parts), "--steps", "4"])
    assert not parts.exists()
    assert main([*arguments(paintings, photographs, parts), "--steps", "4"]) == 2  # a state lies there
    assert (
        main([*arguments(paintings, photographs, parts), "--steps", "5", "--resume"]) == 2
    )  # another recipe
    assert main([*arguments(paintings, photographs, parts), "--steps", "4", "--resume"]) == 0
    assert parts.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("folder", ["", "one", "missing"])
def test_fewer_than_two_styles_are_refused(folder: str, photographs: Path, tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "one").mkdir()
    Image.new("RGB", (32, 32)).save(tmp_path / "one" / "a.png")
    call = ["pretrain", "--styles", str(tmp_path / folder) if folder else "", "--content", str(photographs)]
    assert main([*call, "--output", str(tmp_path / "b.safetensors")]) == 2
    assert "--styles" in capsys.readouterr().err


def test_the_styles_share_convolutions_and_nothing_else() -> None:
    torch.manual_seed(0)
    network = MultiStyleNetwork(TransformConfig(4, 1), 2)
    images = torch.rand(1, 3, 32, 32)
    assert torch.equal(network(images, 0), network(images, 1))
    network(images, 0).mean().backward()
    for own in network.own:
        assert own.grad is not None
        assert own.grad[1].abs().max() == 0
    with torch.no_grad():
        network.own[0][1] += 1
    assert not torch.equal(network(images, 0), network(images, 1))
    assert torch.equal(network.single(1)(images), network(images, 1))


def test_a_trained_network_can_be_the_start_of_all() -> None:
    torch.manual_seed(0)
    start = TransformNetwork(TransformConfig(4, 1))
    for parameter in start.parameters():
        torch.nn.init.normal_(parameter)
    network = MultiStyleNetwork(TransformConfig(4, 1), 3)
    network.load_shared(start)
    images = torch.rand(1, 3, 32, 32)
    for style in (0, 2, None):
        assert torch.allclose(network.single(style)(images), start(images), atol=1e-3)


def test_a_shipped_base_was_not_found(paintings: Path, photographs: Path, tmp_path: Path) -> None:
    """`train --init-from base-tiny` knew it, `pretrain` did not."""
    call = [*arguments(paintings, photographs, tmp_path / "b.safetensors"), "--init-from", "base-tiny"]
    assert main([*call, "--network.width", "16", "--network.blocks", "3", "--steps", "2"]) == 0


def test_another_architecture_was_told_as_a_python_object(
    paintings: Path, photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = [*arguments(paintings, photographs, tmp_path / "b.safetensors"), "--init-from", "base-tiny"]
    assert main(call) == 2
    assert "add --network.kind fast --network.width 16 --network.blocks 3" in capsys.readouterr().err


def test_a_step_that_is_not_finite_was_a_traceback(
    paintings: Path, photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "b.safetensors"
    call = [*arguments(paintings, photographs, output), "--optimizer.lr", "1e30", "--steps", "5"]
    assert main(call) == 2
    assert "is not finite: lower --optimizer.lr" in capsys.readouterr().err.splitlines()[-1]
    assert not output.exists()


@pytest.mark.parametrize("option", [("--optimizer.weight-decay", "10"), ("--optimizer.name", "adam")])
def test_the_choice_of_optimizer_was_ignored(
    option: tuple[str, str], paintings: Path, photographs: Path, tmp_path: Path
) -> None:
    """AdamW without weight decay was all there was."""
    more = ("--steps", "3", "--optimizer.weight-decay", "1", "--optimizer.lr", "0.05")
    files = [tmp_path / name for name in ("one.safetensors", "other.safetensors")]
    assert main([*arguments(paintings, photographs, files[0]), *more]) == 0
    assert main([*arguments(paintings, photographs, files[1]), *more, *option]) == 0
    one, other = (torch.cat([p.flatten() for p in load_transform(f)[0].parameters()]) for f in files)
    assert not torch.allclose(one, other, atol=1e-3)


@pytest.mark.parametrize("option", [("--optimizer.accumulate", "4"), ("--loss.teacher", "runs/other")])
def test_what_pretraining_cannot_do_was_ignored(
    option: tuple[str, str],
    paintings: Path,
    photographs: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([*arguments(paintings, photographs, tmp_path / "b.safetensors"), *option]) == 2
    assert option[0] in capsys.readouterr().err


def test_each_naming_a_file_was_told_after_the_last_step_and_of_the_output(
    paintings: Path, photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taken, output = tmp_path / "taken", tmp_path / "b.safetensors"
    taken.write_text("")
    call = [*arguments(paintings, photographs, output), "--steps", "2", "--each", str(taken)]
    assert main(call) == 2
    assert f"--each {taken} must be a folder" in capsys.readouterr().err
    assert not output.with_suffix(".pretrain").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_it_lost_all_since_the_last_save(
    number: signal.Signals,
    paintings: Path,
    photographs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It was silent about it, too; a signal to all processes must leave the data workers their work."""
    whole, parts = tmp_path / "whole.safetensors", tmp_path / "parts.safetensors"
    more = ("--steps", "4", "--data.workers", "1")
    assert main([*arguments(paintings, photographs, whole), *more]) == 0
    real = pretrain.backward

    def signalled(*given: Any) -> dict[str, float]:
        if given[-1] == 1:  # in the second step
            for child in multiprocessing.active_children():
                os.kill(child.pid or 0, signal.SIGINT)
            os.kill(os.getpid(), number)
        return real(*given)

    with monkeypatch.context() as patch:
        patch.setattr(pretrain, "backward", signalled)
        assert main([*arguments(paintings, photographs, parts), *more]) == 128 + number
    assert "stopped at step 2, state saved: go on with --resume" in capsys.readouterr().err
    assert not parts.exists()
    assert main([*arguments(paintings, photographs, parts), *more, "--resume"]) == 0
    assert parts.read_bytes() == whole.read_bytes()
