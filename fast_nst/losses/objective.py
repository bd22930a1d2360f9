"""What one batch is trained on: the perceptual loss, and temporal consistency where asked for."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F

from fast_nst.losses.config import LossConfig
from fast_nst.losses.perceptual import PerceptualLoss
from fast_nst.losses.temporal import stability_loss


def objective(
    network: nn.Module,
    images: Tensor,
    style: Tensor,
    loss: PerceptualLoss,
    config: LossConfig,
    seed: tuple[int, ...],
) -> dict[str, Tensor]:
    """Loss terms of what ``network`` paints of ``images`` [N, 3, H, W] in [0, 1], the total weighted.

    ``style``: the number of each picture's style, [N]. ``seed`` gives the changes that the stability loss
    makes; its term is there where its weight is not 0.
    """
    paint = partial(network, style=F.one_hot(style, loss.styles).float())
    painted = paint(images)
    terms = loss(painted, images, style)
    if config.stability:
        terms["stability"] = stability_loss(paint, images, painted, seed)
        terms["total"] = terms["total"] + config.stability * terms["stability"]
    return terms
