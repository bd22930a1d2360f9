"""The per-image baseline: Gatys et al. 2016. `optimize` is the recipe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from accelerate.utils import set_seed
from torch import Tensor

from fast_nst.data.crops import load_image, longer_side, resize, shorter_side
from fast_nst.errors import UserError
from fast_nst.losses.build import perceptual_loss, resolve_loss
from fast_nst.losses.config import PerceptualConfig
from fast_nst.losses.perceptual import PerceptualLoss, floats
from fast_nst.per_image.descent import Descent

NOISE = 0.1  # standard deviation of a start from noise, around mid-gray
NEXT_SCALE = 2**0.5  # as in crowsonkb's style-transfer-pytorch


@dataclass
class OptimizeConfig:
    """Stylize one picture by optimizing its pixels."""

    output: Path = Path("optimized.png")
    """The result's file. Its suffix sets the format."""
    size: int = 512
    """Longer side of the result in pixels."""
    coarsest: int | None = None
    """Start at a smaller scale, not below this longer side, and go up in steps of 1.41 to --size: large
    strokes get their place first. Default: --size alone."""
    style_size: int | None = None
    """Shorter side of the style picture in pixels at the last scale: sets the size of the strokes.
    Default: the result's shorter side."""
    start: str = "content"
    """What the pixels start from: content, noise, or a picture file."""
    optimizer: Literal["lbfgs", "adam"] = "lbfgs"
    """lbfgs, with strong Wolfe line search, or adam."""
    lr: float | None = None
    """Learning rate. Default: 1 for lbfgs, 0.02 for adam."""
    iterations: int = 500
    """Iterations at each scale."""
    seed: int = 0
    """Seed of the noise."""
    mixed_precision: Literal["no", "bf16"] = "no"
    """Autocast precision of the loss network. bf16 is faster on GPUs, and too coarse for lbfgs."""
    log: Path | None = None
    """Folder for TensorBoard curves and intermediate pictures. Default: neither is written."""
    every: int = 50
    """Iterations between two intermediate pictures in --log."""
    resume: bool = False
    """Go on from the state that an interrupted optimization left beside the output."""
    loss: PerceptualConfig = field(default_factory=PerceptualConfig)

    def __post_init__(self) -> None:
        self.output = Path(self.output)
        for name, least in (("size", 1), ("coarsest", 1), ("style_size", 1), ("iterations", 1), ("every", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise UserError(f"--{name.replace('_', '-')} must be at least {least}, not {value}")
        if self.coarsest is not None and self.coarsest > self.size:
            raise UserError(f"--coarsest {self.coarsest} is larger than --size {self.size}")
        if self.lr is not None and not 0 < self.lr < float("inf"):
            raise UserError("--lr must be above 0")
        if not 0 <= self.seed < 2**32:
            raise UserError("--seed must be from 0 to 4294967295")
        if self.mixed_precision != "no" and self.optimizer == "lbfgs":
            raise UserError("--mixed-precision bf16 needs --optimizer adam: lbfgs compares tiny differences")

    @property
    def state_file(self) -> Path:
        """Where an unfinished optimization is kept."""
        return self.output.with_name(self.output.name + ".state")

    def recipe(self) -> dict[str, Any]:
        """The settings that a resumed optimization must share with the one it goes on with."""
        where = ("output", "log", "every", "resume")
        plain = {name: value for name, value in asdict(self).items() if name not in where}
        taps = self.loss.style_taps
        plain["loss"]["style_taps"] = list(taps) if taps is not None else None
        return plain


@dataclass(frozen=True)
class Optimized:
    """A stylized picture and how it came about."""

    picture: Tensor
    """[1, 3, H, W] in [0, 1]."""
    history: list[dict[str, float]]
    """Loss terms before each iteration of the last scale, and after the last one."""
    evaluations: int
    """Evaluations of loss and gradient at the last scale."""


@dataclass(frozen=True)
class Step:
    """Where an optimization is, between two iterations."""

    scale: int
    """Index of the scale, from 0."""
    scales: int
    """Number of scales."""
    iteration: int
    """Iterations done at this scale."""
    terms: dict[str, float]
    """Loss terms of the picture as it is."""
    history: list[dict[str, float]]
    descent: Descent

    def state(self) -> dict[str, Any]:
        """What `optimize` goes on from."""
        return {
            "scale": self.scale,
            "iteration": self.iteration,
            "history": self.history[:-1],
            "descent": self.descent.state_dict(),
        }


def optimize(
    content: Tensor,
    style: Tensor,
    config: OptimizeConfig | None = None,
    start: Tensor | None = None,
    each: Callable[[Step], None] | None = None,
    state: dict[str, Any] | None = None,
) -> Optimized:
    """Paint ``content`` after ``style`` by optimizing pixels.

    Args:
        content: [1, 3, H, W] in [0, 1], resized so that its longer side is ``config.size``.
        style: [1, 3, H, W] in [0, 1].
        config: size, optimizer, loss; ``output``, ``log`` and ``resume`` are of the command alone.
        start: what the pixels start from, instead of ``config.start``; resized alike.
        each: called before every iteration; may raise to stop.
        state: a former `Step.state` to go on from, with the same pictures and config.

    Raises:
        UserError: an unknown loss network or tap, or a picture too small for it; a loss that is not finite.
    """
    config = config or OptimizeConfig()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    set_seed(config.seed)
    loss_config, network = resolve_loss(config.loss)
    sizes = scale_sizes(config)
    pixels = start if start is not None else starting_point(content, config)
    history: list[dict[str, float]] = []
    for index, size in enumerate(sizes):
        target = resize(content, longer_side(content, size)).to(device)
        pixels = resize(pixels, target.shape[-2:]).to(device)
        if state is not None and index < state["scale"]:
            continue
        short = min(target.shape[-2:])
        if config.style_size is not None:
            short = max(1, round(config.style_size * size / config.size))
        sized = resize(style, shorter_side(style, short))
        loss = perceptual_loss(loss_config, network, [sized], device)
        descent = Descent(pixels, picture_loss(loss, target, config), config.optimizer, config.lr)
        history, first = [], 0
        if state is not None:
            descent.load_state_dict(state["descent"])
            history, first = state["history"], state["iteration"]
            state = None
        for iteration in range(first, config.iterations):
            terms = finite(floats(descent.terms()), size, iteration)
            history.append(terms)
            if each is not None:
                each(Step(index, len(sizes), iteration, terms, history, descent))
            descent.step()
        pixels = descent.picture
    history.append(finite(floats(descent.terms()), sizes[-1], config.iterations))
    return Optimized(pixels, history, descent.evaluations)


def picture_loss(
    loss: PerceptualLoss, content: Tensor, config: OptimizeConfig
) -> Callable[[Tensor], dict[str, Tensor]]:
    """The terms of a picture against ``content`` [1, 3, H, W], whose features are computed once."""
    lower = torch.autocast(content.device.type, torch.bfloat16, enabled=config.mixed_precision == "bf16")
    with lower:
        target = loss.content_target(content)

    def terms(pixels: Tensor) -> dict[str, Tensor]:
        with lower:
            return loss.compare(pixels, target)

    return terms


def finite(terms: dict[str, float], size: int, iteration: int) -> dict[str, float]:
    """The terms, if their total is a number.

    Raises:
        UserError: it is not.
    """
    if not abs(terms["total"]) < float("inf"):
        raise UserError(
            f"the loss is {terms['total']} at iteration {iteration} ({size} px): lower --lr or --loss.weights"
        )
    return terms


def scale_sizes(config: OptimizeConfig) -> list[int]:
    """Longer sides of the scales, coarse to fine; the last is ``config.size``."""
    sizes = [config.size]
    while config.coarsest is not None and sizes[0] / NEXT_SCALE >= config.coarsest * 0.99:
        sizes.insert(0, round(sizes[0] / NEXT_SCALE))
    return sizes


def starting_point(content: Tensor, config: OptimizeConfig) -> Tensor:
    """The content, a picture, or noise of the content's size; [1, 3, H, W] in [0, 1]."""
    if config.start == "content":
        return content
    if config.start == "noise":
        return noise_picture(*longer_side(content, scale_sizes(config)[0]))
    return load_image(config.start)


def noise_picture(height: int, width: int, generator: torch.Generator | None = None) -> Tensor:
    """White noise around mid-gray, [1, 3, H, W] in [0, 1]."""
    return (0.5 + NOISE * torch.randn(1, 3, height, width, generator=generator)).clamp(0, 1)
