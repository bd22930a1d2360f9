"""Whether a file in another form paints what the exported file paints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx.reference import ReferenceEvaluator
from PIL import Image, ImageOps

from fast_nst.contract import IMAGE, STYLE_WEIGHTS, STYLIZED
from fast_nst.data.builtin.photographs import HELDOUT, TRAINING, load
from fast_nst.errors import UserError
from fast_nst.parity import SHAPES, TOLERANCE, Parity, compare, noise_on_gradient
from fast_nst.runtime.failures import explain_failure
from fast_nst.twins.forms import Form, change_form

FLOOR = 45.0  # dB of PSNR on every photograph; one gray level off everywhere is 48.1
PHOTOGRAPHS = (*HELDOUT, *TRAINING[:8])  # ten; the last of all is a page of text
# Pixels of the photographs' longer side, in onnxruntime and in onnx's slow reference; in still smaller ones
# channels are all but flat, and norms make much of their rounding.
_SIDE, _SMALL = 512, 96


class Twin:
    """An exported model in another form, `model`, to be checked against it on the CPU.

    Raises UserError as `change_form` does.
    """

    def __init__(self, plain: onnx.ModelProto, form: Form, name: str) -> None:
        self.model = change_form(plain, form, name)
        self._given, self._form, self._name = plain, form, name
        self._plain, self._twin = (
            onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
            for model in (plain, self.model)
        )
        weights = [item for item in self._plain.get_inputs() if item.name == STYLE_WEIGHTS]
        self._styles: int = weights[0].shape[1] if weights else 1

    def parity(self) -> Parity:
        """Both on noise over a gradient; raises UserError where fp32 differs by more than one gray level."""
        sizes = SHAPES if self._form.size is None else ((1, *self._form.size),)
        rng = np.random.default_rng(0)
        pictures = (noise_on_gradient(rng, *shape) for shape in sizes)
        pairs = (self._paint(self._twin, picture, 0) for picture in pictures)
        parity = compare(((plain, np.rint(twin).astype(np.uint8)) for plain, twin in pairs), sizes)
        if self._form.precision == "fp32" and parity.worst > TOLERANCE:
            raise UserError(
                f"refusing to write the file: {self._name} in that form differs by {parity.worst} gray levels"
            )
        return parity

    def psnr(self) -> float:
        """Against the exported file, in dB, on the worst photograph; raises UserError below `FLOOR`."""
        worst = min(10 * np.log10(255**2 / max(error, 1e-9)) for error in self._squared_errors())
        if worst < FLOOR:
            raise UserError(
                f"refusing to write the file: {self._name} in fp16 has {worst:.1f} dB (PSNR) against fp32,"
                f" below {FLOOR:g}; keep fp32"
            )
        return worst

    def _squared_errors(self) -> Iterator[float]:
        """Of each photograph, or not finite."""
        for index in range(max(len(PHOTOGRAPHS), self._styles)):
            picture = Image.fromarray(load(PHOTOGRAPHS[index % len(PHOTOGRAPHS)]))
            if self._form.size is None:
                picture.thumbnail((_SIDE, _SIDE))
            else:
                picture = ImageOps.fit(picture, self._form.size[::-1])
            plain, twin = self._paint(self._twin, np.asarray(picture)[None], index)
            yield float(np.square(twin - plain).mean())
        # onnxruntime computes in float32 on CPUs, and would not see what overflows on a GPU.
        reference = ReferenceEvaluator(change_form(self._given, replace(self._form, size=None), self._name))
        for index in range(self._styles):
            picture = Image.fromarray(load(PHOTOGRAPHS[index % len(PHOTOGRAPHS)]))
            picture.thumbnail((_SMALL, _SMALL))
            with np.errstate(all="ignore"):
                plain, twin = self._paint(reference, np.asarray(picture)[None], index)
            yield float(np.square(twin - plain).mean()) if np.isfinite(twin).all() else np.inf

    def _paint(self, model: Any, pictures: np.ndarray, style: int) -> tuple[np.ndarray, np.ndarray]:
        """uint8 [N, H, W, 3] as the exported file paints it, uint8, and as `model` does, gray levels."""
        floats, first = self._form.values == "float", self._form.layout == "nchw"
        weights: dict[str, np.ndarray] = {}
        if self._styles > 1:
            weights[STYLE_WEIGHTS] = np.eye(self._styles, dtype=np.float32)[[style % self._styles]]
        given = pictures.transpose(0, 3, 1, 2) if first else pictures
        if floats:
            kind = np.float16 if self._form.precision == "fp16" else np.float32
            given = (given / np.float32(255)).astype(kind)
        try:
            (plain,) = self._plain.run([STYLIZED], {IMAGE: pictures, **weights})
            (other,) = model.run([STYLIZED], {IMAGE: np.ascontiguousarray(given), **weights})
        except Exception as error:
            raise explain_failure(error, self._name, pictures.shape) from error
        levels = other.astype(np.float32) * np.float32(255 if floats else 1)
        return plain, levels.transpose(0, 2, 3, 1) if first else levels
