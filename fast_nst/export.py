"""torch -> ONNX, and the check that both say the same.

The ONNX file is the product: `fast_nst.contract` says what goes in and out. Scaling, layout, padding to the
network's stride, cropping, rounding and clipping are in the graph, and so is the mixing of styles.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fast_nst import __version__
from fast_nst.contract import FORMAT_VERSION, IMAGE, OPSET, STYLE_WEIGHTS, STYLIZED
from fast_nst.errors import UserError, one_line
from fast_nst.files import write_whole
from fast_nst.networks.transform import TransformNetwork, about_network, load_transform
from fast_nst.parity import SHAPES, TOLERANCE, Parity, compare, noise_on_gradient

AVERAGE = "average.safetensors"  # in a checkpoint: weights to export
PLAIN_OPS = frozenset(
    {
        *("Add", "Cast", "Clip", "Concat", "Constant", "Conv", "DepthToSpace", "Div", "Expand", "Gather"),
        "Identity",
        *("InstanceNormalization", "MatMul", "Max", "Min", "Mod", "Mul", "Pad", "Range", "ReduceSum", "Relu"),
        *("Reshape", "Resize", "Round", "Shape", "Sigmoid", "Slice", "Squeeze", "Sub", "Transpose"),
        "Unsqueeze",
    }
)


class PixelGraph(nn.Module):
    """The network as the ONNX file holds it: uint8 RGB [N, H, W, 3] in and out, any N, H, W >= 1."""

    def __init__(self, network: TransformNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, style_weights: Tensor | None = None) -> Tensor:
        """uint8 [N, H, W, 3] to the same; ``style_weights`` [1 or N, K] for networks of many styles."""
        count, height, width, _ = image.shape
        style = None
        if style_weights is not None:
            share = style_weights / style_weights.sum(1, keepdim=True)
            # The last row again where there are fewer than pictures: one row is for all.
            row = torch.arange(count).clamp(max=share.shape[0] - 1)
            style = share.index_select(0, row)
        x = image.permute(0, 3, 1, 2).float() / 255
        stride, least = self.network.config.stride, self.network.config.min_side
        bottom = torch.sym_max((height + stride - 1) // stride * stride, least) - height
        right = torch.sym_max((width + stride - 1) // stride * stride, least) - width
        # Replicate, not reflect: a 1x1 picture has nothing to reflect.
        x = F.pad(x, (0, right, 0, bottom), mode="replicate")  # type: ignore[arg-type]  # SymInts
        y = self.network(x, style)[:, :, :height, :width]
        return (y * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def export_onnx(
    network: TransformNetwork, path: Path, metadata: dict[str, str], opset: int = OPSET
) -> Parity:
    """Write ``network`` as an ONNX file that obeys the contract; nothing is written where it does not.

    Args:
        network: in any mode, dtype float32; weights are copied into the file.
        path: the file to write, atomically.
        metadata: goes into ``metadata_props``; format version, fast_nst version, network and parity
            report are added.

    Raises:
        UserError: the exported graph fails the checker, uses an op outside the plain set, or differs
            from torch by more than one gray level anywhere; or the file cannot be written.
    """
    model, parity = build_onnx(network, metadata, opset)
    write_whole(path, model.SerializeToString(), make_folder=True)
    return parity


def build_onnx(
    network: TransformNetwork, metadata: dict[str, str], opset: int = OPSET
) -> tuple[onnx.ModelProto, Parity]:
    """The file that `export_onnx` writes, and its parity report; raises as that does."""
    graph = PixelGraph(copy.deepcopy(network).cpu().float()).eval()
    model = _torch_to_onnx(graph, opset)
    _tidy(model)
    _check(model, opset)
    parity = measure_parity(graph, model.SerializeToString(), SHAPES)
    if parity.worst > TOLERANCE:
        raise UserError(
            f"refusing to write the file: ONNX Runtime and torch differ by {parity.worst} gray levels"
        )
    about = {
        **metadata,
        "format_version": FORMAT_VERSION,
        "fast_nst_version": __version__,
        **about_network(network.config),
        "parity": parity.to_json(),
    }
    onnx.helper.set_model_props(model, about)
    return model, parity


def measure_parity(
    graph: PixelGraph, model: bytes | Path, shapes: Sequence[tuple[int, int, int]], seed: int = 0
) -> Parity:
    """Run both on the same pictures, noise over a gradient, of every [N, H, W] in ``shapes``.

    A network of many styles is tried with single ones, for all pictures alike, and with mixtures, a
    different one for each picture.
    """
    session = onnxruntime.InferenceSession(
        model if isinstance(model, bytes) else str(model), providers=["CPUExecutionProvider"]
    )
    rng = np.random.default_rng(seed)
    styles = graph.network.styles

    def results() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for index, (n, height, width) in enumerate(shapes):
            inputs = {IMAGE: noise_on_gradient(rng, n, height, width)}
            if styles > 1:
                one = np.eye(styles, dtype=np.float32)[rng.integers(styles, size=1)]
                mixed = rng.random((n, styles), np.float32)
                inputs[STYLE_WEIGHTS] = mixed if index % 2 else one
            with torch.no_grad():
                expected = graph(*map(torch.from_numpy, inputs.values())).numpy()
            (got,) = session.run([STYLIZED], inputs)
            if got.shape != expected.shape:
                raise UserError(f"ONNX gives {got.shape} where torch gives {expected.shape}")
            yield got, expected

    return compare(results(), shapes)


def _torch_to_onnx(graph: PixelGraph, opset: int) -> onnx.ModelProto:
    free = torch.export.Dim.DYNAMIC
    examples: tuple[Tensor, ...] = (torch.zeros(2, 37, 45, 3, dtype=torch.uint8),)
    names, shapes = [IMAGE], [{0: free, 1: free, 2: free}]
    if graph.network.styles > 1:
        examples += (torch.ones(3, graph.network.styles),)  # more rows than pictures: neither is the other
        names, shapes = [IMAGE, STYLE_WEIGHTS], [*shapes, {0: free}]
    # The exporter reports progress on stdout and in its log; what is wrong still raises.
    with contextlib.redirect_stdout(io.StringIO()), _quiet("torch.onnx", "onnxscript", "onnx_ir"):
        try:
            program = torch.onnx.export(
                graph,
                examples,
                dynamo=True,
                opset_version=opset,
                input_names=names,
                output_names=[STYLIZED],
                dynamic_shapes=tuple(shapes),
                verbose=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            raise UserError(f"export to opset {opset} failed: {one_line(error)}") from error
    assert program is not None
    return program.model_proto


@contextlib.contextmanager
def _quiet(*names: str) -> Iterator[None]:
    """Only errors from these loggers."""
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _tidy(model: onnx.ModelProto) -> None:
    """Name the free dimensions, drop the exporter's notes (they hold paths of this machine)."""
    for value in (*model.graph.input, *model.graph.output):
        dims = value.type.tensor_type.shape.dim
        names = ("rows",) if value.name == STYLE_WEIGHTS else ("batch", "height", "width")
        for dim, name in zip(dims, names, strict=False):
            dim.dim_param = name
        value.ClearField("metadata_props")
        value.ClearField("doc_string")
    for node in model.graph.node:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    model.graph.ClearField("value_info")
    model.graph.ClearField("metadata_props")
    model.ClearField("metadata_props")
    model.graph.name = "fast_nst"
    model.producer_name, model.producer_version = "fast_nst", __version__


def _check(model: onnx.ModelProto, opset: int) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, Warning) as error:
        raise UserError(f"the exported graph is not valid ONNX: {one_line(error)}") from error
    if model.opset_import[0].version != opset:
        got = model.opset_import[0].version
        raise UserError(f"opset {opset} is not to be had: torch fell back to {got}; the default is {OPSET}")
    foreign = {node.op_type for node in model.graph.node if node.domain or node.op_type not in PLAIN_OPS}
    if foreign or model.functions:
        raise UserError(f"the exported graph uses ops outside the plain set: {sorted(foreign)}")


def export_run(source: Path) -> tuple[Path, Parity]:
    """Write ``model.onnx`` into a run folder; returns the file and its parity report.

    Raises:
        UserError: no trained network there, or the export fails its checks.
    """
    target, model, parity = build_run(source)
    write_whole(target, model.SerializeToString(), make_folder=True)
    return target, parity


def build_run(source: Path, opset: int = OPSET) -> tuple[Path, onnx.ModelProto, Parity]:
    """Of a run folder, a checkpoint or a ``model.safetensors``: where its file belongs, it, its parity.

    Of an unfinished run, the averaged weights of its newest checkpoint.

    Raises:
        UserError: no trained network there, or the export fails its checks.
    """
    weights = weights_file(source)
    network, about = load_transform(weights)
    target = source / "model.onnx" if source.is_dir() else weights.with_suffix(".onnx")
    return target, *build_onnx(network, about, opset)


def weights_file(source: Path) -> Path:
    """The weights of a file, of a run (finished or not) or of one of its checkpoints.

    Raises:
        UserError: there are none.
    """
    checkpoints = sorted(source.glob("checkpoint/step-*[0-9]"), reverse=True)
    of_checkpoints = [folder / AVERAGE for folder in (source, *checkpoints)]
    # A checkpoint's own model.safetensors is accelerate's, of the weights before averaging.
    candidates = [of_checkpoints[0], source / "model.safetensors", *of_checkpoints[1:]]
    found = [path for path in (source, *candidates) if path.is_file()]
    if not found:
        raise UserError(f"{source} holds neither model.safetensors nor a checkpoint")
    return found[0]


def style_metadata(values: dict[str, Any]) -> dict[str, str]:
    """Values as the strings that file headers hold: text as it is, all else as JSON."""
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}
