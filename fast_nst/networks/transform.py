"""Image transformation networks: that of Johnson et al. 2016, and a fast one for live use."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import onnx
import torch
from onnx import numpy_helper
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from fast_nst.contract import STYLES, read_styles
from fast_nst.errors import UserError, one_line
from fast_nst.files import whole_file
from fast_nst.networks.blocks import (
    Chain,
    ConditionalInstanceNorm,
    ConvBlock,
    HalfResolutionBranch,
    ResidualBlock,
    Stem,
    SubPixelHead,
    UpsampleBlock,
    conv,
)

HEADER = "fast_nst"


@dataclass
class TransformConfig:
    """The image transformation network."""

    width: int = 32
    """Channels of the first layer: 32 (1,679,235 parameters, the standard), 16 or 8."""
    blocks: int = 5
    """Residual blocks."""
    kind: Literal["johnson", "fast"] = "johnson"
    """johnson: that of Johnson et al. 2016; fast: at 1/4 and 1/8 of the resolution, for live use on CPUs."""
    antialias: bool = False
    """Low-pass before every stride, bilinear upsampling: frames of a video flicker less. Fast networks
    always have it."""
    head: Literal["sigmoid", "linear"] = "sigmoid"
    """sigmoid; or linear, cut off at black and white where pixels are written: that of networks trained
    elsewhere (`fast-nst import`)."""

    def __post_init__(self) -> None:
        if self.width < 1:
            raise UserError("--network.width must be at least 1")
        if self.kind == "fast" and self.width % 2:
            raise UserError("--network.width of a fast network must be even")
        if self.blocks < 0:
            raise UserError("--network.blocks must not be negative")

    @property
    def stride(self) -> int:
        """Height and width of the network's input are multiples of it."""
        return 8 if self.kind == "fast" else 4

    @property
    def min_side(self) -> int:
        """The smallest side whose lowest resolution still has a pixel to reflect."""
        return 2 * self.stride


class TransformNetwork(nn.Module):
    """Pictures [N, 3, H, W] in [0, 1] to stylized pictures of the same shape and range.

    Styles share the convolutions; each has its own scale and shift at every norm (Dumoulin et al. 2017), and
    its own mixtures of channels in the residual blocks, where strokes are made (`ConditionalInstanceNorm`).
    H and W are multiples of `TransformConfig.stride` and at least `TransformConfig.min_side`;
    `fast_nst.export` pads any other size in the graph. A linear head may leave the range.
    """

    def __init__(self, config: TransformConfig, styles: int = 1, mixing: bool | None = None) -> None:
        """``mixing``: whether styles mix channels; default: where there are several."""
        super().__init__()
        self.config = config
        self.styles = styles
        self.mixing = styles > 1 if mixing is None else mixing
        make = _fast if config.kind == "fast" else _johnson
        self.down, self.residual, self.up, self.head = make(config, styles, self.mixing)

    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        """[N, 3, H, W] in [0, 1] to the same.

        ``style``: what each style counts for, [N or 1, K], rows of sum 1; None for the only one.
        """
        x = self.head(self.up(self.residual(self.down(x - 0.5, style), style), style))
        return torch.sigmoid(x) if self.config.head == "sigmoid" else x

    def constrain(self) -> None:
        """What holds of the weights whatever an optimizer makes of them; see `SubPixelHead.constrain`."""
        if isinstance(self.head, SubPixelHead):
            self.head.constrain()

    def norms(self) -> dict[str, ConditionalInstanceNorm]:
        """The layers that hold what is a style's own, by name."""
        found = self.named_modules()
        return {name: layer for name, layer in found if isinstance(layer, ConditionalInstanceNorm)}

    def with_styles(self, weights: Tensor) -> TransformNetwork:
        """A network whose styles are mixtures of this one's; ``weights`` [new K, K], rows of sum 1."""
        network = TransformNetwork(self.config, len(weights), self.mixing)
        state = self.state_dict()
        for name, norm in self.norms().items():
            for part, _ in norm.named_parameters():
                state[f"{name}.{part}"] = weights.to(state[f"{name}.{part}"]) @ state[f"{name}.{part}"]
        network.load_state_dict(state)
        return network


def _johnson(
    config: TransformConfig, styles: int, mixing: bool
) -> tuple[nn.Module, nn.Module, nn.Module, nn.Module]:
    """Johnson et al. 2016 with instance norm and resize convolutions, its residual blocks at 1/4."""
    w, antialias = config.width, config.antialias
    down = Chain(
        ConvBlock(3, w, 9, styles),
        ConvBlock(w, 2 * w, 3, styles, 2, antialias),
        ConvBlock(2 * w, 4 * w, 3, styles, 2, antialias),
    )
    residual = Chain(*[ResidualBlock(4 * w, styles, mixing) for _ in range(config.blocks)])
    up = Chain(UpsampleBlock(4 * w, 2 * w, styles, antialias), UpsampleBlock(2 * w, w, styles, antialias))
    return down, residual, up, conv(w, 3, 9)


def _fast(
    config: TransformConfig, styles: int, mixing: bool
) -> tuple[nn.Module, nn.Module, nn.Module, nn.Module]:
    """The residual blocks at 1/8, beside a skip at 1/4; nothing but the head's shuffle at full resolution."""
    w = config.width
    up = UpsampleBlock(w, w // 2, styles, antialias=True)
    return Stem(w, styles), HalfResolutionBranch(w, config.blocks, styles, mixing), up, SubPixelHead(w // 2)


def save_transform(network: TransformNetwork, path: Path, about: dict[str, str]) -> None:
    """Write weights and architecture, with ``about`` in the header, atomically."""
    state = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    # One entry: safetensors writes several in random order, and equal runs must give equal files.
    header = {"network": asdict(network.config), "styles": network.styles, "about": about}
    with whole_file(path) as unfinished:
        save_file(state, unfinished, {HEADER: json.dumps(header, sort_keys=True)})


def load_transform(path: Path) -> tuple[TransformNetwork, dict[str, str]]:
    """The network of a ``model.safetensors``, or of an ONNX file of many styles, and what its header says.

    Raises:
        UserError: the file is missing or is not a transformation network's.
    """
    header, state = _read_onnx(path) if path.suffix == ".onnx" else _read_safetensors(path)
    try:
        mixing = any(key.endswith(".mixing") for key in state)
        network = TransformNetwork(TransformConfig(**header["network"]), header.get("styles", 1), mixing)
        for name in network.norms():  # one-dimensional in files of the former format, of one style each
            for part in ("weight", "bias"):
                state[f"{name}.{part}"] = torch.atleast_2d(state[f"{name}.{part}"])
        network.load_state_dict(state)
        about = dict(header["about"])
    except (RuntimeError, ValueError, TypeError, KeyError, UserError) as error:
        raise UserError(f"{path} is damaged: {one_line(error)}") from error
    return network, about


def _read_safetensors(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(HEADER)
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
        header = json.loads(text) if text is not None else None
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path} is not a readable safetensors file ({one_line(error)})") from error
    except ValueError as error:
        raise UserError(f"{path} is damaged: {one_line(error)}") from error
    if header is None:
        raise UserError(f"{path} is not a fast_nst transformation network: its header is missing")
    return header, state


def config_of(metadata: Mapping[str, str]) -> TransformConfig:
    """The architecture that an exported file's metadata tells.

    Raises:
        KeyError, ValueError: it does not.
    """
    width, blocks = int(metadata["width"]), int(metadata["blocks"])
    kind: Any = metadata["network"]
    head: Any = metadata.get("head", "sigmoid")  # the only one there was
    return TransformConfig(width, blocks, kind, metadata["antialias"] == "true", head)


def about_network(config: TransformConfig) -> dict[str, str]:
    """The architecture as an exported file's metadata tells it; `config_of` reads it."""
    return {
        "network": config.kind,
        "width": str(config.width),
        "blocks": str(config.blocks),
        "antialias": str(config.antialias or config.kind == "fast").lower(),
        "head": config.head,
    }


def _read_onnx(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        model = onnx.load(path)
    except Exception as error:  # protobuf's own, which it does not promise
        raise UserError(f"{path} is not a readable ONNX file ({one_line(error)})") from error
    about = {entry.key: entry.value for entry in model.metadata_props}
    if STYLES not in about:
        raise UserError(
            f"{path} cannot be trained on: only ONNX files of many styles hold a network's weights as they"
            " were trained; give the run folder or its model.safetensors"
        )
    try:
        network = asdict(config_of(about))
        header = {"network": network, "styles": len(read_styles(about)), "about": about}
    except (KeyError, ValueError) as error:
        raise UserError(f"{path} is damaged: {one_line(error)}") from error
    prefix = "network."  # of `fast_nst.export.PixelGraph`
    state = {
        item.name.removeprefix(prefix): torch.from_numpy(numpy_helper.to_array(item).copy())
        for item in model.graph.initializer
        if item.name.startswith(prefix) and not item.name.endswith(".kernel")
    }
    return header, state
