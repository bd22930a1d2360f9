"""The configuration of a backbone's training; a field's docstring is its help text."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from fast_nst.backbone.classifier import ClassifierConfig
from fast_nst.backbone.labelled import LabelledConfig
from fast_nst.config import refuse_differences
from fast_nst.errors import UserError


@dataclass
class BackboneOptimizerConfig:
    """The optimizer and its schedule."""

    name: Literal["adamw", "adam"] = "adamw"
    """adamw or adam."""
    lr: float = 1e-3
    """Learning rate to start from."""
    schedule: Literal["plateau", "cosine"] = "plateau"
    """plateau: multiplied by --optimizer.factor when the validation loss has not fallen for
    --optimizer.patience epochs. cosine: down to nothing over the whole training."""
    factor: float = 0.5
    """What a plateau multiplies the rate by."""
    patience: int = 3
    """Epochs without a lower validation loss before the rate falls."""
    warmup: int = 200
    """Steps of linear warm-up, an epoch at most."""
    weight_decay: float = 0.05
    """Decoupled (adamw) or L2 (adam) decay of weights; none on biases and norms."""
    clip: float = 1.0
    """Largest gradient norm; larger gradients are scaled down. 0 = no clipping."""

    def __post_init__(self) -> None:
        if not self.lr > 0:
            raise UserError("--optimizer.lr must be above 0")
        if not 0 < self.factor < 1:
            raise UserError("--optimizer.factor must be between 0 and 1")
        for name in ("patience", "warmup", "weight_decay", "clip"):
            if not getattr(self, name) >= 0:
                raise UserError(f"--optimizer.{name.replace('_', '-')} must not be negative")


@dataclass
class BackboneConfig:
    """Train the custom VGG19 as a classifier."""

    output: Path | None = None
    """The run folder. Default: runs/backbone-NAME-OF-THE-DATA."""
    resume: bool = False
    """Go on from the run folder's checkpoint; start anew where there is none yet."""
    epochs: int = 60
    """Passes over the training pictures."""
    label_smoothing: float = 0.1
    """Share of the target that is spread over all classes."""
    seed: int = 0
    """Seed of weights, order, augmentation and dropout."""
    mixed_precision: Literal["no", "bf16", "fp16"] = "no"
    """Autocast precision."""
    channels_last: bool = True
    """Memory layout NHWC: faster on CPUs and on GPUs with tensor cores."""
    compile: bool = False
    """torch.compile the network: a minute of waiting, faster steps on GPUs."""
    log_every: int = 20
    """Steps between two entries of the training loss in TensorBoard."""
    license: str = "unspecified"
    """License of the trained network, written into its file."""
    data: LabelledConfig = field(default_factory=LabelledConfig)
    network: ClassifierConfig = field(default_factory=ClassifierConfig)
    optimizer: BackboneOptimizerConfig = field(default_factory=BackboneOptimizerConfig)

    def __post_init__(self) -> None:
        for name in ("epochs", "log_every"):
            if getattr(self, name) < 1:
                raise UserError(f"--{name.replace('_', '-')} must be at least 1")
        if not 0 <= self.label_smoothing < 1:
            raise UserError("--label-smoothing must be at least 0 and below 1")
        if not 0 <= self.seed < 2**32:
            raise UserError("--seed must be from 0 to 4294967295")
        if self.data.size < 32:
            raise UserError("--data.size must be at least 32: VGG19 halves a picture five times")

    @property
    def data_name(self) -> str:
        """What the data is called: a name, or the last part of a path or hub id."""
        return Path(self.data.source).stem

    @property
    def run_folder(self) -> Path:
        """Where the run is written."""
        return self.output or Path("runs") / f"backbone-{self.data_name}"

    def to_dict(self) -> dict[str, Any]:
        """As plain values, the way YAML holds them."""
        plain = asdict(self)
        plain["output"] = str(self.run_folder)
        plain["resume"] = False  # of the command, not of the run
        plain["data"]["root"] = str(self.data.root)
        return plain

    def to_yaml(self) -> str:
        """As a YAML file that `fast-nst backbone train --config` takes."""
        return yaml.safe_dump(self.to_dict(), sort_keys=False)

    def check_resumable(self, saved: dict[str, Any]) -> None:
        """Refuse to go on with other settings than the run was started with."""
        refuse_differences(self.run_folder, self.to_dict(), saved, frozenset({"data.workers"}))
