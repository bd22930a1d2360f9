"""The student of the distillation: a quarter-width VGG19, and how far its losses are from the teacher's."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from fast_nst.files import whole_file
from fast_nst.losses import gram_matrix
from fast_nst.networks import vgg
from fast_nst.networks.features import (
    CONTENT_TAP,
    IMAGENET_MEAN,
    IMAGENET_STD,
    STYLE_TAPS,
    LossNetwork,
    LossNetworkInfo,
)
from fast_nst.training.run import writing

TAPS = (*STYLE_TAPS, CONTENT_TAP)
ALIVE = 0.02  # a channel's largest pre-activation in a batch, in units of its layer's mean activation
STYLE_WEIGHT = 3.0  # of the pairwise distances beside the features


class Student(nn.Module):
    """The trainable network and one 1x1 adapter per tap into the teacher's channels."""

    mean: Tensor
    std: Tensor

    def __init__(self, teacher_channels: dict[str, int]) -> None:
        super().__init__()
        self.layers = vgg.build_vgg19(vgg.COMPACT_WIDTHS, "relu5_1", first_padding="replicate")
        for layer in self.layers:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        self.adapters = nn.ModuleDict(
            {
                tap: nn.Conv2d(vgg.COMPACT_WIDTHS[int(tap[4]) - 1], channels, 1)
                for tap, channels in teacher_channels.items()
            }
        )
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Features at `TAPS` and the penalty on channels that no position of the batch switches on."""
        features, dead = {}, images.new_zeros(())
        x = (images - self.mean) / self.std
        for name, layer in self.layers.named_children():
            before, x = x, layer(x)
            if name.startswith("relu"):
                scale = x.detach().mean() + 1e-6
                dead = dead + F.relu(ALIVE - before.amax((0, 2, 3)) / scale).mean()
            if name in TAPS:
                features[name] = x
        return features, dead


def gram_distances(features: Tensor) -> Tensor:
    """Log of the dimensionless style loss of every picture against every other; [N, N]."""
    gram = gram_matrix(features).flatten(1).double()  # [N, C*C]; double: a difference of large sums
    products = gram @ gram.T
    squares = products.diagonal()
    error = squares[:, None] + squares[None] - 2 * products
    return (error / squares[None] + 1e-5).clamp_min(1e-6).log().float()


def content_distances(features: Tensor) -> Tensor:
    """Log of the dimensionless content loss of each changed picture against its original; [N / 2]."""
    original, changed = features.float().chunk(2)
    error = (changed - original).square().flatten(1).mean(1)
    return (error / original.flatten(1).var(1) + 1e-4).log()


def matching_loss(student: Student, images: Tensor, targets: dict[str, Tensor]) -> dict[str, Tensor]:
    """The distillation terms: features, style distances, content distances, dead channels."""
    features, dead = student(images)
    feature = images.new_zeros(())
    style = images.new_zeros(())
    content = images.new_zeros(())
    for tap in TAPS:
        target = targets[tap]
        mapped = F.relu(student.adapters[tap](features[tap]))
        feature = feature + F.mse_loss(mapped, target / target.std())
        if tap in STYLE_TAPS:
            error = gram_distances(features[tap]) - gram_distances(target)
            style = style + F.smooth_l1_loss(error, torch.zeros_like(error), beta=0.2)
        else:
            error = content_distances(features[tap]) - content_distances(target)
            content = F.smooth_l1_loss(error, torch.zeros_like(error), beta=0.2)
    total = feature + STYLE_WEIGHT * style + content + 10 * dead
    return {"total": total, "feature": feature, "style": style, "content": content, "dead": dead}


def save_student(student: Student, teacher: LossNetwork, path: Path) -> None:
    """Write the student without its adapters as an fp16 safetensors loss network, atomically."""
    info = LossNetworkInfo(
        "vgg19-compact",
        license="MIT (weights trained by fast_nst; the teacher's license is named in the card)",
        origin=f"distilled by fast-nst backbone distill from {teacher.info.origin}",
    )
    state = {key: value.detach().half().contiguous() for key, value in student.layers.state_dict().items()}
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as unfinished:
            save_file(state, unfinished, info.to_metadata())
