"""One style, or one mixture, of a file of many as a graph and a file of a single style."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from fast_nst import __version__
from fast_nst.contract import IMAGE, STYLE_WEIGHTS, STYLES, STYLIZED, styles_sha256
from fast_nst.errors import UserError
from fast_nst.parity import SHAPES, TOLERANCE, Parity, compare, noise_on_gradient
from fast_nst.runtime.failures import explain_failure
from fast_nst.runtime.graph import is_norm, nodes_between
from fast_nst.runtime.stylizer import Stylizer


def fold_style(
    model: onnx.ModelProto, row: np.ndarray, name: str, open_session: Callable[[bytes], Any]
) -> onnx.ModelProto:
    """The graph of a file of many styles for one row [1, K] of `style_weights`, without that input.

    Each norm gets its scale and shift as constants, and sees the pictures of a batch as they are; mixtures
    of channels become 1x1 convolutions. A graph without that input is given back as it is. Raises UserError
    where the styles are in anything else.
    """
    graph = model.graph
    if STYLE_WEIGHTS not in [item.name for item in graph.input]:
        return model
    depends = {STYLE_WEIGHTS}
    for node in graph.node:  # in topological order
        depends.update(node.output if depends.intersection(node.input) else ())
    norms = [node for node in graph.node if is_norm(node) and depends.intersection(node.input[1:])]
    made = {name: node for node in graph.node for name in node.output}
    used = {name: [node for node in graph.node if name in node.input] for name in made}
    mixtures = [node for node in graph.node if _is_mixture(node, depends, made)]
    asked = [tensor for norm in norms for tensor in norm.input[1:]] + [node.input[0] for node in mixtures]
    constants = _run(model, asked, row, name, open_session)
    folded = onnx.ModelProto()
    folded.CopyFrom(model)
    del folded.graph.node[:], folded.graph.initializer[:], folded.graph.input[:]
    initializers, replaced = list(graph.initializer), dict[str, onnx.NodeProto]()  # by what it makes
    for norm in norms:
        node = onnx.NodeProto()
        node.CopyFrom(norm)
        before, after = made[norm.input[0]], used[norm.output[0]]
        # In a file of many the pictures' channels stand beside each other around a norm.
        if before.op_type == "Reshape" and [user.op_type for user in after] == ["Reshape"]:
            node.input[0], node.output[0] = before.input[0], after[0].output[0]
        for index, part in ((1, "scale"), (2, "shift")):
            values = constants[norm.input[index]]
            node.input[index] = f"{norm.output[0]}_{part}"
            initializers.append(numpy_helper.from_array(values, node.input[index]))
        replaced[node.output[0]] = node
    for mixture in mixtures:
        kernel = f"{mixture.output[0]}_kernel"
        initializers.append(numpy_helper.from_array(constants[mixture.input[0]][0][:, :, None, None], kernel))
        flat, (back,) = made[mixture.input[1]], used[mixture.output[0]]
        inputs = [flat.input[0], kernel]
        replaced[back.output[0]] = onnx.helper.make_node("Conv", inputs, back.output, kernel_shape=[1, 1])
    folded.graph.node.extend(replaced.get(node.output[0], node) for node in graph.node)
    needed = nodes_between(folded.graph, STYLIZED, {IMAGE})
    names = {name for node in needed for name in node.input}
    if STYLE_WEIGHTS in names:
        raise UserError(f"{name}: its styles are not in the norms alone, so that none can be taken out")
    del folded.graph.node[:]
    folded.graph.node.extend(needed)
    folded.graph.initializer.extend(item for item in initializers if item.name in names)
    folded.graph.input.extend(item for item in graph.input if item.name == IMAGE)
    return folded


def _is_mixture(node: onnx.NodeProto, depends: Set[str], made: Mapping[str, onnx.NodeProto]) -> bool:
    """Whether the node multiplies the flattened channels [N, C, H * W] of a picture by a style's matrix."""
    if node.op_type != "MatMul" or node.input[0] not in depends or node.input[1] not in made:
        return False
    flat = made[node.input[1]]
    return flat.op_type == "Reshape" and made[flat.input[0]].op_type in ("Conv", "Add")


def _run(
    model: onnx.ModelProto,
    names: list[str],
    row: np.ndarray,
    name: str,
    open_session: Callable[[bytes], Any],
) -> dict[str, np.ndarray]:
    """Tensors that depend on the weights alone, for one picture."""
    asked = onnx.ModelProto()
    asked.CopyFrom(model)
    del asked.graph.output[:]
    asked.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    picture = np.zeros((1, 1, 1, 3), np.uint8)
    session = open_session(asked.SerializeToString()) if names else None
    try:
        found = session.run(names, {IMAGE: picture, STYLE_WEIGHTS: row}) if session else []
    except Exception as error:
        raise explain_failure(error, name, picture.shape) from error
    return dict(zip(names, found, strict=True))


def take_style(many: Stylizer, model: onnx.ModelProto, opset: int) -> tuple[onnx.ModelProto, Parity]:
    """One style or mixture of a file of many, that which is set, as a file of one, and how far they differ.

    `model` is what `many` runs. Raises UserError for more than one gray level, and for another opset than
    the file has.
    """
    row = many.style_rows(None)
    if model.opset_import[0].version != opset:
        raise UserError(f"{many.name} has opset {model.opset_import[0].version}, which stays; drop --opset")
    model = fold_style(model, row, many.name, many.open)
    onnx.helper.set_model_props(model, about := _about(many))
    onnx.checker.check_model(model, full_check=True)
    one, rng = Stylizer(model.SerializeToString(), providers=["cpu"]), np.random.default_rng(0)
    pictures = (noise_on_gradient(rng, *shape) for shape in SHAPES)
    parity = compare(((many(picture), one(picture)) for picture in pictures), SHAPES)
    if parity.worst > TOLERANCE:
        raise UserError(
            f"refusing to write the file: it and {many.name} differ by {parity.worst} gray levels"
        )
    onnx.helper.set_model_props(model, {**about, "parity": parity.to_json()})
    return model, parity


def _about(many: Stylizer) -> dict[str, str]:
    """The metadata of the file of one style: origin and license are those of the styles in it."""
    shares = many.style or {}
    used = [style for style in many.styles if style.name in shares]
    mixture = ",".join(f"{name}:{round(share, 4):g}" for name, share in shares.items())
    return {
        **{key: text for key, text in many.metadata.items() if key != STYLES},
        "style": used[0].name if len(used) == 1 else mixture,
        "license": " and ".join(dict.fromkeys(style.license for style in used)),
        "attribution": "; ".join(dict.fromkeys(style.attribution for style in used if style.attribution)),
        "style_sha256": styles_sha256(used),
        "fast_nst_version": __version__,
    }
