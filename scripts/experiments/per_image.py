"""Per-image style transfer for the report: loss networks side by side, and Adam beside L-BFGS."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from caffe import load_squeezenet
from torch import Tensor

from fast_nst.data.crops import load_image, longer_side, resize, shorter_side
from fast_nst.losses.config import PerceptualConfig
from fast_nst.losses.perceptual import LossWeights, PerceptualLoss, floats
from fast_nst.networks.features import LossNetwork, load_loss_network
from fast_nst.per_image.descent import Descent
from fast_nst.per_image.optimize import OptimizeConfig, optimize
from fast_nst.training.report import to_pixels

# More style and less smoothing than the defaults, so that it is seen what each network takes for style.
WEIGHTS = LossWeights(content=1, style=30, tv=5)
Found = tuple[dict[str, Any], dict[str, np.ndarray]]


def open_network(source: str) -> LossNetwork:
    """A loss network by name or file; a file called squeezenet... is the published Caffe one."""
    if Path(source).name.startswith("squeezenet"):
        return load_squeezenet(Path(source))
    return load_loss_network(source)


def load_pair(photograph: str, style: str, size: int) -> tuple[Tensor, Tensor]:
    """Content with its longer side at ``size`` px, and the style as large; [1, 3, H, W] each."""
    content, painting = load_image(photograph), load_image(style)
    content = resize(content, longer_side(content, size))
    return content, resize(painting, shorter_side(painting, min(content.shape[-2:])))


def perceptual(
    source: str, content: Tensor, style: Tensor, smoothing: bool
) -> Callable[[Tensor], dict[str, Tensor]]:
    """The loss terms of a picture under one network."""
    network = open_network(source)
    info = network.info
    loss = PerceptualLoss(network, [style], info.style_taps, info.content_tap, WEIGHTS, smoothing)
    target = loss.content_target(content)
    return lambda picture: loss.compare(picture, target)


def compare_networks(
    networks: dict[str, str], photograph: str, style: str, judge: str, size: int, iterations: int
) -> Found:
    """Every network without and with activation smoothing; figures by name, and pictures by name."""
    content, painting = load_pair(photograph, style, size)
    judged = perceptual(judge, content, painting, smoothing=False)
    pictures = {"photograph": to_pixels(content[0])}
    found: dict[str, Any] = {"photograph": {"judged": measure(judged, content)}}
    for name, source in networks.items():
        for smoothing in (False, True):
            label = f"{name}, smoothed" if smoothing else name
            started = time.perf_counter()
            descent = Descent(content, perceptual(source, content, painting, smoothing))
            first = float(descent.terms()["total"])
            for _ in range(iterations):
                descent.step()
            last = float(descent.terms()["total"])
            picture = descent.picture
            found[label] = {
                "judged": measure(judged, picture),
                "seconds": time.perf_counter() - started,
                "own": [first, last],
            }
            pictures[label] = to_pixels(picture[0])
            print(
                label, {k: round(v, 3) for k, v in found[label]["judged"].items() if "/" not in k}, flush=True
            )
    return found, pictures


def measure(terms: Callable[[Tensor], dict[str, Tensor]], picture: Tensor) -> dict[str, float]:
    """Loss terms as numbers."""
    with torch.no_grad():
        return floats(terms(picture))


def compare_optimizers(network: str, photograph: str, style: str, size: int, iterations: int) -> Found:
    """L-BFGS and Adam at two rates for as many iterations, under the default weights."""
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
