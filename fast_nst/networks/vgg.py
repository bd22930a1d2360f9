"""The convolutional part of VGG16 and VGG19 (Simonyan & Zisserman 2015, configurations D and E), by name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Depth = Literal[16, 19]
CONVS_PER_BLOCK: dict[Depth, tuple[int, ...]] = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
WIDTHS = (64, 128, 256, 512, 512)
Padding = Literal["zeros", "reflect", "replicate"]


class Conv3x3(nn.Conv2d):
    """A convolution that can be compiled: inductor takes replication padding's gradients for others'.

    In channels_last their strides are not those it expects (torch 2.15), and the compiled training fails.
    """

    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if self.padding_mode == "replicate" and torch.compiler.is_compiling():
            x = torch.cat([x[:, :, :1], x, x[:, :, -1:]], 2)
            x = torch.cat([x[..., :1], x, x[..., -1:]], 3)
            return F.conv2d(x, weight, bias, self.stride)
        return super()._conv_forward(x, weight, bias)


def layer_names(depth: Depth = 19) -> list[str]:
    """conv1_1, relu1_1, conv1_2, relu1_2, pool1, ... relu5_4 or relu5_3, pool5, in order of execution."""
    names: list[str] = []
    for block, count in enumerate(CONVS_PER_BLOCK[depth], start=1):
        for index in range(1, count + 1):
            names += [f"conv{block}_{index}", f"relu{block}_{index}"]
        names.append(f"pool{block}")
    return names


def build_vgg(
    widths: Sequence[int] = WIDTHS,
    deepest: str = "pool5",
    padding: Padding = "zeros",
    first_padding: Padding | None = None,
    depth: Depth = 19,
) -> nn.Sequential:
    """The layers of a VGG up to and including ``deepest``; nothing behind it is built.

    Args:
        widths: channels of the five blocks.
        deepest: name of the last layer, one of `layer_names`.
        padding: padding mode of the 3x3 convolutions (``zeros``, ``reflect``, ``replicate``).
        first_padding: padding mode of conv1_1 where it differs. ``replicate`` spares the border
            the dark edge that zero padding shows to every layer behind it.
        depth: 16 or 19.
    """
    layers = nn.Sequential()
    channels = 3
    for name in layer_names(depth):
        if name.startswith("conv"):
            width = widths[int(name[4]) - 1]
            mode = first_padding if name == "conv1_1" and first_padding else padding
            layers.add_module(name, Conv3x3(channels, width, 3, padding=1, padding_mode=mode))
            channels = width
        elif name.startswith("relu"):
            layers.add_module(name, nn.ReLU())
        else:
            layers.add_module(name, nn.MaxPool2d(2))
        if name == deepest:
            return layers
    raise ValueError(f"no VGG{depth} layer is called {deepest!r}")


def average_pooling(layers: nn.Sequential) -> None:
    """Put average pooling in the place of the 2x2 max poolings (Gatys et al. 2016, section 2)."""
    for name, layer in list(layers.named_children()):
        if isinstance(layer, nn.MaxPool2d) and layer.kernel_size == 2:
            layers.set_submodule(name, nn.AvgPool2d(2))


def init_kaiming(layers: nn.Module) -> None:
    """He et al. 2015: convolutions and linear layers that keep the variance of what passes a ReLU."""
    for layer in layers.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def random_state(seed: int = 0) -> dict[str, Tensor]:
    """The weights of a VGG19's convolutions before any training, the same for a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = build_vgg()
        init_kaiming(layers)
    return layers.state_dict()


def torchvision_to_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """torchvision's ``features.N.weight`` keys renamed to ``conv1_1.weight`` ...; the rest dropped."""
    # Only VGG19 has a fourth convolution in its third block, where VGG16 has a pooling.
    names = layer_names(19 if any(key.endswith("features.16.weight") for key in state) else 16)
    renamed = {}
    for key, value in state.items():
        match = re.fullmatch(r"(?:module\.)?features\.(\d+)\.(weight|bias)", key)
        if match and int(match[1]) < len(names):
            renamed[f"{names[int(match[1])]}.{match[2]}"] = value
    return renamed


def widths_of(state: Mapping[str, Tensor]) -> list[int]:
    """Channels of each block, read off the weights; as many blocks as the weights have."""
    blocks = range(1, len(WIDTHS) + 1)
    return [state[f"conv{b}_1.weight"].shape[0] for b in blocks if f"conv{b}_1.weight" in state]


def depth_of(state: Mapping[str, Tensor]) -> Depth:
    """Whether weights under the names used here are a VGG16's or a VGG19's; both begin alike."""
    return 16 if "conv4_1.weight" in state and "conv3_4.weight" not in state else 19
