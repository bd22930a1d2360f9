"""The student of the distillation: a quarter-width VGG19, and how far its losses are from the teacher's."""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

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

DEEPEST = "relu5_1"
PADDING: vgg.Padding = "replicate"  # no dark edge, and it works on a single pixel
ALIVE = 0.02  # a channel's largest pre-activation in a batch, in units of its layer's mean activation


def _relus() -> tuple[str, ...]:
    names = vgg.vgg19_layer_names()
    return tuple(name for name in names[: names.index(DEEPEST) + 1] if name.startswith("relu"))


LAYERS = _relus()  # every one of them is taught: a deep plain network learns its first layers so much faster


class Student(nn.Module):
    """The trainable network, and at every ReLU one 1x1 adapter into the teacher's channels.

    Batch normalization between convolution and ReLU is for the training only; `folded` takes it out.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, teacher_channels: dict[str, int]) -> None:
        super().__init__()
        self.layers = vgg.build_vgg19(vgg.COMPACT_WIDTHS, DEEPEST, PADDING)
        vgg.init_kaiming(self.layers)
        widths = {name: vgg.COMPACT_WIDTHS[int(name[4]) - 1] for name in LAYERS}
        self.norms = nn.ModuleDict({name: nn.BatchNorm2d(width) for name, width in widths.items()})
        self.adapters = nn.ModuleDict(
            {name: nn.Conv2d(widths[name], channels, 1) for name, channels in teacher_channels.items()}
        )
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Features at `LAYERS` and the penalty on channels that no position of the batch switches on."""
        features, dead = {}, images.new_zeros(())
        x = (images - self.mean) / self.std
        for name, layer in self.layers.named_children():
            if name in self.norms:
                before = self.norms[name](x)
                features[name] = x = layer(before)
                scale = x.detach().mean() + 1e-6
                dead = dead + F.relu(ALIVE - before.amax((0, 2, 3)) / scale).mean()
            else:
                x = layer(x)
        return features, dead

    def folded(self) -> nn.Sequential:
        """The plain VGG19 that this student is in eval mode, without batch normalization and adapters."""
        trained = copy.deepcopy(self).eval()
        for name, layer in trained.layers.named_children():
            if isinstance(layer, nn.Conv2d):
                norm = trained.norms[name.replace("conv", "relu")]
                trained.layers.set_submodule(name, fuse_conv_bn_eval(layer, norm))  # type: ignore[arg-type]
        return trained.layers


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


def matching_loss(
    student: Student,
    images: Tensor,
    targets: dict[str, Tensor],
    scales: dict[str, Tensor],
    distance_weight: float,
    challenged: bool = False,
) -> dict[str, Tensor]:
    """The distillation terms: features, style distances, content distances, dead channels.

    ``images`` [2N, 3, H, W] are pictures and their changed versions, ``targets`` the teacher's features
    at `LAYERS`, ``scales`` their standard deviations over many pictures. ``challenged``: the first is a
    painting, the next two are stylized after it; their style losses are what matters most.
    """
    features, dead = student(images)
    feature = images.new_zeros(())
    style = images.new_zeros(())
    for name in LAYERS:
        mapped = F.relu(student.adapters[name](features[name]))
        feature = feature + F.mse_loss(mapped, targets[name] / scales[name])
    for tap in STYLE_TAPS:
        error = gram_distances(features[tap]) - gram_distances(targets[tap])
        style = style + F.smooth_l1_loss(error, torch.zeros_like(error), beta=0.2)
        if challenged:
            ours = error[1:3, 0]
            style = style + F.smooth_l1_loss(ours, torch.zeros_like(ours), beta=0.2)
    error = content_distances(features[CONTENT_TAP]) - content_distances(targets[CONTENT_TAP])
    content = F.smooth_l1_loss(error, torch.zeros_like(error), beta=0.2)
    total = feature + distance_weight * (style + content) + 10 * dead
    return {"total": total, "feature": feature, "style": style, "content": content, "dead": dead}


def save_student(student: Student, teacher: LossNetwork, path: Path) -> None:
    """Write the folded student as an fp16 safetensors loss network, atomically."""
    info = LossNetworkInfo(
        "vgg19-compact",
        padding=PADDING,
        license="MIT (weights trained by fast_nst; the teacher's license is named in the card)",
        origin=f"distilled by fast-nst backbone distill from {teacher.info.origin}",
    )
    plain = student.folded().state_dict()
    state = {key: value.detach().half().contiguous() for key, value in plain.items()}
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as unfinished:
            save_file(state, unfinished, info.to_metadata())
