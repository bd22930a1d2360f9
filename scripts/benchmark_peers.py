"""Our network as fast_nst exports it, beside the same network as projects like pytorch/examples export it.

python scripts/benchmark_peers.py --width 32 --sizes 256,512,720p --threads 1
python scripts/benchmark_peers.py fast.onnx              # other fast_nst models, in turns with these

The peer is Johnson's network in that form: a reflection pad in front of every convolution, float NCHW from
0 to 255 in and out, no bound on the output, onnxruntime's default session (the number of threads aside).
It is built here from our own code with our own weights, and must paint the same picture. Four ways of
running it:

- fast_nst: decoded pixels to painted pixels, all of it in the graph.
- peer: the same, with the transposes, casts and clipping that its users do in numpy; exported for one size.
- peer, free size: the same, exported with height and width left free.
- peer, network alone: floats to floats, without what its users have to do; exported for one size.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from fast_nst.benchmark.networks import BenchmarkOptions, model_subjects, parse_sizes, start_report
from fast_nst.benchmark.rounds import Subject, measure
from fast_nst.benchmark.worker import noise, serve, time_calls
from fast_nst.errors import UserError, user_errors_end
from fast_nst.runtime.graph import weights_precision
from fast_nst.runtime.models import Model, find_model, unique_names
from fast_nst.runtime.providers import choose_providers, short_name
from fast_nst.runtime.stylizer import Stylizer

FREE = "free"  # the export without a fixed size


def time_peer(request: dict[str, Any]) -> dict[str, Any]:
    """The worker: times one export of the peer, from pixels to pixels or as ``alone`` says from floats."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    if request["threads"] is not None:
        options.intra_op_num_threads = request["threads"]
    providers = choose_providers([request["provider"]] if request["provider"] else None)
    size = f"{request['width']}x{request['height']}"
    path = request["exports"].get(size) or request["exports"][FREE]
    session = onnxruntime.InferenceSession(path, options, providers=providers)
    pixels = noise(request)
    floats = to_floats(pixels)
    call = (lambda: run(session, floats)) if request["alone"] else (lambda: paint(session, pixels))
    seconds = time_calls(call, request["seconds"])
    return {"seconds": seconds, "provider": short_name(session.get_providers()[0])}


def run(session: Any, floats: np.ndarray) -> np.ndarray:
    """Float [N, 3, H, W] to the same."""
    return session.run(None, {"input": floats})[0]


def paint(session: Any, pixels: np.ndarray) -> np.ndarray:
    """uint8 [N, H, W, 3] to the same: what a user of such a file has to write."""
    painted = run(session, to_floats(pixels))
    return np.ascontiguousarray(painted.clip(0, 255).astype(np.uint8).transpose(0, 2, 3, 1))


def to_floats(pixels: np.ndarray) -> np.ndarray:
    """uint8 [N, H, W, 3] to float [N, 3, H, W], 0 to 255."""
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2), dtype=np.float32)


def build_peer(network: Any) -> Any:
    """The peer with the weights of a `TransformNetwork`, which is taken apart for it.

    Its output in front of the sigmoid is the peer's output. The input's scale goes into the first
    convolution, which is exact: a reflection pad commutes with it.
    """
    import torch
    from torch import Tensor, nn

    class PadThenConv(nn.Conv2d):
        def forward(self, input: Tensor) -> Tensor:
            around = self.kernel_size[0] // 2
            return super().forward(nn.functional.pad(input, (around,) * 4, mode="reflect"))

    def pad_apart(module: nn.Module) -> None:
        for name, child in module.named_children():
            if isinstance(child, nn.Conv2d):
                kernel, stride = child.kernel_size[0], child.stride[0]
                plain = PadThenConv(child.in_channels, child.out_channels, kernel, stride)
                plain.load_state_dict(child.state_dict())
                setattr(module, name, plain)
            else:
                pad_apart(child)

    class Peer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, x: Tensor) -> Tensor:
            n = self.network
            return n.head(n.up(n.residual(n.down(x, None), None), None))

    pad_apart(network)
    first = network.down[0][0]
    with torch.no_grad():
        first.bias -= 0.5 * first.weight.sum((1, 2, 3))
        first.weight /= 255
    return Peer().eval()


def export_peer(peer: Any, path: Path, size: tuple[int, int] | None) -> None:
    """Write the peer for pictures of ``size`` (width, height), or with None for all."""
    import torch

    from fast_nst.export import OPSET

    width, height = size or (96, 64)
    free = ({2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC},) if size is None else None
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()):
        torch.onnx.export(
            peer,
            (torch.zeros(1, 3, height, width),),
            path,
            input_names=["input"],
            output_names=["output"],
            opset_version=OPSET,
            dynamic_shapes=free,
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def check_same_picture(ours: Path, peer: Path) -> int:
    """Largest difference in gray levels on one picture, the peer's output through the sigmoid it lacks."""
    import onnxruntime

    pixels = noise({"batch": 1, "height": 64, "width": 96})
    raw = run(onnxruntime.InferenceSession(peer, providers=["CPUExecutionProvider"]), to_floats(pixels))
    painted = np.rint(255 / (1 + np.exp(-raw))).transpose(0, 2, 3, 1)
    return int(np.abs(painted - Stylizer(ours, providers=["cpu"])(pixels)).max())


def start_network(weights: Path | None, width: int, sizes: list[tuple[int, int]]) -> Any:
    """The `TransformNetwork` of a file, or a random one.

    Raises UserError for one that the peer does not paint as, or not in all of ``sizes``.
    """
    import torch

    from fast_nst.networks.transform import TransformConfig, TransformNetwork, load_transform

    torch.manual_seed(0)
    network = load_transform(weights)[0] if weights else TransformNetwork(TransformConfig(width))
    config = network.config
    if config.kind != "johnson" or config.antialias:
        what = "an antialiased one" if config.kind == "johnson" else f"a {config.kind} one"
        raise UserError(f"--weights: the peer is a johnson network, not antialiased; {weights} is {what}")
    if min(map(min, sizes)) < config.min_side:
        raise UserError(f"--sizes: the peer takes no side below {config.min_side} pixels")
    return network


def write_exports(folder: Path, network: Any, sizes: list[tuple[int, int]]) -> dict[str, Path]:
    """Ours and the peer's, by what they are for."""
    from fast_nst.export import export_onnx

    paths = {"ours": folder / "ours.onnx"}
    export_onnx(network, paths["ours"], {"style": "benchmark"})
    peer = build_peer(network)
    for size in [*dict.fromkeys(sizes), None]:
        name = f"{size[0]}x{size[1]}" if size else FREE
        paths[name] = folder / f"peer-{name}.onnx"
        export_peer(peer, paths[name], size)
    worst = check_same_picture(paths["ours"], paths[FREE])
    if worst > 1:
        raise UserError(f"the peer paints another picture: {worst} gray levels off")
    return paths


def main() -> None:
    """The table on stdout."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("models", nargs="*", help="other fast_nst models to run beside: files or names")
    parser.add_argument("--width", type=int, default=32, help="of the network, with random weights")
    parser.add_argument("--weights", type=Path, help="model.safetensors of a standard network instead")
    parser.add_argument("--sizes", default="256,512,720p", help="as in fast-nst benchmark; multiples of 4")
    parser.add_argument("--threads", help="numbers of CPU threads with commas; default: onnxruntime's")
    parser.add_argument("--providers", help="as in fast-nst benchmark")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--output", type=Path, help="folder for benchmark.json and benchmark.md")
    chosen = parser.parse_args()
    names = ("rounds", "seconds", "output", "sizes", "threads", "providers")
    options = BenchmarkOptions(**{name: getattr(chosen, name) for name in names})
    sizes = parse_sizes(options.sizes)
    if any(side % 4 for size in sizes for side in size):
        raise UserError(
            "--sizes: the peer's output has another size than its input if that is no multiple of 4"
        )
    beside = [find_model(name) for name in chosen.models]
    beside_names = unique_names(beside, taken=["fast_nst"])
    network = start_network(chosen.weights, chosen.width, sizes)
    report = start_report(options, [])
    with tempfile.TemporaryDirectory() as folder:
        paths = write_exports(Path(folder), network, sizes)
        fixed = {name: str(path) for name, path in paths.items() if name not in ("ours", FREE)}
        free = {FREE: str(paths[FREE])}
        worker = (__file__, "--worker")
        subjects = [
            *model_subjects([Model(paths["ours"], "fast_nst")], ["fast_nst"]),
            Subject("peer", worker, {"exports": fixed, "alone": False}),
            Subject("peer, free size", worker, {"exports": free, "alone": False}),
            Subject("peer, network alone", worker, {"exports": fixed, "alone": True}),
            *model_subjects(beside, beside_names),
        ]
        report.cells = measure(subjects, options.conditions(), rounds=options.rounds, seconds=options.seconds)
        files = {
            "fast_nst": paths["ours"],
            **dict(zip(beside_names, (model.path for model in beside), strict=True)),
        }
        for cell in report.cells:
            cell.facts["precision"] = weights_precision(files.get(cell.name, paths[FREE]))
    if options.output is not None:
        report.write(options.output)
    print(report.to_markdown())
    sys.exit(1 if report.skipped else 0)


if __name__ == "__main__":
    if sys.argv[1:] == ["--worker"]:
        serve(time_peer)
    else:
        with user_errors_end("benchmark_peers"):
            main()
