"""Per-image style transfer for the report: loss networks side by side, and Adam beside L-BFGS."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fast_nst.config import PerceptualConfig
from fast_nst.crops import load_image, longer_side, resize, shorter_side
from fast_nst.losses import floats
from fast_nst.networks.features import find_loss_network
from fast_nst.training.optimize import OptimizeConfig, optimize
from fast_nst.training.perceptual import perceptual_loss, resolve_loss
from fast_nst.training.report import to_pixels


def stylize(
    content: torch.Tensor,
    style: torch.Tensor,
    network: str,
    smoothing: bool | None,
    size: int,
    iterations: int,
) -> dict[str, Any]:
    """One picture under one loss network; its pixels, time and curve."""
    loss = PerceptualConfig(network=network, smoothing=smoothing)
    started = time.perf_counter()
    result = optimize(content, style, OptimizeConfig(loss=loss, size=size, iterations=iterations))
    return {
        "pixels": to_pixels(result.picture[0]),
        "picture": result.picture,
        "seconds": time.perf_counter() - started,
        "totals": [terms["total"] for terms in result.history],
    }


def judge(network: str, style: torch.Tensor, size: int, content: torch.Tensor) -> Any:
    """Loss terms of pictures against ``content`` and ``style`` under one fixed loss network."""
    config, loss_network = resolve_loss(PerceptualConfig(network=network))
    target = resize(content, longer_side(content, size))
    sized = resize(style, shorter_side(style, min(target.shape[-2:])))
    loss = perceptual_loss(config, loss_network, sized, torch.device("cpu"))

    def terms(picture: torch.Tensor) -> dict[str, float]:
        with torch.no_grad():
            return floats(loss(picture, target))

    return terms


def compare_networks(
    networks: dict[str, str], photograph: Path, style: Path, judge_name: str, size: int, iterations: int
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Every network without and with activation smoothing; figures by name, and pictures by name."""
    content, painting = load_image(photograph), load_image(style)
    terms = judge(judge_name, painting, size, content)
    shown = resize(content, longer_side(content, size))
    pictures = {"photograph": to_pixels(shown[0])}
    found: dict[str, Any] = {"photograph": {"judged": terms(shown)}}
    for name, source in networks.items():
        info, _ = find_loss_network(source)
        for smoothing in (False, True):
            label = f"{name}, smoothed" if smoothing else name
            result = stylize(content, painting, source, smoothing, size, iterations)
            pictures[label] = result["pixels"]
            found[label] = {
                "judged": terms(result["picture"]),
                "seconds": result["seconds"],
                "own": [result["totals"][0], result["totals"][-1]],
                "default": smoothing == info.smoothing,
            }
    return found, pictures


def compare_optimizers(
    network: str, photograph: Path, style: Path, size: int, iterations: int
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Adam at two rates and L-BFGS for as many iterations; total losses and times."""
    content, painting = load_image(photograph), load_image(style)
    found, pictures = {}, {}
    choices = {"L-BFGS": ("lbfgs", None), "Adam, lr 0.02": ("adam", 0.02), "Adam, lr 0.05": ("adam", 0.05)}
    for name, (optimizer, lr) in choices.items():
        config = OptimizeConfig(
            loss=PerceptualConfig(network=network),
            size=size,
            iterations=iterations,
            optimizer=optimizer,
            lr=lr,
        )
        started = time.perf_counter()
        result = optimize(content, painting, config)
        pictures[name] = to_pixels(result.picture[0])
        found[name] = {
            "totals": [terms["total"] for terms in result.history],
            "seconds": time.perf_counter() - started,
            "evaluations": result.evaluations,
        }
    return found, pictures
