"""SqueezeNet 1.1 with its published Caffe weights as a loss network: a trained network that is no VGG19."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import torch
from torch import nn

from fast_nst.networks.features import LossNetwork, LossNetworkInfo, read_weights, weights_sha256

MEAN_RGB = (123 / 255, 117 / 255, 104 / 255)
FIRES = {3: "fire2", 4: "fire3", 6: "fire4", 7: "fire5", 9: "fire6", 10: "fire7", 11: "fire8", 12: "fire9"}
STYLE_TAPS = ("relu1", "fire3", "fire5", "fire7", "fire9")  # the last of each resolution, and the deepest
CONTENT_TAP = "fire7"


def load_squeezenet(path: Path) -> LossNetwork:
    """The published weights take BGR in 0..255 with the mean subtracted; the first layer is turned around."""
    from torchvision.models import squeezenet1_1

    state, _ = read_weights(path)
    features = squeezenet1_1().features
    names = {0: "conv1", 1: "relu1", 2: "pool1", 5: "pool3", 8: "pool5", **FIRES}
    renamed = {}
    for key, value in features.state_dict().items():
        index, _, rest = key.partition(".")
        rest = rest.replace("squeeze.", "squeeze1x1.")
        source = f"{names[int(index)]}/{rest}" if int(index) in FIRES else f"{names[int(index)]}.{rest}"
        renamed[key] = state[source].float().reshape(value.shape)
    renamed["0.weight"] = renamed["0.weight"].flip(1) * 255
    features.load_state_dict(renamed)
    for layer in features.modules():
        if isinstance(layer, nn.ReLU):
            layer.inplace = False
    layers = nn.Sequential(OrderedDict((names[index], layer) for index, layer in enumerate(features)))
    info = LossNetworkInfo(
        "squeezenet1.1",
        mean=MEAN_RGB,
        std=(1.0, 1.0, 1.0),
        style_taps=STYLE_TAPS,
        content_tap=CONTENT_TAP,
        origin=path.name,
    )
    return LossNetwork(info, layers, weights_sha256({k: torch.as_tensor(v) for k, v in renamed.items()}))
