"""The optimizer and its learning rate."""

from __future__ import annotations

import math

import torch
from torch import nn

from fast_nst.config import OptimizerConfig, TrainConfig


def make_optimizer(network: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """Adam or AdamW; weight decay on convolution weights only, none on biases and norms."""
    groups = [
        {
            "params": [p for p in network.parameters() if p.ndim > 1],
            "weight_decay": config.weight_decay,
        },
        {"params": [p for p in network.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    kind = torch.optim.AdamW if config.name == "adamw" else torch.optim.Adam
    return kind(groups, lr=config.lr)


def learning_rate(step: int, config: TrainConfig) -> float:
    """Rate of step 0, 1, ...: linear warm-up, then cosine to ``final_lr`` of the peak.

    A function of the step alone, so there is no scheduler state to save.
    """
    optimizer = config.optimizer
    warmup = min(optimizer.warmup, config.steps - 1)
    if step < warmup:
        return optimizer.lr * (step + 1) / (warmup + 1)
    progress = (step - warmup) / max(1, config.steps - 1 - warmup)
    cosine = 0.5 * (1 + math.cos(math.pi * progress))
    return optimizer.lr * (optimizer.final_lr + (1 - optimizer.final_lr) * cosine)
