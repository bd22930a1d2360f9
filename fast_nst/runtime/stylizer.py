"""Runs one exported model: pixels in, pixels out."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from fast_nst.errors import UserError
from fast_nst.pictures import decode_picture
from fast_nst.runtime import color
from fast_nst.runtime.failures import DeviceLost, OutOfMemory, RunFailed, explain_failure
from fast_nst.runtime.models import resolve_model
from fast_nst.runtime.providers import (
    CPU,
    DIRECTML,
    TENSORRT,
    Provider,
    check_started,
    choose_providers,
    open_session,
)

__all__ = ["DeviceLost", "OutOfMemory", "RunFailed", "Stylizer"]

PictureLike = TypeVar("PictureLike", np.ndarray, Image.Image)


class Stylizer:
    """An exported style, ready for pictures of any size; many threads may call it at once.

    `model` is the path of an ONNX file, the name of a shipped style, or the bytes of a file.
    `threads` is the number of CPU threads (None: one per core). `providers` names what to run on,
    best first: "cpu", "cuda", "tensorrt", "coreml", "directml", "openvino" or onnxruntime's own
    names, each alone or with onnxruntime's options for it, as in ("openvino", {"device_type": "GPU"});
    None takes CUDA if onnxruntime has it and it starts, else the CPU.

    `metadata` holds what the file says of itself, `providers` what it runs on.

    Raises UserError for a file that is no such model, and for a named provider that is absent or
    does not start.
    """

    def __init__(
        self,
        model: str | Path | bytes,
        *,
        threads: int | None = None,
        providers: str | Sequence[Provider] | None = None,
    ) -> None:
        if threads is not None and threads < 1:
            raise UserError(f"--threads must be at least 1, not {threads}")
        if isinstance(providers, str):
            providers = [providers]
        self.source: str | bytes = model if isinstance(model, bytes) else str(resolve_model(model))
        self.name = "the model" if isinstance(model, bytes) else str(self.source)
        self._threads, self._chosen = threads, choose_providers(providers)
        self._session = open_session(self.source, self.name, threads, self._chosen)
        self.providers: list[str] = self._session.get_providers()
        if providers is not None:
            check_started(providers, self.providers)
        try:
            _check_contract(self._session, self.name)
            self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        except UnicodeDecodeError as error:
            raise UserError(f"{self.name} is a damaged ONNX file: its texts are not UTF-8") from error
        # DirectML's sessions take one call at a time.
        self._turn = threading.Lock() if DIRECTML in self.providers else nullcontext()
        self._last_shape: tuple[int, ...] = ()

    def __call__(
        self, image: PictureLike, *, strength: float = 1.0, preserve_color: bool = False
    ) -> PictureLike:
        """Stylize a PIL image or uint8 RGB [H, W, 3] or [N, H, W, 3] into one of its kind and size.

        A PIL image is first turned upright, to sRGB and over white; the result is RGB.
        `strength` goes from 0 (the picture itself) to 1 (the style in full); `preserve_color`
        keeps the picture's colors and takes only the luminance of the stylized one.

        Raises TypeError for another type, ValueError for another shape or a strength outside
        [0, 1], OutOfMemory for a picture too large, DeviceLost when a GPU stopped working, RunFailed
        when onnxruntime fails otherwise.
        """
        if not 0.0 <= strength <= 1.0:
            raise ValueError(f"strength must be between 0 and 1, not {strength}")
        if isinstance(image, Image.Image):
            return Image.fromarray(self._run(decode_picture(image).pixels, strength, preserve_color))
        check_pixels(image)
        return self._run(image, strength, preserve_color)

    def warm_up(self, sizes: Iterable[tuple[int, int]], batch: int = 1) -> None:
        """Run once on each size, (height, width), so that the first real pictures need not wait.

        At a size's first run GPUs choose kernels, TensorRT compiles for minutes. Raises as a call does.
        """
        for height, width in sizes:
            self(np.zeros((batch, height, width, 3), np.uint8))

    def open(self, model: bytes) -> Any:
        """An onnxruntime session of another model, not used for long, that runs as this one does."""
        quick = [(name, given) for name, given in self._chosen if name != TENSORRT]  # it compiles for minutes
        return open_session(model, self.name, self._threads, quick, cached=False)

    def _run(self, pixels: np.ndarray, strength: float, keep_color: bool) -> np.ndarray:
        if strength == 0.0:
            return pixels.copy()
        batch = np.ascontiguousarray(pixels if pixels.ndim == 4 else pixels[None])  # [N, H, W, 3]
        try:
            with self._turn:
                (stylized,) = self._session.run(["stylized"], {"image": batch}, self._options(batch))
            if stylized.shape != batch.shape:
                change = f"{list(batch.shape)} into {list(stylized.shape)}"
                raise RunFailed(f"{self.name} turned {change}; the size must stay")
            if keep_color:
                stylized = color.preserve_color(batch, stylized)
            if strength < 1.0:
                stylized = color.blend(batch, stylized, strength)
        except RunFailed:
            raise
        except Exception as error:
            raise explain_failure(error, self.name, batch.shape) from error
        return stylized if pixels.ndim == 4 else stylized[0]

    def _options(self, batch: np.ndarray) -> Any:
        """None, or after a change of size the option that gives unused memory back."""
        changed = batch.shape != self._last_shape
        self._last_shape = batch.shape
        # Held memory grows with every new size otherwise; on one size all the time it is reused.
        return _shrinking() if changed and self.providers == [CPU] else None


def _shrinking() -> Any:
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def _check_contract(session: Any, name: str) -> None:
    """One input `image`, an output `stylized`, both uint8 [N, H, W, 3] with N, H and W free."""
    inputs, outputs = session.get_inputs(), {item.name: item for item in session.get_outputs()}
    problem = None
    if [item.name for item in inputs] != ["image"]:
        problem = f"its inputs are {[item.name for item in inputs]}, not ['image']"
    elif "stylized" not in outputs:
        problem = f"its outputs are {list(outputs)}, without 'stylized'"
    elif inputs[0].type != "tensor(uint8)" or outputs["stylized"].type != "tensor(uint8)":
        problem = f"it maps {inputs[0].type} to {outputs['stylized'].type}, not uint8 to uint8"
    elif len(inputs[0].shape) != 4 or inputs[0].shape[3] != 3:
        problem = f"its input shape is {inputs[0].shape}, not [N, H, W, 3]"
    elif any(isinstance(side, int) for side in inputs[0].shape[:3]):
        problem = f"its input shape {inputs[0].shape} is fixed; N, H and W must be free"
    if problem:
        raise UserError(f"{name} is not a fast_nst model: {problem}")


def check_pixels(image: object) -> None:
    """TypeError or ValueError unless `image` is uint8 RGB [H, W, 3] or [N, H, W, 3]."""
    if not isinstance(image, np.ndarray):
        raise TypeError(f"image must be a PIL image or a numpy array, not {type(image).__name__}")
    if image.dtype != np.uint8:
        raise TypeError(f"image must be uint8 (0 to 255), not {image.dtype}")
    if image.ndim not in (3, 4) or image.shape[-1] != 3 or 0 in image.shape:
        raise ValueError(
            f"image must be RGB [H, W, 3] or [N, H, W, 3] with at least one pixel, not {list(image.shape)}"
        )
