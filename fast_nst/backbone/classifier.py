"""The trainable VGG19: 16 convolutions, adaptive average pooling (so any input size), a head of its own.

Simonyan & Zisserman 2015, configuration E; batch normalization behind each convolution as in torchvision's
vgg19_bn; Kaiming initialization (He et al. 2015).
"""

from __future__ import annotations

import copy
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from fast_nst.errors import UserError, one_line
from fast_nst.files import whole_file
from fast_nst.networks import vgg
from fast_nst.networks.features import IMAGENET_MEAN, IMAGENET_STD, LossNetworkInfo, read_weights

HEADER = "fast_nst.backbone"
HEAD = "head."


@dataclass
class ClassifierConfig:
    """The custom VGG19."""

    width: int = 64
    """Channels of the first block: 64 (VGG19), 32, 16; the deeper blocks follow in VGG19's proportions."""
    batch_norm: bool = True
    """Batch normalization behind each convolution; without it a VGG19 is slow to learn, or does not."""
    init: Literal["kaiming", "torch"] = "kaiming"
    """Initialization: kaiming (He et al. 2015), or torch's default, under which deep layers fade."""
    hidden: int = 512
    """Units of the two hidden layers of the head (4096 in the paper)."""
    pool: int = 1
    """Side that the adaptive average pooling brings the last features to (7 in the paper)."""
    dropout: float = 0.5
    """Share of the hidden units left out at each training step."""

    def __post_init__(self) -> None:
        for name, least in (("width", 4), ("hidden", 1), ("pool", 1)):
            if getattr(self, name) < least:
                raise UserError(f"--network.{name} must be at least {least}")
        if not 0 <= self.dropout < 1:
            raise UserError("--network.dropout must be at least 0 and below 1")

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of the five blocks."""
        return tuple(self.width * width // vgg.WIDTHS[0] for width in vgg.WIDTHS)


class VGG19(nn.Module):
    """Logits [N, classes] of pictures [N, 3, H, W], RGB in [0, 1], any H and W of 32 and more."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: ClassifierConfig, classes: int) -> None:
        super().__init__()
        self.config = config
        self.layers = nn.Sequential()
        for name, layer in vgg.build_vgg(config.widths).named_children():
            self.layers.add_module(name, layer)
            if config.batch_norm and isinstance(layer, nn.Conv2d):
                self.layers.add_module(name.replace("conv", "norm"), nn.BatchNorm2d(layer.out_channels))
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(config.pool),
            nn.Flatten(),
            nn.Linear(config.widths[-1] * config.pool**2, config.hidden),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, config.hidden),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, classes),
        )
        if config.init == "kaiming":
            vgg.init_kaiming(self)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Logits [N, classes]."""
        return self.head(self.layers((images - self.mean) / self.std))

    def folded(self) -> VGG19:
        """The same function in eval mode, with batch normalization folded into the convolutions."""
        plain = copy.deepcopy(self).eval()
        for name, layer in list(plain.layers.named_children()):
            if isinstance(layer, nn.BatchNorm2d):
                conv = plain.layers.get_submodule(name.replace("norm", "conv"))
                assert isinstance(conv, nn.Conv2d)
                plain.layers.set_submodule(name.replace("norm", "conv"), fuse_conv_bn_eval(conv, layer))
                delattr(plain.layers, name)
        return plain


def save_backbone(network: VGG19, path: Path, classes: tuple[str, ...], about: dict[str, Any]) -> None:
    """Write a trained VGG19 as a safetensors file that is a loss network and a classifier at once.

    ``about`` holds plain values: name, license, origin, size and whatever else the file should tell.
    """
    plain = network.folded()
    state = {**plain.layers.state_dict(), **{HEAD + k: v for k, v in plain.head.state_dict().items()}}
    info = LossNetworkInfo(about["name"], license=about["license"], origin=about["origin"])
    described = {**about, "network": asdict(network.config), "classes": list(classes)}
    header = {**info.to_metadata(), HEADER: json.dumps(described)}
    with whole_file(path) as unfinished:
        save_file(
            {key: value.detach().cpu().contiguous() for key, value in state.items()}, unfinished, header
        )


def load_backbone(path: Path) -> tuple[VGG19, dict[str, Any]]:
    """A network that `save_backbone` wrote, in eval mode, and what the file tells of itself.

    Raises:
        UserError: no such file, or not of that kind.
    """
    if path.is_dir():
        path = path / "model.safetensors"
    if not path.is_file():
        raise UserError(f"there is no backbone {path}")
    state, header = read_weights(path)
    if HEADER not in header:
        raise UserError(f"{path} was not written by fast-nst backbone train: it has no classes")
    try:
        about = json.loads(header[HEADER])
        network = VGG19(ClassifierConfig(**{**about["network"], "batch_norm": False}), len(about["classes"]))
        layers = {key: value for key, value in state.items() if not key.startswith(HEAD)}
        network.layers.load_state_dict(layers)
        network.head.load_state_dict({k.removeprefix(HEAD): v for k, v in state.items() if k not in layers})
    except (ValueError, KeyError, TypeError, RuntimeError) as error:
        raise UserError(f"{path} is damaged ({one_line(error)[:150]})") from error
    return network.eval(), about
