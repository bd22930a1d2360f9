"""Image transformation networks: that of Johnson et al. 2016, and a fast one for live use."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from fast_nst.errors import UserError, one_line
from fast_nst.files import whole_file
from fast_nst.networks.blocks import ConvBlock, Detour, ResidualBlock, Stem, SubPixelHead, UpsampleBlock, conv

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

    H and W are multiples of `TransformConfig.stride` and at least `TransformConfig.min_side`;
    `fast_nst.export` pads any other size in the graph.
    """

    def __init__(self, config: TransformConfig) -> None:
        super().__init__()
        self.config = config
        self.down, self.residual, self.up, self.head = (_fast if config.kind == "fast" else _johnson)(config)

    def forward(self, x: Tensor) -> Tensor:
        """[N, 3, H, W] in [0, 1] to the same."""
        x = self.up(self.residual(self.down(x - 0.5)))
        return torch.sigmoid(self.head(x))


def _johnson(config: TransformConfig) -> tuple[nn.Module, nn.Module, nn.Module, nn.Module]:
    """Johnson et al. 2016 with instance norm and resize convolutions, its residual blocks at 1/4."""
    w, antialias = config.width, config.antialias
    down = nn.Sequential(
        ConvBlock(3, w, 9),
        ConvBlock(w, 2 * w, 3, 2, antialias),
        ConvBlock(2 * w, 4 * w, 3, 2, antialias),
    )
    residual = nn.Sequential(*[ResidualBlock(4 * w) for _ in range(config.blocks)])
    up = nn.Sequential(UpsampleBlock(4 * w, 2 * w, antialias), UpsampleBlock(2 * w, w, antialias))
    return down, residual, up, conv(w, 3, 9)


def _fast(config: TransformConfig) -> tuple[nn.Module, nn.Module, nn.Module, nn.Module]:
    """The residual blocks at 1/8, beside a skip at 1/4; nothing but the head's shuffle at full resolution."""
    w = config.width
    up = UpsampleBlock(w, w // 2, antialias=True)
    return Stem(w), Detour(w, config.blocks), up, SubPixelHead(w // 2)


def save_transform(network: TransformNetwork, path: Path, about: dict[str, str]) -> None:
    """Write weights and architecture, with ``about`` in the header, atomically."""
    state = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    # One entry: safetensors writes several in random order, and equal runs must give equal files.
    header = {"network": asdict(network.config), "about": about}
    with whole_file(path) as unfinished:
        save_file(state, unfinished, {HEADER: json.dumps(header, sort_keys=True)})


def load_transform(path: Path) -> tuple[TransformNetwork, dict[str, str]]:
    """The network of a ``model.safetensors`` and what its header says about it.

    Raises:
        UserError: the file is missing or is not a transformation network's.
    """
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(HEADER)
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path} is not a readable safetensors file ({one_line(error)})") from error
    if text is None:
        raise UserError(f"{path} is not a fast_nst transformation network: its header is missing")
    try:
        header = json.loads(text)
        network = TransformNetwork(TransformConfig(**header["network"]))
        network.load_state_dict(state)
        about = dict(header["about"])
    except (RuntimeError, ValueError, TypeError, KeyError, UserError) as error:
        raise UserError(f"{path} is damaged: {one_line(error)}") from error
    return network, about
