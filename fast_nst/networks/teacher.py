"""A teacher made of two published files, for where the full VGG19 cannot be had.

`vgg19_normalised_conv1_1-conv3_1.pt` is the true VGG19 with Gatys' normalized weights up to conv3_1;
`vgg19_16x_conv1_1-conv5_1.pt` a quarter-width one (Wang et al. 2020, Collaborative Distillation) whose
1x1 `aux` convolutions give features in VGG19's own channels. The hybrid takes relu1_1 to relu3_1 from the
first, relu4_1 and relu5_1 from the aux convolutions and what lies between from the small network itself.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from fast_nst.errors import UserError
from fast_nst.networks import vgg
from fast_nst.networks.features import LossNetwork, LossNetworkInfo, Pooling, read_weights, weights_sha256

STEM_FILE = "vgg19_normalised_conv1_1-conv3_1.pt"
QUARTER_FILE = "vgg19_16x_conv1_1-conv5_1.pt"
STEM_TAPS = ("relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1")
AUX_TAPS = ("relu4_1", "relu5_1")
QUARTER_TAPS = ("relu3_2", "relu3_3", "relu3_4", "relu4_2", "relu4_3", "relu4_4")
SMALLEST = 32  # px; below, block 5 has a single pixel and nothing to reflect
CAFFE_MEAN_RGB = (123.68 / 255, 116.779 / 255, 103.939 / 255)


INFO = LossNetworkInfo(
    "vgg19-hybrid",
    mean=CAFFE_MEAN_RGB,
    std=(1.0, 1.0, 1.0),
    license="research use",
    origin=f"{STEM_FILE} and {QUARTER_FILE}",
)


class HybridTeacher(LossNetwork):
    """The two files as one loss network; taps as `STEM_TAPS`, `AUX_TAPS` and `QUARTER_TAPS`."""

    def __init__(self, stem: nn.Sequential, quarter: nn.Sequential, aux: nn.ModuleDict, sha: str):
        super().__init__(INFO, stem, sha)
        self.quarter: nn.Sequential = quarter.requires_grad_(False)
        self.aux = aux.requires_grad_(False)

    def forward(self, images: Tensor, taps: Iterable[str]) -> dict[str, Tensor]:
        """Features at ``taps``, as `LossNetwork.forward`."""
        wanted = set(taps)
        features = {}
        stem_taps = wanted & set(STEM_TAPS)
        if stem_taps:
            features.update(super().forward(images, stem_taps))
        small = {tap for tap in wanted if tap in (*AUX_TAPS, *QUARTER_TAPS)}
        if small and min(images.shape[-2:]) < SMALLEST:
            height, width = images.shape[-2:]
            raise UserError(
                f"a picture of {width}x{height} px is too small for the hybrid teacher, which reflects its"
                f" edges: use at least {SMALLEST} px"
            )
        x = images
        for name, layer in self.quarter.named_children():
            if not small - features.keys():
                break
            x = layer(x)
            if name in small:
                features[name] = torch.relu(self.aux[name](x)) if name in AUX_TAPS else x
        if wanted - features.keys():
            raise KeyError(f"taps not built: {sorted(wanted - features.keys())}")
        return features


def load_teacher(folder: Path, taps: Sequence[str] | None = None, pooling: Pooling = "max") -> HybridTeacher:
    """The hybrid from the folder that holds both files.

    Raises:
        UserError: a file is missing, or a tap the hybrid does not have.
    """
    unknown = set(taps or ()) - {*STEM_TAPS, *AUX_TAPS, *QUARTER_TAPS}
    if unknown:
        raise UserError(f"the hybrid teacher has no tap {', '.join(sorted(unknown))}")
    for file in (STEM_FILE, QUARTER_FILE):
        if not (folder / file).is_file():
            raise UserError(f"{folder} is no loss network: it lacks {file}")
    try:
        teacher = _hybrid(folder)
    except (KeyError, RuntimeError, IndexError) as error:
        raise UserError(f"{folder}: {STEM_FILE} or {QUARTER_FILE} is not the published file") from error
    if pooling == "average":
        vgg.average_pooling(teacher.layers)
        vgg.average_pooling(teacher.quarter)
    return teacher


def _hybrid(folder: Path) -> HybridTeacher:
    stem_state, _ = read_weights(folder / STEM_FILE)
    quarter_state, _ = read_weights(folder / QUARTER_FILE)
    stem = vgg.build_vgg19(vgg.widths_of(stem_state), "relu3_1", padding="reflect")
    # BGR in 0..255 there, RGB in [0, 1] here: turn the first layer's input channels around and scale.
    first = {"conv1_1.weight": stem_state["conv1_1.weight"].flip(1) * 255}
    stem.load_state_dict({**stem_state, **first})
    quarter = _quarter(quarter_state)
    aux = nn.ModuleDict({tap: _pointwise(quarter_state, f"conv{tap[4]}1_aux") for tap in AUX_TAPS})
    return HybridTeacher(stem, quarter, aux, weights_sha256({**stem_state, **quarter_state}))


def _quarter(state: dict[str, Tensor]) -> nn.Sequential:
    layers = vgg.build_vgg19(vgg.COMPACT_WIDTHS, "relu5_1", padding="reflect")
    renamed = {key: state[key.replace("_", "")] for key in layers.state_dict()}
    layers.load_state_dict(renamed)
    conv0 = ("conv0", _pointwise(state, "conv0"))
    return nn.Sequential(OrderedDict([conv0, *layers.named_children()]))


def _pointwise(state: dict[str, Tensor], name: str) -> nn.Conv2d:
    weight = state[f"{name}.weight"]
    conv = nn.Conv2d(weight.shape[1], weight.shape[0], 1)
    conv.load_state_dict({"weight": weight, "bias": state[f"{name}.bias"]})
    return conv
