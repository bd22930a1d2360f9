"""What one batch is trained on: the perceptual loss, and stability and imitation where asked for."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from fast_nst.config import LossConfig
from fast_nst.crops import jitter
from fast_nst.export import weights_file
from fast_nst.losses import PerceptualLoss, content_loss
from fast_nst.networks.transform import TransformNetwork, load_transform
from fast_nst.training.perturb import Change, stability_loss


def objective(
    network: Change,
    images: Tensor,
    loss: PerceptualLoss,
    config: LossConfig,
    seed: tuple[int, int, int],
    teacher: nn.Module | None = None,
) -> dict[str, Tensor]:
    """Terms of what ``network`` paints of ``images`` [N, 3, H, W] in [0, 1]; unweighted but for the total.

    ``seed``, step and part of the step give the shifts. Beside those of `PerceptualLoss`: ``stability`` where
    its weight is not 0, ``imitation`` where there is a ``teacher``.
    """
    seed_of_run, *when = seed
    painted = network(images)
    shift = (seed_of_run, 6, *when)
    stylized, seen = (jitter(x, config.jitter, shift) for x in (painted, images))
    terms = loss(stylized, seen)
    if config.stability:
        terms["stability"] = stability_loss(network, images, painted, (seed_of_run, 8, *when))
        terms["total"] = terms["total"] + config.stability * terms["stability"]
    if teacher is not None:
        with torch.no_grad():
            example = teacher(images)
        terms["imitation"] = content_loss(painted, example)
        terms["total"] = terms["total"] + config.imitation * terms["imitation"]
    return terms


def find_teacher(
    source: str | None, device: torch.device, layout: torch.memory_format
) -> TransformNetwork | None:
    """The network that `LossConfig.teacher` names, any architecture, frozen.

    Raises:
        UserError: there is none.
    """
    if source is None:
        return None
    teacher, _ = load_transform(weights_file(Path(source)))
    return teacher.requires_grad_(False).to(device).to(memory_format=layout)
