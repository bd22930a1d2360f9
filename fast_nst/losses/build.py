"""The perceptual loss that a configuration describes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor

from fast_nst.losses.config import PerceptualConfig
from fast_nst.losses.perceptual import PerceptualLoss
from fast_nst.networks.features import LossNetwork, find_loss_network

Config = TypeVar("Config", bound=PerceptualConfig)


def resolve_loss(config: Config) -> tuple[Config, LossNetwork]:
    """The loss network, and the configuration with the network's own taps and smoothing where none are given.

    Raises:
        UserError: see `load_loss_network`.
    """
    info, build = find_loss_network(config.network)
    resolved = replace(
        config,
        style_taps=config.style_taps or info.style_taps,
        content_tap=config.content_tap or info.content_tap,
        smoothing=info.smoothing if config.smoothing is None else config.smoothing,
    )
    return resolved, build(_taps(resolved), config.pooling)


def _taps(config: PerceptualConfig) -> tuple[str, ...]:
    assert config.style_taps is not None
    assert config.content_tap is not None
    return (*config.style_taps, config.content_tap)


def perceptual_loss(
    config: PerceptualConfig,
    network: LossNetwork,
    styles: Sequence[Tensor],
    device: torch.device,
    layout: torch.memory_format = torch.contiguous_format,
) -> PerceptualLoss:
    """The loss against ``styles``, [1, 3, H, W] each, on ``device``; see `resolve_loss` for the first two."""
    network.to(device).to(memory_format=layout)
    *style_taps, content_tap = _taps(config)
    loss = PerceptualLoss(
        network,
        [style.to(device) for style in styles],
        style_taps,
        content_tap,
        config.weights,
        bool(config.smoothing),
    )
    return loss.to(device)
