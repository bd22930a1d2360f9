"""What the perceptual loss is told; without torch, for commands that only need it to be named."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Literal

from fast_nst.errors import UserError


@dataclass
class LossWeights:
    """How much each dimensionless term counts."""

    content: float = 1.0
    """Weight of the content loss."""
    style: float = 10.0
    """Weight of the style loss (mean over the style taps). Higher = more style, less content."""
    tv: float = 5.0
    """Weight of the total variation. Higher = smoother flat areas."""


@dataclass
class PerceptualConfig:
    """The perceptual loss."""

    network: str = "vgg19"
    """Loss network: vgg16 (that of Johnson et al. 2016, ships), vgg19 or resnet50 (torchvision, downloaded
    once), a weights file, or vgg19-random, resnet50-random for comparison."""
    style_taps: tuple[str, ...] | None = None
    """Layers whose Gram matrices are matched. Default: the loss network's own."""
    content_tap: str | None = None
    """Layer whose features are kept. Default: the loss network's own."""
    smoothing: bool | None = None
    """Compare activations behind a softmax (SWAG, Wang et al. 2021). Default: for ResNets only."""
    pooling: Literal["max", "average"] = "max"
    """The loss network's pooling: max, or average as in Gatys et al."""
    weights: LossWeights = field(default_factory=LossWeights)

    def __post_init__(self) -> None:
        if self.style_taps is not None and not self.style_taps:
            raise UserError("--loss.style-taps must name at least one layer")
        for name, weight in asdict(self.weights).items():
            if not 0 <= weight < float("inf"):
                raise UserError(f"--loss.weights.{name} must be finite and not negative")


@dataclass
class LossConfig(PerceptualConfig):
    """The perceptual loss of a training."""

    style_size: int = 384
    """Shorter side of the style picture in pixels: sets the size of the strokes."""
    stability: float = 0.0
    """Weight of the stability loss: what is painted must move with small shifts and zooms of the content, and
    stay under noise and other light. Needs no video. Higher = frames that stand still; 0 = none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.style_size < 16:
            raise UserError("--loss.style-size must be at least 16")
        if not 0 <= self.stability < float("inf"):
            raise UserError("--loss.stability must be finite and not negative")
