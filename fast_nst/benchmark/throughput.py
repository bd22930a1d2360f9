"""`fast-nst benchmark training`: images/s of a recipe's step, by what makes it faster.

Any recipe or option of `fast-nst train` sets what is trained. Pictures are noise that lies on the device
already and decoding is not part of it; weights that would be downloaded are random. Neither changes the
time of a step.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path  # noqa: F401 - this and other types: jsonargparse looks up those of TrainConfig here
from typing import Literal  # noqa: F401

import torch

from fast_nst.benchmark.networks import RoundsOptions, start_report
from fast_nst.benchmark.report import BenchmarkReport
from fast_nst.benchmark.rounds import Subject, measure
from fast_nst.config import LogConfig, OptimizerConfig, TrainConfig  # noqa: F401
from fast_nst.data.content import DataConfig  # noqa: F401
from fast_nst.errors import UserError
from fast_nst.lists import comma_separated
from fast_nst.losses.config import LossConfig  # noqa: F401
from fast_nst.networks.features import RANDOM
from fast_nst.networks.transform import TransformConfig  # noqa: F401

WORKER = ("-m", "fast_nst.benchmark.throughput_worker")
PLAIN, PEER = "fp32", "examples"
IMPROVEMENTS = ("channels_last", "bf16", "compile", "fused")


@dataclass
class TrainingBenchmark(RoundsOptions, TrainConfig):
    """What step is measured, in which variants; all other options as in `fast-nst train`."""

    rounds: int = 3
    """Times everything is measured anew, in turns; six give a 95 % interval."""
    seconds: float = 3.0
    """Seconds of measured steps per variant and round, at least three steps."""
    variants: str | None = None
    """With commas between: fp32 (none of the others), any of channels_last, bf16, compile and fused (the
    optimizer) with + between, or examples, the loop of pytorch/examples under VGG16 up to relu4_3.
    Default: each added to the one before; compile only on a GPU."""
    threads: int | None = None
    """CPU threads. Default: one per core."""

    def __post_init__(self) -> None:
        RoundsOptions.__post_init__(self)
        TrainConfig.__post_init__(self)
        if self.threads is not None and self.threads < 1:
            raise UserError(f"--threads must be at least 1, not {self.threads}")
        for variant in comma_separated(self.variants or PLAIN):
            unknown = set(variant.split("+")) - set(IMPROVEMENTS)
            if unknown and variant not in (PLAIN, PEER):
                known = ", ".join((PLAIN, *IMPROVEMENTS, PEER))
                raise UserError(
                    f"--variants: {variant!r} is none of {known}, nor a sum like channels_last+bf16"
                )

    def train_config(self) -> TrainConfig:
        """The recipe alone, without anything to download."""
        config = TrainConfig(**{field.name: getattr(self, field.name) for field in fields(TrainConfig)})
        untrained = f"{config.loss.network}-random"
        if untrained not in RANDOM:
            return config
        return replace(config, loss=replace(config.loss, network=untrained))


def benchmark_training(options: TrainingBenchmark) -> BenchmarkReport:
    """Measure a training step in every variant; compared with the first.

    Raises UserError for an output that cannot be written. What fails in a worker is told by the report.
    """
    on_gpu = torch.cuda.is_available()
    report = start_report(options, [options.threads] if options.threads else [])
    report.kind = "training"
    report.machine["torch"] = torch.__version__
    chosen = comma_separated(options.variants) if options.variants else default_variants(on_gpu)
    config = options.train_config()
    subjects = [Subject(name, WORKER, {"variant": name, "config": config.to_dict()}) for name in chosen]
    size = config.data.size
    condition = {"width": size, "height": size, "batch": config.data.batch, "threads": options.threads}
    report.cells = measure(subjects, [condition], rounds=options.rounds, seconds=options.seconds)
    return report


def default_variants(on_gpu: bool) -> list[str]:
    """fp32, then each improvement beside all before it."""
    added = [name for name in IMPROVEMENTS if on_gpu or name != "compile"]
    return [PLAIN, *("+".join(added[: count + 1]) for count in range(len(added)))]
