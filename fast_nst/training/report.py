"""What a run shows of itself: TensorBoard, sample sheets, the card."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from fast_nst.config import TrainConfig
from fast_nst.errors import one_line
from fast_nst.export import style_metadata
from fast_nst.losses import PerceptualLoss, floats
from fast_nst.networks.features import LossNetwork
from fast_nst.networks.transform import TransformConfig
from fast_nst.pictures import encode_picture
from fast_nst.training.run import TrainState, write_text


@torch.no_grad()
def validate(network: nn.Module, loss: PerceptualLoss, pictures: Tensor, batch: int) -> dict[str, float]:
    """Mean loss terms of ``network`` on held-out pictures [N, 3, H, W], in float32."""
    sums: dict[str, float] = {}
    for part in pictures.split(batch):
        terms = floats(loss(network(part), part))
        for name, value in terms.items():
            sums[name] = sums.get(name, 0.0) + value * len(part)
    return {name: value / len(pictures) for name, value in sums.items()}


@torch.no_grad()
def sample_sheet(network: nn.Module, pictures: Tensor) -> np.ndarray:
    """Content above stylized, side by side; [N, 3, H, W] to uint8 [2H, N*W, 3]."""
    rows = [torch.cat(list(row), dim=2) for row in (pictures, network(pictures).float())]
    return to_pixels(torch.cat(rows, dim=1))


def to_pixels(image: Tensor) -> np.ndarray:
    """[3, H, W] in [0, 1] to uint8 [H, W, 3], rounded."""
    return (image.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()


def preview(style: Tensor, network: nn.Module, pictures: Tensor) -> np.ndarray:
    """The card's picture: the style, then the sample sheet; uint8 [2H, W, 3]."""
    sheet = sample_sheet(network, pictures)
    picture = Image.fromarray(to_pixels(style[0]))
    height = sheet.shape[0]
    width = max(1, round(picture.width * height / picture.height))
    scaled = np.asarray(picture.resize((width, height), Image.Resampling.LANCZOS))
    return np.concatenate([scaled, sheet], axis=1)


def write_preview(path: Path, pixels: np.ndarray) -> None:
    """As a JPEG of moderate size."""
    encode_picture(path, pixels, quality=88)


def about_style(
    config: TrainConfig, style_file: Path, style_sha256: str, loss_network: LossNetwork
) -> dict[str, str]:
    """What the exported file says of its origin."""
    return style_metadata(
        {
            "style": config.style_name,
            "style_sha256": style_sha256,
            "loss_network": loss_network.info.name,
            "loss_network_sha256": loss_network.weights_sha256,
            "license": config.license,
            "attribution": config.attribution,
            "config": without_folders({**config.to_dict(), "style": style_file.name, "output": None}),
        }
    )


def without_folders(value: Any) -> Any:
    """Plain values with every path that exists here cut to its last part: folders are nobody's business."""
    if isinstance(value, dict):
        return {key: without_folders(inner) for key, inner in value.items()}
    if isinstance(value, str) and os.path.exists(value):  # noqa: PTH110 - pathlib raises on a long text
        return Path(value).resolve().name
    return value


def describe(network: TransformConfig) -> str:
    """The network in a few words."""
    kind = "fast" if network.kind == "fast" else "Johnson et al. 2016"
    text = f"{kind}, width {network.width}, {network.blocks} blocks"
    return text + (", antialiased" if network.antialias else "")


def write_card(
    config: TrainConfig,
    state: TrainState,
    validation: dict[str, float],
    about: dict[str, Any],
    images: int,
) -> None:
    """card.md of a finished run: preview, recipe, losses, origin."""
    rate = images / state.seconds if state.seconds else 0.0
    shown = json.loads(about["config"])  # without the folders of this machine
    rows = {
        "network": describe(config.network),
        "loss network": f"{shown['loss']['network']} (weights sha256 {about['loss_network_sha256'][:16]})",
        "style picture": f"{shown['style']} (sha256 {about['style_sha256'][:16]})",
        "content": shown["content"],
        "started from": shown["init_from"] or "random weights",
        "steps x pictures": f"{config.steps} x {images // config.steps}, {config.data.size} px",
        "time": f"{state.seconds / 60:.1f} min of training steps, {rate:.1f} images/s",
        "skipped steps": f"{state.skipped} ({state.rollbacks} roll-backs)",
        "unreadable pictures": str(len(state.unreadable)),
        "license": config.license,
        "attribution": config.attribution or "-",
        **{f"validation {name}": f"{value:.4f}" for name, value in validation.items()},
    }
    cells = {name: one_line(value).replace("|", "\\|") for name, value in rows.items()}
    table = "\n".join(f"| {name} | {value} |" for name, value in cells.items())
    text = (
        f"# {config.style_name}\n\n![style, contents, stylized](preview.jpg)\n\n"
        f"| | |\n|---|---|\n{table}\n\n"
        "Train it again with `fast-nst train --config config.yaml --output ANOTHER-FOLDER`;"
        " losses are dimensionless, see docs/losses.md.\n"
    )
    write_text(config.run_folder / "card.md", text)
