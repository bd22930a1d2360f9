"""Run files of `fast-nst export` in other runtimes; how far each is from the plain file in ONNX Runtime.

Needs no fast_nst: pip install onnxruntime openvino opencv-python-headless. What is not installed is left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime

SHAPES = ((1, 97, 131), (2, 64, 64), (1, 7, 5), (1, 300, 451))  # [N, H, W]
Run = Callable[[np.ndarray], np.ndarray]


def onnx_runtime(path: Path) -> Run:
    """Arrays as the file takes them to what it gives."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda image: session.run(["stylized"], {"image": image})[0]


def openvino(path: Path) -> Run:
    """The same, in float32: by default OpenVINO takes bfloat16 where the CPU has it."""
    import openvino

    model = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda image: model({"image": image})["stylized"]


def opencv(path: Path) -> Run:
    """The same, by OpenCV's dnn module."""
    import cv2

    network = cv2.dnn.readNetFromONNX(str(path))

    def run(image: np.ndarray) -> np.ndarray:
        network.setInput(image, "image")
        return network.forward()

    return run


RUNTIMES = {"onnxruntime": onnx_runtime, "openvino": openvino, "cv2": opencv}


def pictures(count: int, height: int, width: int) -> np.ndarray:
    """Soft waves of color under noise, uint8 [N, H, W, 3]."""
    rng = np.random.default_rng(0)
    y, x, phase = np.ogrid[0 : 6 : height * 1j, 0 : 9 : width * 1j, 0:3]
    waves = 110 + 80 * np.sin(x + y * phase + phase)
    return (waves + rng.integers(0, 60, (count, height, width, 3))).clip(0, 255).astype(np.uint8)


def differences(plain: Run, path: Path, run: Run) -> Iterator[np.ndarray]:
    """Of the gray levels, for every shape that fits."""
    item = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).get_inputs()[0]
    first, floats = item.shape[1] == 3, item.type != "tensor(uint8)"
    sides = item.shape[2:] if first else item.shape[1:3]
    for shape in [(1, *sides)] if isinstance(sides[0], int) else SHAPES:
        image = pictures(*shape)
        given = image.transpose(0, 3, 1, 2) if first else image
        if floats:
            kind = np.float16 if item.type == "tensor(float16)" else np.float32
            given = (given / np.float32(255)).astype(kind)
        painted = np.asarray(run(np.ascontiguousarray(given)), np.float32) * (255 if floats else 1)
        painted = painted.transpose(0, 2, 3, 1) if first else painted
        yield np.abs(np.rint(painted) - plain(image)).ravel()


def main(files: list[Path]) -> None:
    """One line for each file and runtime; the first file is the plain one."""
    plain = onnx_runtime(files[0])
    for path in files:
        for package, load in RUNTIMES.items():
            if find_spec(package):
                off = np.concatenate(list(differences(plain, path, load(path))))
                print(f"{path.name:24} {package:12} worst {off.max():.0f}, equal {(off == 0).mean():.2%}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    main(parser.parse_args().files)
