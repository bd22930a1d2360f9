"""Perceptual losses, dimensionless: one weight means the same for every style, size and loss network.

Content and style follow Gatys et al. 2016 and Johnson et al. 2016, section 3.1, but each error is
divided by the energy of its own target: the content error by the variance of the content features, a
layer's Gram error by the Gram energy of the style. A loss of 1 is "as wrong as the target is large".
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

EPSILON = 1e-8  # keeps a constant target from dividing by zero


class _Product(torch.autograd.Function):
    """[N, P, C] to its products of channels [N, C, C] in float32.

    Autograd knows nothing of their symmetry: it takes two products backward where one does. That one is
    taken in bfloat16 where the features are: their gradient is rounded to it in any case.
    """

    @staticmethod
    def forward(ctx: Any, flat: Tensor) -> Tensor:
        ctx.save_for_backward(flat)
        full = flat.float()
        return full.mT @ full

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (flat,) = ctx.saved_tensors
        precision = torch.bfloat16 if flat.dtype == torch.bfloat16 else torch.float32  # half would underflow
        with torch.autocast(gradient.device.type, enabled=False):
            return (flat.to(precision) @ (gradient + gradient.mT).to(precision)).to(flat.dtype)


def gram_matrix(features: Tensor) -> Tensor:
    """Gram matrices [N, C, C] of features [N, C, H, W], divided by C*H*W, always in float32."""
    n, c, h, w = features.shape
    with torch.autocast(features.device.type, enabled=False):
        flat = features.permute(0, 2, 3, 1).reshape(n, h * w, c)  # a view of channels_last
        return torch.as_tensor(_Product.apply(flat)) / (c * h * w)


def content_loss(features: Tensor, target: Tensor) -> Tensor:
    """Mean squared feature error over the variance of each picture's target; both [N, C, H, W]."""
    features, target = features.float(), target.float()
    picture = (1, 2, 3)  # flattened, channels_last would be copied
    error = (features - target).square().mean(picture)  # [N]
    return (error / (target.var(picture, correction=0) + EPSILON)).mean()


def smooth_activations(features: Tensor, scale: Tensor | float = 1.0) -> Tensor:
    """Softmax over all activations of a picture's layer [N, C, H, W], in float32; their mean is 1.

    SWAG, stylization with activation smoothing (Wang, Li, Vasconcelos 2021, section 3): the few large
    activations of a residual network no longer make up all of its Gram matrix. ``scale`` is the softmax's
    temperature: the larger, the smoother.
    """
    flat = (features.float() / scale).flatten(1)  # [N, CHW]
    return (flat.softmax(1) * flat.shape[1]).reshape(features.shape)


def style_loss(gram: Tensor, target: Tensor) -> Tensor:
    """Squared Gram error over the target's Gram energy; gram [N, C, C], target [N or 1, C, C]."""
    error = (gram - target).square().flatten(1).sum(1)  # [N]
    return (error / (target.square().flatten(1).sum(1) + EPSILON**2)).mean()


def total_variation(images: Tensor) -> Tensor:
    """Mean squared difference of neighbors, across plus down; images [N, 3, H, W] in [0, 1]."""
    images = images.float()
    across = (images[..., :, 1:] - images[..., :, :-1]).square()
    down = (images[..., 1:, :] - images[..., :-1, :]).square()
    # A single row or column has no neighbors one way; the mean of nothing is not a number.
    return across.sum() / max(1, across.numel()) + down.sum() / max(1, down.numel())
