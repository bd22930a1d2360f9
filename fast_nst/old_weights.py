"""Networks trained elsewhere: weights of pytorch/examples' fast_neural_style become a network of ours.

Layer for layer it is the one of `fast_nst.networks.transform`: Johnson's with instance norm, reflecting
padding and nearest-neighbor resizes before convolutions. It takes and gives RGB from 0 to 255, which goes
into the first and the last weights here, and its output is cut off where ours has a sigmoid.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from torch import Tensor

from fast_nst.arguments import ImportOptions
from fast_nst.card import card
from fast_nst.errors import UserError
from fast_nst.export import export_onnx
from fast_nst.files import write_whole
from fast_nst.networks.features import read_weights
from fast_nst.networks.transform import TransformConfig, TransformNetwork, about_network, save_transform
from fast_nst.parity import Parity

_LAYERS = {
    **{f"conv{n}.conv2d": f"down.{n - 1}.0" for n in (1, 2, 3)},
    **{f"in{n}": f"down.{n - 1}.1" for n in (1, 2, 3)},
    **{f"deconv{n}.conv2d": f"up.{n - 1}.block.0" for n in (1, 2)},
    **{f"in{n}": f"up.{n - 4}.block.1" for n in (4, 5)},
    "deconv3.conv2d": "head",
}
_RESIDUAL = {"conv1.conv2d": "first.0", "in1": "first.1", "conv2.conv2d": "second.0", "in2": "second.1"}
# Statistics that instance norms of torch before 0.4 kept; pytorch/examples drops them too.
_UNUSED = (".running_mean", ".running_var", ".num_batches_tracked")


def import_weights(source: Path, options: ImportOptions) -> tuple[Path, Parity]:
    """Make an ONNX file of ``source``, or a folder with weights and card too; returns that file and parity.

    Args:
        source: a state dict (.pth, .model, .safetensors); no pickled code is run.
        options: where to, and whose it is.

    Raises:
        UserError: ``source`` is no such network's weights, the export fails its checks, or the folder holds a
            network already.
    """
    state, _ = read_weights(source)
    try:
        network = network_of(state)
    except UserError as error:
        raise UserError(f"{source} {error}") from error
    output = options.output or source.with_suffix(".onnx")
    target = output if output.suffix == ".onnx" else output / "model.onnx"
    weights = target.with_name("model.safetensors")
    if target != output and weights.exists():
        raise UserError(f"--output {output} holds a network already: give another folder")
    with source.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    about = {
        "style": source.stem,
        "license": options.license,
        "attribution": options.attribution,
        "origin": f"{source.name} (sha256 {digest}), of the form of pytorch/examples' fast_neural_style",
    }
    parity = export_onnx(network, target, about, options.opset)
    if target != output:
        save_transform(network, weights, about)
        write_whole(output / "card.md", card({**about, **about_network(network.config)}).encode())
    return target, parity


def network_of(state: Mapping[str, Tensor]) -> TransformNetwork:
    """The network of a state dict of pytorch/examples' fast_neural_style, of any width and number of blocks.

    Raises:
        UserError: other keys or shapes than theirs; the message goes on from the file's name.
    """
    used = {key: value.float() for key, value in state.items() if not key.endswith(_UNUSED)}
    blocks = len({key.partition(".")[0] for key in used if re.match(r"res\d+\.", key)})
    layers = _LAYERS | {
        f"res{n + 1}.{theirs}": f"residual.{n}.{ours}"
        for n in range(blocks)
        for theirs, ours in _RESIDUAL.items()
    }
    keys = {
        f"{theirs}.{part}": f"{ours}.{part}" for theirs, ours in layers.items() for part in ("weight", "bias")
    }
    if used.keys() != keys.keys():
        missing, foreign = [key for key in keys if key not in used], [key for key in used if key not in keys]
        raise UserError(
            "has other keys than networks of pytorch/examples' fast_neural_style:"
            f" it lacks {_few(missing)}; it has {_few(foreign)} that they have not"
        )
    network = TransformNetwork(TransformConfig(used["in1.weight"].numel(), blocks, head="linear"))
    shapes = {key: tuple(network.state_dict()[ours].shape) for key, ours in keys.items()}
    own = {}
    for key, value in used.items():
        value = value[None] if len(shapes[key]) == 2 else value  # norms: a row for each style here
        if value.shape != shapes[key]:
            raise UserError(f"has another form: {key} is {[*value.shape]}, not {[*shapes[key]]}")
        own[keys[key]] = value
    first, last = own["down.0.0.weight"], own["head.weight"]
    own["down.0.0.weight"] = 255 * first
    own["down.0.0.bias"] = own["down.0.0.bias"] + 127.5 * first.sum((1, 2, 3))  # our input is less a half
    own["head.weight"], own["head.bias"] = last / 255, own["head.bias"] / 255
    network.load_state_dict(own)
    return network


def _few(keys: Iterable[str], most: int = 3) -> str:
    """The first of them, and how many more."""
    all_keys = list(keys)
    more = f" and {len(all_keys) - most} more" if len(all_keys) > most else ""
    return ", ".join(all_keys[:most]) + more if all_keys else "none"
