"""Training speed in images/s: fp32, bf16, bf16 + compile, beside a plain loop as pytorch/examples has it.

python scripts/benchmark_training.py --batch 16 --size 256

Each way runs in a process of its own. Weights are random: speed does not depend on them. The plain loop
computes what pytorch/examples' fast_neural_style computes: VGG16 up to relu4_3 on stylized and content
pictures, four style taps, no autocast, no channels_last.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fast_nst.crops import jitter
from fast_nst.losses import LossWeights, PerceptualLoss
from fast_nst.networks.features import CONTENT_TAP, STYLE_TAPS, LossNetwork, LossNetworkInfo
from fast_nst.networks.transform import TransformConfig, TransformNetwork
from fast_nst.networks.vgg import build_vgg19

WAYS = ("plain loop", "fp32", "bf16", "bf16 + compile")
VGG16_TAPS = (3, 8, 15, 22)  # relu1_2, relu2_2, relu3_3, relu4_3 in torchvision's numbering
Step = Callable[[Tensor], None]


def plain_loop(device: torch.device, size: int) -> Step:
    """A training step as pytorch/examples computes it."""
    from torchvision.models.vgg import cfgs, make_layers

    network = TransformNetwork(TransformConfig(32)).to(device)
    vgg = make_layers(cfgs["D"])[: VGG16_TAPS[-1] + 1].to(device).requires_grad_(False)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)

    def features(x: Tensor) -> list[Tensor]:
        found = []
        for index, layer in enumerate(vgg):
            x = layer(x)
            if index in VGG16_TAPS:
                found.append(x)
        return found

    def gram(x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        flat = x.view(n, c, h * w)
        return flat.bmm(flat.transpose(1, 2)) / (c * h * w)

    with torch.no_grad():
        style = [gram(f) for f in features(torch.rand(1, 3, size, size, device=device))]

    def step(images: Tensor) -> None:
        optimizer.zero_grad()
        made, wanted = features(network(images)), features(images)
        loss = 1e5 * F.mse_loss(made[1], wanted[1])
        for found, target in zip(made, style, strict=True):
            loss = loss + 1e10 * F.mse_loss(gram(found), target.expand(len(images), -1, -1))
        loss.backward()
        optimizer.step()

    return step


def ours(device: torch.device, size: int, bf16: bool, compiled: bool) -> Step:
    """A training step as `fast_nst.training.style` computes it."""
    network = TransformNetwork(TransformConfig(32)).to(device, memory_format=torch.channels_last)
    layers = build_vgg19(deepest="relu5_1", first_padding="replicate")
    loss_network = LossNetwork(LossNetworkInfo("random"), layers, "")
    loss_network.to(device).to(memory_format=torch.channels_last)
    loss = PerceptualLoss(
        loss_network, torch.rand(1, 3, size, size, device=device), STYLE_TAPS, CONTENT_TAP, LossWeights()
    ).to(device)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3)
    if compiled:
        network.compile()
        loss_network.compile()
    count = 0

    def step(images: Tensor) -> None:
        nonlocal count
        count += 1
        optimizer.zero_grad()
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16) if bf16 else nullcontext():
            stylized, seen = (jitter(x, 15, (0, count)) for x in (network(images), images))
            total = loss(stylized, seen)["total"]
        total.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()

    return step


def measure(way: str, batch: int, size: int, steps: int, warmup: int) -> float:
    """Images/s of ``way`` over ``steps`` steps after ``warmup``."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    step = plain_loop(device, size) if way == WAYS[0] else ours(device, size, "bf16" in way, "compile" in way)
    images = torch.rand(batch, 3, size, size, device=device)
    for _ in range(warmup):
        step(images)
    if device.type == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    for _ in range(steps):
        step(images)
    if device.type == "cuda":
        torch.cuda.synchronize()
    return batch * steps / (time.perf_counter() - started)


def main() -> None:
    """A table: way, images/s, ratio to the plain loop."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--warmup", type=int, default=10)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--one", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one, options.batch, options.size, options.steps, options.warmup)))
        return
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    print(f"{device}, torch {torch.__version__}, batch {options.batch}, {options.size} px")
    base = None
    for way in options.ways:
        numbers = ["--batch", options.batch, "--size", options.size]
        numbers += ["--steps", options.steps, "--warmup", options.warmup]
        command = [sys.executable, __file__, "--one", way, *map(str, numbers)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            print(f"{way:16} failed: {done.stderr.strip().splitlines()[-1]}")
            continue
        rate = json.loads(done.stdout.strip().splitlines()[-1])
        base = base or rate
        print(f"{way:16} {rate:8.1f} images/s   x{rate / base:.2f}")


if __name__ == "__main__":
    main()
