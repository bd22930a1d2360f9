"""The training configuration: one dataclass per concern; a field's docstring is its help text."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from fast_nst.data.content import BUILTIN, DataConfig, is_picture_source
from fast_nst.errors import UserError
from fast_nst.files import real_path
from fast_nst.losses.config import LossConfig
from fast_nst.networks.transform import TransformConfig


@dataclass
class OptimizerConfig:
    """The optimizer and its schedule: linear warm-up, then cosine."""

    name: Literal["adamw", "adam"] = "adamw"
    """adamw or adam."""
    lr: float = 3e-3
    """Peak learning rate."""
    final_lr: float = 0.02
    """Learning rate of the last step, as a share of the peak."""
    warmup: int = 100
    """Steps of linear warm-up."""
    weight_decay: float = 0.0
    """Decoupled (adamw) or L2 (adam) decay of the convolution weights; none on biases and norms."""
    clip: float = 1.0
    """Largest gradient norm; larger gradients are scaled down. 0 = no clipping."""
    accumulate: int = 1
    """Batches whose gradients are averaged into one step."""
    ema: float = 0.99
    """Decay of the averaged weights that are validated and exported. 0 = the last weights."""

    def __post_init__(self) -> None:
        positive = {"lr": self.lr, "accumulate": self.accumulate}
        for name, value in positive.items():
            if not value > 0:
                raise UserError(f"--optimizer.{name} must be above 0")
        others = ("final_lr", "warmup", "weight_decay", "clip", "ema")
        for name in others:
            if not getattr(self, name) >= 0:
                raise UserError(f"--optimizer.{name} must not be negative")
        if self.ema >= 1:
            raise UserError("--optimizer.ema must be below 1")


@dataclass
class LogConfig:
    """What a run writes while it trains, all counted in steps."""

    every: int = 10
    """Loss terms, learning rate and images/s to TensorBoard."""
    validate: int = 250
    """Validation loss and sample pictures."""
    checkpoint: int = 250
    """Full state to go on from."""
    samples: int = 4
    """Held-out pictures in each sample sheet."""

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value < 1:
                raise UserError(f"--log.{name} must be at least 1")


@dataclass
class TrainConfig:
    """Train styles: pictures become a network that paints like them."""

    style: str | None = None
    """The style: a picture, 'strokes' (a picture that ships with fast_nst), or a folder of pictures, which
    become the styles of one network."""
    content: str = BUILTIN
    """Content pictures: a folder, a hub id (OWNER/NAME), or 'builtin', which needs no download."""
    output: Path | None = None
    """The run folder. Default: runs/NAME-OF-THE-STYLE."""
    resume: bool = False
    """Go on from the run folder's checkpoint; start anew where there is none yet."""
    init_from: str | None = None
    """Start from a trained network instead of random weights, with its architecture: a run, a weights or
    ONNX file, hf://OWNER/NAME, or the name of a network of many styles that ships (see `fast-nst models`). A
    style it knows starts from its own norms, any other from those of the style that comes nearest."""
    train: Literal["all", "norms"] = "all"
    """What is learned: all weights; or, with --init-from, only each style's own scale and shift at every
    norm, some thousand numbers."""
    steps: int = 2000
    """Optimizer steps."""
    seed: int = 0
    """Seed of weights, order and crops."""
    mixed_precision: Literal["no", "bf16", "fp16"] = "no"
    """Autocast precision of the transformation network and the loss network."""
    channels_last: bool = True
    """Memory layout NHWC: faster on CPUs and on GPUs with tensor cores."""
    compile: bool = False
    """torch.compile both networks: a minute or two of waiting, faster steps on GPUs."""
    license: str = "unspecified"
    """License of the trained network, written into the exported file."""
    attribution: str = ""
    """Who made the style picture, written into the exported file; of a folder's pictures, what its
    styles.yaml says (NAME: {attribution: TEXT, license: TEXT})."""
    network: TransformConfig = field(default_factory=TransformConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    data: DataConfig = field(default_factory=DataConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    log: LogConfig = field(default_factory=LogConfig)

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise UserError("--steps must be at least 1")
        if not 0 <= self.seed < 2**32:
            raise UserError("--seed must be from 0 to 4294967295")
        if self.data.size % self.network.stride:
            raise UserError(f"--data.size must be a multiple of {self.network.stride}")
        if self.train == "norms" and self.init_from is None:
            raise UserError("--train norms needs --init-from, a network whose other weights stay")

    @property
    def style_name(self) -> str:
        """The name of the style or of the folder of styles: its file's name without the suffix."""
        return Path(self.style or "style").stem

    @property
    def run_folder(self) -> Path:
        """Where the run is written."""
        return self.output or Path("runs") / self.style_name

    def to_dict(self) -> dict[str, Any]:
        """As plain values, the way YAML and the exported file hold them."""
        plain = asdict(self)
        plain["output"] = str(self.run_folder)
        plain["resume"] = False  # of the command, not of the run
        taps = self.loss.style_taps
        plain["loss"]["style_taps"] = list(taps) if taps is not None else None
        return plain

    def to_yaml(self) -> str:
        """As a YAML file that `fast-nst train --config` takes."""
        return yaml.safe_dump(self.to_dict(), sort_keys=False)

    def check_resumable(self, saved: dict[str, Any]) -> None:
        """Refuse to go on with other settings than the run was started with; see `refuse_differences`."""
        streamed = not is_picture_source(self.content)  # its workers share out the shards
        also = frozenset() if streamed else frozenset({"data.workers"})
        refuse_differences(self.run_folder, self.to_dict(), saved, also)


def differences(now: dict[str, Any], then: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Fields of ``now`` that differ in ``then``, by dotted name, with both values."""
    found: dict[str, tuple[Any, Any]] = {}
    for key, value in now.items():
        other = then.get(key)
        if isinstance(value, dict) and isinstance(other, dict):
            for inner, pair in differences(value, other).items():
                found[f"{key}.{inner}"] = pair
        elif value != other:
            found[key] = (value, other)
    return found


# What may differ between an interrupted run and the command that resumes it.
RESUMABLE = {"resume", "output", "log", "log_every", "license", "attribution"}


def refuse_differences(
    folder: Path, now: dict[str, Any], then: dict[str, Any], also: frozenset[str] = frozenset()
) -> None:
    """Refuse to go on in ``folder`` with other settings than the run was started with.

    Those in `RESUMABLE` and ``also`` may differ.

    Raises:
        UserError: names the first field that differs and may not.
    """
    for name, (new, old) in differences(now, then).items():
        if name.split(".")[0] not in RESUMABLE and name not in also and not _same_path(new, old):
            option = name.replace("_", "-")
            raise UserError(
                f"cannot resume {folder}: --{option} is {new!r}, the run was started with"
                f" {old!r} (give another --output for a new run)"
            )


def _same_path(new: Any, old: Any) -> bool:
    """Whether two spellings name one existing file or folder."""
    if not isinstance(new, str) or not isinstance(old, str) or not Path(new).exists():
        return False
    return real_path(Path(new)) == real_path(Path(old))
