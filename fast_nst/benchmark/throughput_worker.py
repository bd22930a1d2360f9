"""The process behind `fast-nst benchmark training`: times one variant of a training step.

python -m fast_nst.benchmark.throughput_worker
"""

from __future__ import annotations

import time
import typing
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import is_dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.flop_counter import FlopCounterMode

from fast_nst.benchmark.throughput import PEER
from fast_nst.benchmark.worker import serve, time_calls
from fast_nst.config import TrainConfig
from fast_nst.losses.build import perceptual_loss, resolve_loss
from fast_nst.losses.objective import objective
from fast_nst.machine.limits import peak_memory
from fast_nst.networks.transform import TransformNetwork
from fast_nst.training.schedule import make_optimizer

VGG16_TAPS = (3, 8, 15, 22)  # relu1_2, relu2_2, relu3_3, relu4_3 in torchvision's numbering
PEAK_SIDE = {"cpu": 2048, "cuda": 8192}
Step = Callable[[], object]
Config = TypeVar("Config")


def time_training(request: dict[str, Any]) -> dict[str, Any]:
    """Times ``variant`` of the step that ``config`` describes; counts its FLOPs, measures the peak."""
    if request["threads"] is not None:
        torch.set_num_threads(request["threads"])
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    config = from_dict(TrainConfig, request["config"])
    variant = request["variant"]
    step = synchronized(peer_step(config, device) if variant == PEER else our_step(config, variant, device))
    started = time.perf_counter()
    step()
    first_step = time.perf_counter() - started
    seconds = time_calls(step, request["seconds"])
    held = torch.cuda.max_memory_allocated() if device.type == "cuda" else peak_memory()
    eager = torch.compiler.set_stance("force_eager") if "compile" in variant else nullcontext()
    with eager, FlopCounterMode(display=False) as counter:
        step()
    dtype = torch.bfloat16 if "bf16" in variant else torch.float32
    return {
        "seconds": seconds,
        "first_step": first_step,
        "peak_memory": held,
        "device": device.type,
        "flop": counter.get_total_flops(),
        "precision": "bf16" if dtype == torch.bfloat16 else "fp32",
        "peak_flops": peak_flops(device, dtype),
    }


def from_dict(kind: type[Config], values: dict[str, Any]) -> Config:
    """The dataclass that `TrainConfig.to_dict` made plain."""
    hints = typing.get_type_hints(kind)
    nested = {name: hints[name] for name in values if is_dataclass(hints[name])}
    return kind(**{name: from_dict(nested[name], v) if name in nested else v for name, v in values.items()})


def synchronized(step: Step) -> Step:
    """``step``, back only when the GPU is done as well."""
    if not torch.cuda.is_available():
        return step

    def whole() -> None:
        step()
        torch.cuda.synchronize()

    return whole


def our_step(config: TrainConfig, variant: str, device: torch.device) -> Step:
    """A step of `fast_nst.training.style.train` on one batch, less data and logs."""
    layout = torch.channels_last if "channels_last" in variant else torch.contiguous_format
    network = TransformNetwork(config.network).to(device).to(memory_format=layout)
    loss_config, loss_network = resolve_loss(config.loss)
    style = torch.rand(1, 3, config.loss.style_size, config.loss.style_size)
    loss = perceptual_loss(loss_config, loss_network, [style], device, layout)
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(config.optimizer.ema))
    optimizer = make_optimizer(network, config.optimizer)
    for group in optimizer.param_groups:
        group["fused"] = "fused" in variant  # read at each step
    if "compile" in variant:
        network.compile()
        loss_network.compile()
    images = noise(config, device).contiguous(memory_format=layout)
    numbers = torch.zeros(len(images), dtype=torch.long, device=device)
    count = 0

    def step() -> None:
        nonlocal count
        count += 1
        optimizer.zero_grad()
        with torch.autocast(device.type, torch.bfloat16) if "bf16" in variant else nullcontext():
            total = objective(network, images, numbers, loss, config.loss, (config.seed, count))["total"]
        total.backward()
        norm = nn.utils.clip_grad_norm_(network.parameters(), config.optimizer.clip or float("inf"))
        if bool(torch.isfinite(norm)):
            optimizer.step()
            average.update_parameters(network)

    return step


def peer_step(config: TrainConfig, device: torch.device) -> Step:
    """A step as pytorch/examples' fast_neural_style computes it, with our network in place of its own.

    VGG16 up to relu4_3 on stylized and content pictures, four style taps, Adam; no autocast, no
    channels_last, no average of the weights.
    """
    from torchvision.models.vgg import cfgs, make_layers

    network = TransformNetwork(config.network).to(device)
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

    side = config.loss.style_size
    with torch.no_grad():
        style = [gram(f) for f in features(torch.rand(1, 3, side, side, device=device))]
    images = noise(config, device)

    def step() -> None:
        optimizer.zero_grad()
        made, wanted = features(network(images)), features(images)
        loss = 1e5 * F.mse_loss(made[1], wanted[1])
        for found, target in zip(made, style, strict=True):
            loss = loss + 1e10 * F.mse_loss(gram(found), target.expand(len(images), -1, -1))
        loss.backward()
        optimizer.step()

    return step


def noise(config: TrainConfig, device: torch.device) -> Tensor:
    """A batch [N, 3, size, size] in [0, 1]."""
    size = config.data.size
    return torch.rand(config.data.batch, 3, size, size, device=device)


def peak_flops(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP/s of the fastest of ten products of large square matrices: what this device gives at best."""
    if torch.backends.cudnn.allow_tf32:
        torch.set_float32_matmul_precision("high")  # as the convolutions may
    side = PEAK_SIDE[device.type]
    left, right = (torch.rand(side, side, device=device).to(dtype) for _ in range(2))
    product = synchronized(lambda: torch.mm(left, right))
    return 2 * side**3 / min(time_calls(product, 1.0))


if __name__ == "__main__":
    serve(time_training)
