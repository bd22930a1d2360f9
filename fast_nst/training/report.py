"""What a run shows of itself: TensorBoard, sample sheets, the card."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn

from fast_nst.config import TrainConfig
from fast_nst.contract import STYLES, styles_sha256, styles_to_json
from fast_nst.data.crops import load_image
from fast_nst.errors import one_line
from fast_nst.export import style_metadata
from fast_nst.losses.perceptual import PerceptualLoss, floats
from fast_nst.networks.features import LossNetwork
from fast_nst.networks.transform import TransformConfig
from fast_nst.pictures import encode_picture
from fast_nst.pictures.tiles import tiles
from fast_nst.training.folder import TrainState, write_text
from fast_nst.training.styles import Style


@torch.no_grad()
def validate(
    network: nn.Module, loss: PerceptualLoss, pictures: Tensor, batch: int
) -> tuple[dict[str, float], list[dict[str, float]]]:
    """Loss terms of ``network`` on held-out pictures [N, 3, H, W], in float32: their mean, and each style's.

    The pictures are dealt to the styles in turn, until all pictures and all styles had their turn.
    """
    styles = loss.styles
    sums: list[dict[str, float]] = [{} for _ in range(styles)]
    pairs = max(len(pictures), styles)
    counts = [len(range(style, pairs, styles)) for style in range(styles)]
    for style, terms in enumerate(sums):
        numbers = [pair % len(pictures) for pair in range(style, pairs, styles)]
        for part in pictures[numbers].split(batch):
            same = torch.full((len(part),), style, device=part.device)
            painted = network(part, _one_hot(style, styles, part))
            for name, value in floats(loss(painted, part, same)).items():
                terms[name] = terms.get(name, 0.0) + value * len(part) / counts[style]
    means = {name: float(np.mean([terms[name] for terms in sums])) for name in sums[0]}
    return means, sums


def _one_hot(style: int, styles: int, like: Tensor) -> Tensor:
    return torch.eye(styles, device=like.device)[style : style + 1]


@torch.no_grad()
def sample_sheet(network: nn.Module, pictures: Tensor, styles: int) -> np.ndarray:
    """One style: content above stylized; many: what each makes of a content, these in turn; uint8."""
    if styles == 1:
        painted = network(pictures, _one_hot(0, 1, pictures)).float()
        return to_pixels(torch.cat([torch.cat(list(row), dim=2) for row in (pictures, painted)], dim=1))
    return tiles([to_pixels(image) for image in _paintings(network, pictures, styles)])


def _paintings(network: nn.Module, pictures: Tensor, styles: int) -> list[Tensor]:
    """What every style makes of a picture, the pictures in turn; [3, H, W] each."""
    numbers = [style % len(pictures) for style in range(styles)]
    return [
        network(pictures[number : number + 1], _one_hot(style, styles, pictures))[0].float()
        for style, number in enumerate(numbers)
    ]


def to_pixels(image: Tensor) -> np.ndarray:
    """[3, H, W] in [0, 1] to uint8 [H, W, 3], rounded."""
    return (image.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()


@torch.no_grad()
def preview(styles: Sequence[Style], network: nn.Module, pictures: Tensor) -> np.ndarray:
    """The card's picture: the style, then the sample sheet; of many styles each beside a painting; uint8."""
    originals = [Image.fromarray(to_pixels(load_image(style.file)[0])) for style in styles]
    if len(styles) == 1:
        sheet = sample_sheet(network, pictures, 1)
        size = (max(1, round(originals[0].width * sheet.shape[0] / originals[0].height)), sheet.shape[0])
        return np.concatenate([np.asarray(originals[0].resize(size, Image.Resampling.LANCZOS)), sheet], 1)
    painted = [to_pixels(image) for image in _paintings(network, pictures, len(styles))]
    size = (painted[0].shape[1], painted[0].shape[0])
    fitted = [np.asarray(ImageOps.fit(picture, size, Image.Resampling.LANCZOS)) for picture in originals]
    return tiles([np.concatenate(pair, 1) for pair in zip(fitted, painted, strict=True)])


def write_preview(path: Path, pixels: np.ndarray) -> None:
    """As a JPEG of moderate size."""
    encode_picture(path, pixels, quality=88)


def about_styles(config: TrainConfig, styles: Sequence[Style], loss_network: LossNetwork) -> dict[str, str]:
    """What the exported file says of its origin."""
    infos = [style.info for style in styles]
    about = {
        "style": config.style_name,
        "style_sha256": styles_sha256(infos),
        "loss_network": loss_network.info.name,
        "loss_network_sha256": loss_network.weights_sha256,
        "license": config.license,
        "attribution": config.attribution,
        "config": without_folders(
            {**config.to_dict(), "style": Path(config.style or "").name, "output": None}
        ),
    }
    if len(styles) > 1:
        about[STYLES] = styles_to_json(infos)
    return style_metadata(about)


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
    styles: Sequence[Style],
    of_styles: Sequence[dict[str, float]],
) -> None:
    """card.md of a finished run: preview, recipe, losses, origin."""
    rate = images / state.seconds if state.seconds else 0.0
    shown = json.loads(about["config"])  # without the folders of this machine
    rows = {
        "network": describe(config.network),
        "loss network": f"{shown['loss']['network']} (weights sha256 {about['loss_network_sha256'][:16]})",
        ("style picture" if len(styles) == 1 else "style pictures"): (
            f"{shown['style']} (sha256 {about['style_sha256'][:16]})"
        ),
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
    if len(styles) > 1:
        table += "\n\n| style | content | style | license | attribution |\n|---|---|---|---|---|"
        for style, terms in zip(styles, of_styles, strict=True):
            losses = f"{terms['content']:.3f} | {terms['style']:.3f}"
            origin = f"{style.info.license} | {style.info.attribution or '-'}"
            table += f"\n| {style.info.name} | {losses} | {origin} |"
    text = (
        f"# {config.style_name}\n\n![style, contents, stylized](preview.jpg)\n\n"
        f"| | |\n|---|---|\n{table}\n\n"
        "Train it again with `fast-nst train --config config.yaml --output ANOTHER-FOLDER`;"
        " losses are dimensionless, see docs/losses.md.\n"
    )
    write_text(config.run_folder / "card.md", text)
