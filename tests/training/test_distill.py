"""Distillation: a short one, its resume, the measure of fidelity."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from fast_nst.cli import main
from fast_nst.errors import UserError
from fast_nst.networks.features import LossNetwork, load_loss_network
from fast_nst.networks.vgg import build_vgg19
from fast_nst.training.distill import DistillConfig, distill
from fast_nst.training.fidelity import make_pairs, measure_fidelity
from fast_nst.training.student import LAYERS, Student
from fast_nst.training.versions import changed_versions


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    layers = build_vgg19((8, 16, 32, 32, 32), "relu5_1")
    for layer in layers:
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(layer.weight)
    names = {name: index for index, name in enumerate(n for n, _ in build_vgg19().named_children())}
    state = {
        f"features.{names[key.split('.')[0]]}.{key.split('.')[1]}": value
        for key, value in layers.state_dict().items()
    }
    path = tmp_path_factory.mktemp("teacher") / "teacher.pth"
    torch.save(state, path)
    return path


def config(teacher: Path, photographs: Path, output: Path, **more: object) -> DistillConfig:
    settings = {"steps": 3, "batch": 3, "size": 32, "workers": 0, **more}
    return DistillConfig(str(teacher), str(photographs), output=output, **settings)  # type: ignore[arg-type]


def test_the_student_is_a_loss_network_of_a_quarter_width(
    teacher: Path, photographs: Path, tmp_path: Path
) -> None:
    path = distill(config(teacher, photographs, tmp_path / "student.safetensors"))
    network = load_loss_network(str(path))
    assert network.info.name == "vgg19-compact"
    assert "teacher.pth" in network.info.origin
    images = torch.rand(1, 3, 64, 64)
    assert network(images, ["relu5_1"])["relu5_1"].shape == (1, 128, 4, 4)
    assert network(torch.rand(1, 3, 16, 16), ["relu5_1"])["relu5_1"].shape == (1, 128, 1, 1)
    assert path.stat().st_size < 2_000_000


def test_the_saved_network_is_the_student_without_batch_normalization() -> None:
    torch.manual_seed(0)
    student = Student(dict.fromkeys(LAYERS, 8)).train()
    student(torch.rand(4, 3, 48, 48))  # moves the running statistics
    images = torch.rand(2, 3, 48, 48)
    plain = student.folded()
    assert not any(isinstance(layer, torch.nn.BatchNorm2d) for layer in plain.modules())
    assert student.training
    expected = student.eval()(images)[0]["relu5_1"]
    got = plain((images - student.mean) / student.std)
    assert torch.allclose(got, expected, atol=1e-4)


def test_a_finished_distillation_resumed_changes_nothing(
    teacher: Path, photographs: Path, tmp_path: Path
) -> None:
    first = distill(config(teacher, photographs, tmp_path / "student.safetensors"))
    before = first.read_bytes()
    distill(config(teacher, photographs, first, resume=True))
    assert first.read_bytes() == before


def test_what_was_distilled_before_is_not_overwritten(
    teacher: Path, photographs: Path, tmp_path: Path
) -> None:
    (tmp_path / "student.safetensors").write_bytes(b"hours of work")
    with pytest.raises(UserError, match="is there already"):
        distill(config(teacher, photographs, tmp_path / "student.safetensors"))


def test_a_foreign_state_is_named(teacher: Path, photographs: Path, tmp_path: Path) -> None:
    (tmp_path / "student.distill").write_bytes(b"something else")
    with pytest.raises(UserError, match=r"student\.distill is not the state"):
        distill(config(teacher, photographs, tmp_path / "student.safetensors", resume=True))


def test_it_needs_a_folder_of_photographs(teacher: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--content DIR"):
        distill(DistillConfig(str(teacher), "builtin", output=tmp_path / "s.safetensors"))


def test_changed_versions_stay_pictures_and_depend_on_the_generator_alone() -> None:
    images = torch.rand(12, 3, 32, 32)
    a = changed_versions(images, images.roll(1, 0), torch.Generator().manual_seed(1))
    b = changed_versions(images, images.roll(1, 0), torch.Generator().manual_seed(1))
    assert torch.equal(a, b)
    assert a.shape == images.shape
    assert a.min() >= 0
    assert a.max() <= 1
    assert not torch.equal(a, images)


def test_a_network_is_wholly_faithful_to_itself_and_less_to_noise(teacher: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    photographs = [torch.rand(1, 3, 64, 64, generator=generator) for _ in range(6)]
    paintings = [torch.rand(1, 3, 64, 64, generator=generator).round()]
    pairs = make_pairs(photographs, paintings, lambda image: image.flip(-1))
    network = load_loss_network(str(teacher))
    same = measure_fidelity(network, network, pairs)
    assert same.style == pytest.approx(1)
    assert same.content == pytest.approx(1)
    assert same.pairs == 24

    class Random(LossNetwork):
        def forward(self, images: torch.Tensor, taps: object) -> dict[str, torch.Tensor]:
            features = super().forward(images, taps)  # type: ignore[arg-type]
            return {tap: torch.rand_like(value) for tap, value in features.items()}

    noise = Random(network.info, network.layers, "")
    assert measure_fidelity(network, noise, pairs).style < 0.9


def test_an_interrupted_distillation_goes_on_to_the_same_file(
    teacher: Path, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fast_nst.training.distill.SAVE_EVERY", 2)
    whole = distill(config(teacher, photographs, tmp_path / "whole.safetensors", steps=4))

    stopped = tmp_path / "stopped.safetensors"
    with monkeypatch.context() as until_saved:
        until_saved.setattr(torch.nn.utils, "clip_grad_norm_", killed_after(2))
        with pytest.raises(KeyboardInterrupt):
            distill(config(teacher, photographs, stopped, steps=4))
    distill(config(teacher, photographs, stopped, steps=4, resume=True))
    assert stopped.read_bytes() == whole.read_bytes()


def killed_after(calls: int) -> Callable[..., torch.Tensor]:
    real, count = torch.nn.utils.clip_grad_norm_, 0

    def clip(*arguments: Any) -> torch.Tensor:
        nonlocal count
        count += 1
        if count > calls:
            raise KeyboardInterrupt
        return real(*arguments)

    return clip


def test_other_settings_do_not_resume_a_distillation(
    teacher: Path, photographs: Path, tmp_path: Path
) -> None:
    path = distill(config(teacher, photographs, tmp_path / "student.safetensors"))
    with pytest.raises(UserError, match=r"--lr is 0\.5, the distillation was started with 0\.01"):
        distill(config(teacher, photographs, path, resume=True, lr=0.5))


def test_a_second_round_begins_where_the_first_ended_and_sees_stylized_pictures(
    teacher: Path, photographs: Path, tmp_path: Path
) -> None:
    first = distill(config(teacher, photographs, tmp_path / "first.safetensors"))
    more = {"batch": 4, "steps": 2, "lr": 1e-9, "init_from": first.with_suffix(".distill")}
    styles, stylized = tmp_path / "styles", tmp_path / "stylized" / "a"
    for folder in (styles, stylized):
        folder.mkdir(parents=True)
    Image.new("RGB", (64, 64), (200, 90, 20)).save(styles / "a.png")
    Image.new("RGB", (64, 64), (20, 90, 200)).save(stylized / "b.png")
    more |= {"styles": str(styles)}
    second = distill(config(teacher, photographs, tmp_path / "second.safetensors", **more))
    ours, theirs = (load_file(path)["conv1_1.weight"] for path in (first, second))
    assert torch.allclose(ours, theirs, rtol=0.2, atol=0.02)  # running statistics move a little
    more |= {"stylized": str(stylized.parent)}
    third = distill(config(teacher, photographs, tmp_path / "third.safetensors", **more))
    assert third.read_bytes() != second.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--output", "mynet"], "must end in .safetensors"),
        (["--distance-weight", "-5"], "--distance-weight must be"),
    ],
)
def test_settings_that_would_spoil_the_result_are_refused(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["backbone", "distill", *arguments]) == 2
    assert words in capsys.readouterr().err
