"""ResNet50 (He et al. 2016) as a list of named layers, with torchvision's weights and key names.

Taps: relu1 (the stem), layer1_0 ... layer1_2, layer2_0 ... layer2_3, layer3_0 ... layer3_5 and layer4_0 ...
layer4_2, each the output of a residual block behind its last ReLU.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

BLOCKS = (3, 4, 6, 3)
STYLE_TAPS = ("layer1_2", "layer2_3", "layer3_5", "layer4_2")  # last ReLU of each stage, Wang et al. 2021
CONTENT_TAP = "layer3_5"


def resnet50_layer_names() -> list[str]:
    """conv1, norm1, relu1, pool1, layer1_0, ... layer4_2, in order of execution."""
    blocks = [f"layer{stage}_{i}" for stage, count in enumerate(BLOCKS, start=1) for i in range(count)]
    return ["conv1", "norm1", "relu1", "pool1", *blocks]


def build_resnet50(deepest: str = "layer4_2") -> nn.Sequential:
    """The layers of a ResNet50 up to and including ``deepest``, without memory for their weights yet.

    Load them with ``load_state_dict(state, assign=True)``.
    """
    from torchvision.models import resnet50

    with torch.device("meta"):
        whole = resnet50()
    layers = nn.Sequential()
    for name in resnet50_layer_names():
        stage, _, index = name.partition("_")
        source = {"norm1": "bn1", "relu1": "relu", "pool1": "maxpool"}.get(stage, stage)
        layer = whole.get_submodule(f"{source}.{index}" if index else source)
        for part in layer.modules():
            if isinstance(part, nn.ReLU):
                part.inplace = False  # a tap's features must stay as they were
        layers.add_module(name, layer)
        if name == deepest:
            return layers
    raise ValueError(f"no ResNet50 layer is called {deepest!r}")


def torchvision_to_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """torchvision's ``layer1.0.conv1.weight`` keys as the layers here have them; the classifier dropped."""
    renamed = {}
    for key, value in state.items():
        name = re.sub(r"^(?:module\.)?", "", key)
        name = re.sub(r"^bn1\.", "norm1.", name)
        name = re.sub(r"^(layer[1-4])\.(\d+)\.", r"\1_\2.", name)
        if name.split(".")[0] in resnet50_layer_names():
            renamed[name] = value
    return renamed


def random_state(seed: int = 0) -> dict[str, Tensor]:
    """A ResNet50's weights before any training: torchvision's Kaiming initialization, the same for a seed."""
    from torchvision.models import resnet50

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return torchvision_to_names(resnet50().state_dict())
