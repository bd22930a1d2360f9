"""Small networks that keep the project's ONNX contract, of shapes that the tests run in tiles."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

STRIDE = 8


class Graph:
    """Builds an ONNX graph layer by layer; every method takes and gives names of tensors [1, C, H, W]."""

    def __init__(self, seed: int = 0) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.rng = np.random.default_rng(seed)

    def add(self, op: str, *inputs: str, **attributes: object) -> str:
        output = f"{op}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [output], **attributes))
        return output

    def constant(self, values: object, dtype: type = np.float32) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(values, dtype), name))
        return name

    def conv(
        self,
        x: str,
        channels: tuple[int, int],
        kernel: int = 3,
        stride: int = 1,
        group: int = 1,
        dilation: int = 1,
    ) -> str:
        into, out = channels
        pad = dilation * (kernel // 2)
        pads = self.constant([0, 0, pad, pad, 0, 0, pad, pad], np.int64)
        shape = (out, into // group, kernel, kernel)
        weights = self.constant(self.rng.normal(0, (into // group * kernel**2) ** -0.5, shape))
        padded = self.add("Pad", x, pads, mode="reflect")
        return self.add(
            "Conv",
            padded,
            weights,
            strides=[stride] * 2,
            group=group,
            dilations=[dilation] * 2,
            kernel_shape=[kernel] * 2,
        )

    def norm(self, x: str, channels: int) -> str:
        scale = self.constant(self.rng.uniform(0.5, 1.5, channels))
        shift = self.constant(self.rng.normal(0, 0.3, channels))
        return self.add("InstanceNormalization", x, scale, shift)

    def block(self, x: str, channels: tuple[int, int], **options: int) -> str:
        return self.add("Relu", self.norm(self.conv(x, channels, **options), channels[1]))

    def resize(self, x: str, mode: str) -> str:
        scales = self.constant([1, 1, 2, 2])
        how = "asymmetric" if mode == "nearest" else "half_pixel"
        nearest = {"nearest_mode": "floor"} if mode == "nearest" else {}
        return self.add("Resize", x, "", scales, mode=mode, coordinate_transformation_mode=how, **nearest)

    def model(self, body: Callable[[Graph, str], str], opset: int = 22) -> bytes:
        """uint8 [N, H, W, 3] in and out; `body` sees [N, 3, H, W] in [0, 1], padded to its STRIDE."""
        x = self.add("Cast", self.add("Transpose", "image", perm=[0, 3, 1, 2]), to=TensorProto.FLOAT)
        x = self.add("Div", x, self.constant(255.0))
        sides = self.add("Shape", "image", start=1, end=3)
        stride = self.constant([STRIDE] * 2, np.int64)
        whole = self.add("Div", self.add("Add", sides, self.constant([STRIDE - 1] * 2, np.int64)), stride)
        least = self.constant([2 * STRIDE] * 2, np.int64)
        missing = self.add("Sub", self.add("Max", self.add("Mul", whole, stride), least), sides)
        pads = self.add("Concat", self.constant([0] * 6, np.int64), missing, axis=0)
        y = self.add("Sigmoid", body(self, self.add("Pad", x, pads, mode="edge")))
        zero, axes = self.constant([0, 0], np.int64), self.constant([2, 3], np.int64)
        y = self.add("Mul", self.add("Slice", y, zero, sides, axes), self.constant(255.0))
        y = self.add("Cast", self.add("Round", y), to=TensorProto.UINT8)
        self.nodes.append(helper.make_node("Transpose", [y], ["stylized"], perm=[0, 2, 3, 1]))
        shape = ["N", "H", "W", 3]
        ends = [
            helper.make_tensor_value_info(name, TensorProto.UINT8, shape) for name in ("image", "stylized")
        ]
        graph = helper.make_graph(self.nodes, "test", ends[:1], ends[1:], self.constants)
        opsets = [helper.make_opsetid("", opset)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()


def johnson(g: Graph, x: str) -> str:
    """Convolutions down to a quarter, a residual block, nearest neighbors up."""
    x = g.block(g.block(g.block(x, (3, 4), kernel=9), (4, 8), stride=2), (8, 8), stride=2)
    x = g.add("Add", x, g.norm(g.conv(g.block(x, (8, 8)), (8, 8)), 8))
    x = g.block(g.resize(g.block(g.resize(x, "nearest"), (8, 8)), "nearest"), (8, 4))
    return g.conv(x, (4, 3), kernel=9)


def shuffled(g: Graph, x: str) -> str:
    """Pixels to channels at 1/8, depthwise and dilated convolutions, channels to pixels."""
    x = g.block(g.add("SpaceToDepth", x, blocksize=8), (192, 16), kernel=1)
    for dilation in (1, 2):
        y = g.block(g.conv(x, (16, 16), group=16, dilation=dilation), (16, 16), kernel=1)
        x = g.add("Add", x, y)
    return g.add("DepthToSpace", g.conv(x, (16, 192)), blocksize=8, mode="CRD")


def blurred(g: Graph, x: str) -> str:
    """A blur in front of each stride, pooling, linear up, the picture itself added at the end."""
    y = g.block(g.conv(x, (3, 3), kernel=5, group=3, stride=2), (3, 8))
    y = g.block(g.add("AveragePool", y, kernel_shape=[2, 2], strides=[2, 2]), (8, 8))
    y = g.resize(g.block(g.resize(y, "linear"), (8, 6)), "linear")
    return g.add("Add", x, g.conv(y, (6, 3)))


def skipping(g: Graph, x: str) -> str:
    """A U-net: full and half resolution are used again at the end; a norm that comes first."""
    full = g.block(g.norm(x, 3), (3, 4))
    half = g.block(full, (4, 8), stride=2)
    low = g.block(half, (8, 8), stride=2)
    y = g.block(g.add("Concat", g.resize(low, "nearest"), half, axis=1), (16, 8))
    y = g.block(g.add("Concat", g.resize(y, "nearest"), full, axis=1), (12, 4))
    return g.conv(y, (4, 3))


def reshaped(g: Graph, x: str) -> str:
    """Pixels to channels as some exporters write it: by way of six dimensions."""
    n, c, h, w = (g.add("Shape", x, start=axis, end=axis + 1) for axis in range(4))
    two, four = g.constant([2], np.int64), g.constant([4], np.int64)
    rows, columns = g.add("Div", h, two), g.add("Div", w, two)
    y = g.add("Reshape", x, g.add("Concat", n, c, rows, two, columns, two, axis=0))
    y = g.add("Transpose", y, perm=[0, 1, 3, 5, 2, 4])
    y = g.add("Reshape", y, g.add("Concat", n, g.add("Mul", c, four), rows, columns, axis=0))
    y = g.block(y, (12, 12))
    return g.add("DepthToSpace", g.conv(y, (12, 12)), blocksize=2)


def plain(g: Graph, x: str) -> str:
    """No norm at all."""
    return g.conv(g.add("Relu", g.conv(x, (3, 4))), (4, 3))


def attentive(g: Graph, x: str) -> str:
    """Scales its channels by their means over the whole picture, which no tile knows."""
    y = g.block(x, (3, 6), stride=2)
    y = g.add("Mul", y, g.add("Sigmoid", g.add("Mul", g.add("GlobalAveragePool", y), g.constant(9.0))))
    return g.conv(g.resize(y, "nearest"), (6, 3))
