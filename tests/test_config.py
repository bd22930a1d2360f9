"""The recipes in configs/ and the schedule they set."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fast_nst.arguments import parse
from fast_nst.backbone.config import BackboneConfig
from fast_nst.config import OptimizerConfig, TrainConfig
from fast_nst.errors import UserError
from fast_nst.training.schedule import learning_rate

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_shipped_recipe_is_valid(path: Path) -> None:
    kind, length = (BackboneConfig, "epochs") if path.stem.startswith("backbone") else (TrainConfig, "steps")
    _, config = parse("train", kind, ["--config", str(path)])
    written = yaml.safe_load(path.read_text())
    assert getattr(config, length) == written[length]


def test_the_promised_recipes_are_there() -> None:
    styles, backbones = {"style", "style-fast", "quickstart"}, {"backbone-cifar100", "backbone-caltech101"}
    assert styles | backbones <= {path.stem for path in CONFIGS}


def test_flags_override_the_recipe() -> None:
    recipe = next(path for path in CONFIGS if path.stem == "style-fast")
    arguments = ["--config", str(recipe), "--steps", "7", "--loss.weights.style", "9", "--compile"]
    _, config = parse("train", TrainConfig, arguments)
    assert (config.steps, config.loss.weights.style, config.compile) == (7, 9, True)


def test_a_resolved_config_is_read_back_as_it_was(tmp_path: Path) -> None:
    config = TrainConfig(style="a.jpg", steps=9, optimizer=OptimizerConfig(name="adam"))
    (tmp_path / "config.yaml").write_text(config.to_yaml())
    _, again = parse("train", TrainConfig, ["--config", str(tmp_path / "config.yaml")])
    assert again.to_dict() == config.to_dict()


@given(steps=st.integers(1, 300), warmup=st.integers(0, 400))
def test_the_learning_rate_rises_then_falls_and_never_vanishes(steps: int, warmup: int) -> None:
    config = TrainConfig(steps=steps, optimizer=OptimizerConfig(warmup=warmup, lr=1.0, final_lr=0.1))
    rates = [learning_rate(step, config) for step in range(steps)]
    assert all(0 < rate <= 1 for rate in rates)
    top = rates.index(max(rates))
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    if steps > 1 and warmup < steps - 1:
        assert rates[-1] == pytest.approx(0.1)


def test_a_changed_setting_is_named_by_its_flag() -> None:
    saved = TrainConfig(style="a.jpg").to_dict()
    changed = TrainConfig(style="a.jpg")
    changed.data.size = 128
    with pytest.raises(UserError, match=r"--data\.size is 128"):
        changed.check_resumable(saved)
    TrainConfig(style="a.jpg", resume=True, license="MIT").check_resumable(saved)
