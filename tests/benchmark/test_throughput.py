"""The training benchmark: a recipe's own step in the variants asked for, offline."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fast_nst.arguments import parse
from fast_nst.benchmark import throughput_worker
from fast_nst.benchmark.report import BenchmarkReport
from fast_nst.benchmark.throughput import TrainingBenchmark, default_variants
from fast_nst.benchmark.throughput_worker import from_dict, our_step, peer_step
from fast_nst.cli import main
from fast_nst.config import TrainConfig
from fast_nst.networks.transform import TransformConfig

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TINY = ["--loss.network", "vgg16", "--loss.style-size", "32", "--network.width", "4"]
TINY += ["--network.blocks", "1", "--data.size", "32", "--data.batch", "2", "--threads", "1"]
VARIANTS = "fp32,channels_last+bf16+fused"


def test_variants_are_measured_against_the_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [*TINY, "--variants", VARIANTS, "--rounds", "1", "--seconds", "0.05"]
    assert main(["benchmark", "training", *arguments, "--output", str(tmp_path)]) == 0
    report = BenchmarkReport.from_json((tmp_path / "benchmark.json").read_text())
    assert report.to_markdown() + "\n" == (tmp_path / "benchmark.md").read_text() == capsys.readouterr().out
    plain, improved = report.cells
    assert plain.facts["flop"] == improved.facts["flop"] > 1e6
    assert (plain.facts["precision"], improved.facts["precision"]) == ("fp32", "bf16")
    rows = [line.split("|")[1:-1] for line in report.to_markdown().splitlines() if line.startswith("| ")]
    heads = [cell.strip() for cell in rows[0]]
    assert [row[0].strip() for row in rows[1:]] == VARIANTS.split(",")
    for row, cell in zip(rows[1:], report.cells, strict=True):
        told = dict(zip(heads, map(str.strip, row), strict=True))
        assert float(told["images/s"]) == pytest.approx(2 / cell.median, rel=0.01)
        share = cell.facts["flop"] / cell.median / cell.facts["peak_flops"]
        assert 0 < share < 1
        assert told["share of peak"] == f"{share:.0%}"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--variants", "fp32,fast"], "--variants: 'fast'"),
        (["--variants", "fp32+bf16"], "--variants: 'fp32+bf16'"),
        (["--data.size", "63"], "--data.size"),
        (["--threads", "0"], "--threads"),
        (["--rounds", "0"], "--rounds"),
        (["--stepz", "3"], "--stepz"),
    ],
)
def test_what_a_user_gets_wrong_is_one_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["benchmark", "training", *arguments]) == 2
    captured = capsys.readouterr()
    assert len(captured.err.strip().splitlines()) == 1
    assert words in captured.err


@pytest.mark.parametrize("recipe", sorted(ROOT.glob("configs/style*.yaml")), ids=lambda path: path.stem)
def test_every_style_recipe_can_be_benchmarked_without_a_download(recipe: Path) -> None:
    _, options = parse("benchmark training", TrainingBenchmark, ["--config", str(recipe)])
    config = options.train_config()
    assert config.loss.network in ("vgg19-random", "resnet50-random", "vgg16")
    assert config.data == options.data
    assert from_dict(TrainConfig, config.to_dict()).to_dict() == config.to_dict()


@pytest.mark.parametrize("variant", ["fp32", "channels_last+fused", "examples"])
def test_the_measured_step_trains(variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def build(config: TransformConfig) -> torch.nn.Module:
        made.append(network := kind(config))
        return network

    kind = throughput_worker.TransformNetwork
    monkeypatch.setattr(throughput_worker, "TransformNetwork", build)
    _, options = parse("benchmark training", TrainingBenchmark, TINY)
    config, device = options.train_config(), torch.device("cpu")
    step = peer_step(config, device) if variant == "examples" else our_step(config, variant, device)
    before = [parameter.detach().clone() for parameter in made[0].parameters()]
    step()
    moved = [not torch.equal(a, b) for a, b in zip(before, made[0].parameters(), strict=True)]
    assert sum(moved) > len(moved) / 2  # biases in front of a norm have no gradient


def test_by_default_improvements_add_up() -> None:
    assert default_variants(on_gpu=False) == [
        *("fp32", "channels_last", "channels_last+bf16", "channels_last+bf16+fused")
    ]
    assert default_variants(on_gpu=True)[-1] == "channels_last+bf16+compile+fused"
