"""Loss networks: frozen classifiers whose named layers (taps) the perceptual losses compare.

A loss network is a name or a file. Each carries its own normalization, license and default taps;
only the layers up to the deepest tap are built, and a call runs only up to the deepest tap it asks for.
"""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import safe_open
from torch import Tensor, nn

from fast_nst.errors import UserError, one_line
from fast_nst.networks import resnet, vgg
from fast_nst.shipped import checkpoints_dir

STYLE_TAPS = (
    "relu1_1",
    "relu2_1",
    "relu3_1",
    "relu4_1",
    "relu5_1",
)  # Gatys et al. 2016, section 2.2
CONTENT_TAP = "relu4_2"
Pooling = Literal["max", "average"]
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class LossNetworkInfo:
    """What a loss network says of itself."""

    name: str
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    padding: vgg.Padding = "zeros"
    style_taps: tuple[str, ...] = STYLE_TAPS
    content_tap: str = CONTENT_TAP
    smoothing: bool = False
    license: str = "unknown"
    origin: str = "unknown"

    def to_metadata(self) -> dict[str, str]:
        """As the string-to-string header of a safetensors file."""
        return {"fast_nst.loss_network": json.dumps(asdict(self))}


_RESNET = LossNetworkInfo(
    "resnet50",
    style_taps=resnet.STYLE_TAPS,
    content_tap=resnet.CONTENT_TAP,
    smoothing=True,  # without it a ResNet's few large activations are all that counts
    license="BSD-3-Clause (torchvision); trained on ImageNet",
    origin="torchvision ResNet50_Weights.IMAGENET1K_V1",
)
VGG16 = "vgg16"  # ships
TORCHVISION = {
    "vgg19": LossNetworkInfo(
        "vgg19", license=_RESNET.license, origin="torchvision VGG19_Weights.IMAGENET1K_V1"
    ),
    "resnet50": _RESNET,
}
RANDOM = {
    name: replace(info, name=name, license="MIT", origin="Kaiming initialization, not trained")
    for name, info in (("vgg19-random", TORCHVISION["vgg19"]), ("resnet50-random", _RESNET))
}


class LossNetwork(nn.Module):
    """Frozen, always in eval mode, with its own normalization.

    Input: pictures [N, 3, H, W], RGB in [0, 1]. Output: {tap: features [N, C, H', W']}.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, info: LossNetworkInfo, layers: nn.Sequential, weights_sha256: str) -> None:
        super().__init__()
        self.info = info
        self.weights_sha256 = weights_sha256
        self.layers = layers
        self.register_buffer("mean", torch.tensor(info.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(info.std).view(1, 3, 1, 1), persistent=False)
        self.requires_grad_(False)
        super().train(False)

    def train(self, mode: bool = True) -> LossNetwork:
        """A loss network never trains: it stays in eval mode."""
        return self

    @property
    def tap_names(self) -> list[str]:
        """Names of all layers that were built, in order."""
        return [name for name, _ in self.layers.named_children()]

    def forward(self, images: Tensor, taps: Iterable[str]) -> dict[str, Tensor]:
        """Features at ``taps``; stops behind the deepest of them.

        Raises:
            UserError: a picture is too small for the deepest tap.
            KeyError: a tap that was not built.
        """
        wanted = set(taps)
        features: dict[str, Tensor] = {}
        x = (images - self.mean) / self.std
        for name, layer in self.layers.named_children():
            unpadded = isinstance(layer, nn.MaxPool2d | nn.AvgPool2d) and layer.padding == 0
            if unpadded and min(x.shape[-2:]) < 2:
                height, width = images.shape[-2:]
                raise UserError(
                    f"a picture of {width}x{height} px is too small for the loss network's"
                    f" {', '.join(sorted(wanted - set(features)))}: use a larger size or a less deep tap"
                )
            x = layer(x)
            if name in wanted:
                features[name] = x
                if len(features) == len(wanted):
                    return features
        raise KeyError(f"taps not built: {sorted(wanted - set(features))}")


def weights_sha256(state: Mapping[str, Tensor]) -> str:
    """One hash of all names and values, whatever file they came in."""
    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(name.encode())
        digest.update(state[name].detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def load_loss_network(name: str, taps: Sequence[str] | None = None, pooling: Pooling = "max") -> LossNetwork:
    """The loss network called ``name``, trimmed to the deepest of ``taps``.

    Args:
        name: ``vgg19`` or ``resnet50`` (torchvision's ImageNet weights, downloaded once and hash-checked),
            ``vgg16`` (that of Johnson et al. 2016; ships with fast_nst), ``vgg19-random`` or
            ``resnet50-random`` (untrained, for comparison), the path of a weights file (.safetensors, or a
            state dict of torchvision's VGG16, VGG19 or ResNet50, full or without the classifier), or the
            run folder of a trained backbone.
        taps: layers that will be asked for; None = the network's default style and content taps.
        pooling: ``average`` in place of VGG19's max pooling, as in Gatys et al. 2016, section 2.

    Raises:
        UserError: unknown name, unreadable file, failed download, or a tap the network lacks.
    """
    info, build = find_loss_network(name)
    return build(taps if taps is not None else (*info.style_taps, info.content_tap), pooling)


def find_loss_network(
    name: str,
) -> tuple[LossNetworkInfo, Callable[[Sequence[str], Pooling], LossNetwork]]:
    """What `load_loss_network` finds under ``name``, and what builds it for given taps and pooling."""
    path = Path(name)
    if name in TORCHVISION:
        info, state = TORCHVISION[name], _torchvision_state(name)
    elif name in RANDOM:
        info, state = RANDOM[name], _random_state(name)
    elif name == VGG16:
        info, state = _from_file(_vgg16_file())
    elif path.is_dir():
        weights = path / "model.safetensors"
        if not weights.is_file():
            raise UserError(f"loss network {name} is a folder without model.safetensors, so no finished run")
        info, state = _from_file(weights)
    elif path.is_file():
        info, state = _from_file(path)
    else:
        names = ", ".join((VGG16, *TORCHVISION, *RANDOM))
        raise UserError(f"loss network {name!r} is neither a name ({names}) nor an existing file")
    return info, lambda taps, pooling: _build(info, state, taps, pooling)


def _build(
    info: LossNetworkInfo, state: Mapping[str, Tensor], taps: Sequence[str], pooling: Pooling
) -> LossNetwork:
    """The layers up to the deepest of ``taps``, with their weights."""
    is_resnet = "layer1_0.conv1.weight" in state
    if is_resnet:
        names = available = resnet.resnet50_layer_names()
    else:
        depth = vgg.depth_of(state)
        names = vgg.layer_names(depth)
        blocks = len(vgg.widths_of(state))
        available = _until_missing([n for n in names if int(n[4]) <= blocks], state)
    unknown = [tap for tap in taps if tap not in available]
    if unknown:
        raise UserError(
            f"loss network {info.name} has no tap {', '.join(unknown)}: it has"
            f" {available[0]} ... {available[-1]}"
            if available
            else f"{info.name} holds no VGG convolutions (conv1_1.weight or features.0.weight)"
        )
    deepest = max(taps, key=names.index)
    if is_resnet:
        layers = resnet.build_resnet50(deepest)
    else:
        layers = vgg.build_vgg(vgg.widths_of(state), deepest, info.padding, "replicate", depth)
    try:
        used = {key: _weight(state, key) for key in layers.state_dict()}
        layers.load_state_dict(used, assign=True)
    except (RuntimeError, KeyError) as error:
        raise UserError(f"loss network {info.name}: {one_line(error)}") from error
    if pooling == "average":
        if is_resnet:
            raise UserError("--loss.pooling average is for VGGs: a ResNet50 has no pooling to replace")
        vgg.average_pooling(layers)
    return LossNetwork(info, layers, weights_sha256(used))


def _weight(state: Mapping[str, Tensor], key: str) -> Tensor:
    """In float32. A counter of batches, which older files lack, means nothing in eval mode."""
    if key.endswith("num_batches_tracked"):
        return torch.zeros((), dtype=torch.int64)
    return state[key].float()


def _until_missing(names: Sequence[str], state: Mapping[str, Tensor]) -> list[str]:
    kept = []
    for name in names:
        if name.startswith("conv") and not {f"{name}.weight", f"{name}.bias"} <= set(state):
            break
        kept.append(name)
    return kept


def _torchvision_state(name: str) -> dict[str, Tensor]:
    from torchvision.models import ResNet50_Weights, VGG19_Weights

    weights = VGG19_Weights.IMAGENET1K_V1 if name == "vgg19" else ResNet50_Weights.IMAGENET1K_V1
    try:
        state = weights.get_state_dict(check_hash=True, progress=False)
    except (OSError, RuntimeError, pickle.UnpicklingError) as error:
        file = weights.url.rsplit("/", 1)[-1]
        raise UserError(
            f"the {name} weights could not be downloaded ({one_line(error)}): give the path of a local"
            f" file in place of its name ({file}, or put it into $TORCH_HOME/hub/checkpoints),"
            " or use the one that ships, vgg16"
        ) from error
    return _rename(state)


def _rename(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """torchvision's keys of a VGG or a ResNet50 as the layers here have them; empty if it is neither."""
    if any(key.removeprefix("module.").startswith("layer1.0.conv1") for key in state):
        return resnet.torchvision_to_names(state)
    return vgg.torchvision_to_names(state)


def _random_state(name: str) -> dict[str, Tensor]:
    return vgg.random_state() if name == "vgg19-random" else resnet.random_state()


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """State dict and header of a .safetensors file or a torch state dict (no pickled code is run).

    Raises:
        UserError: not a weights file.
    """
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118 - not a dict
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # text, zip, pickle, header: each has its own
        reason = one_line(error).split(". ")[0]
        raise UserError(f"{path} is not a weights file ({reason})") from error
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise UserError(f"{path} is not a state dict: it must map names to tensors")
    return state, {}


def _from_file(path: Path) -> tuple[LossNetworkInfo, dict[str, Tensor]]:
    state, header = read_weights(path)
    described = header.get("fast_nst.loss_network")
    if described is not None:
        try:
            fields: dict[str, Any] = json.loads(described)
            for name in ("mean", "std", "style_taps"):
                fields[name] = tuple(fields[name])
            return LossNetworkInfo(**fields), state
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}: its header fast_nst.loss_network is damaged") from error
    renamed = _rename(state)
    if not renamed:
        raise UserError(
            f"{path} has neither the keys of torchvision's VGG16 or VGG19 (features.0.weight) or ResNet50"
            " (layer1.0.conv1.weight) nor fast_nst's header, so its normalization is unknown"
        )
    if "layer1_0.conv1.weight" in renamed:
        return replace(TORCHVISION["resnet50"], name=path.stem, license="unknown", origin=path.name), renamed
    if vgg.depth_of(renamed) == 16:
        original, weights = _from_file(_vgg16_file())
        if _same_weights(renamed, weights):  # torchvision's VGG16_Weights.IMAGENET1K_FEATURES
            return replace(original, origin=path.name), renamed
        taps, content_tap = original.style_taps, original.content_tap
        info = LossNetworkInfo(path.stem, style_taps=taps, content_tap=content_tap, origin=path.name)
        return info, renamed
    return LossNetworkInfo(path.stem, origin=path.name), renamed


def _vgg16_file() -> Path:
    return checkpoints_dir() / "vgg16.safetensors"


def _same_weights(state: Mapping[str, Tensor], original: Mapping[str, Tensor]) -> bool:
    """Whether ``state`` is what ``original`` was rounded from, by the first convolution."""
    first = "conv1_1.weight"
    return torch.allclose(state[first].float(), original[first].float(), rtol=2**-10, atol=2**-20)
