"""The optimizer and its learning rate."""

from __future__ import annotations

import math
from typing import Any, Protocol

import torch
from torch import nn

from fast_nst.config import TrainConfig
from fast_nst.networks.blocks import ConditionalInstanceNorm


class OptimizerChoice(Protocol):
    """What `make_optimizer` needs to know."""

    @property
    def name(self) -> str:
        """adamw or adam."""

    @property
    def lr(self) -> float:
        """Learning rate."""

    @property
    def weight_decay(self) -> float:
        """Of weights, not of biases and norms."""


def make_optimizer(network: nn.Module, config: OptimizerChoice) -> torch.optim.Optimizer:
    """Adam or AdamW over what requires gradients; weight decay on convolution and linear weights only."""
    norms = [m for m in network.modules() if isinstance(m, ConditionalInstanceNorm)]
    plain = {id(parameter) for norm in norms for parameter in norm.parameters()}
    groups: list[dict[str, Any]] = [
        {"params": [], "weight_decay": config.weight_decay},
        {"params": [], "weight_decay": 0.0},
    ]
    for parameter in network.parameters():
        if parameter.requires_grad:
            decays = parameter.ndim > 1 and id(parameter) not in plain
            groups[0 if decays else 1]["params"].append(parameter)
    kind = torch.optim.AdamW if config.name == "adamw" else torch.optim.Adam
    return kind([group for group in groups if group["params"]], lr=config.lr)


def learning_rate(step: int, config: TrainConfig) -> float:
    """Rate of step 0, 1, ...: linear warm-up, then cosine to ``final_lr`` of the peak.

    A function of the step alone, so there is no scheduler state to save.
    """
    optimizer = config.optimizer
    warmup = min(optimizer.warmup, config.steps - 1)
    return optimizer.lr * warm_up_and_cosine(step, warmup, config.steps, optimizer.final_lr)


def warm_up_and_cosine(step: int, warmup: int, steps: int | None, final: float = 0.0) -> float:
    """Share of the peak at step 0, 1, ...: linear to 1, then cosine to ``final``; flat without ``steps``."""
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if steps is None:
        return 1.0
    progress = (step - warmup) / max(1, steps - 1 - warmup)
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * progress))
