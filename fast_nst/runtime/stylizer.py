"""Runs one exported model: pixels in, pixels out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from fast_nst.errors import UserError, one_line
from fast_nst.pictures import decode_picture
from fast_nst.runtime import color
from fast_nst.runtime.models import resolve_model

_SHORT_NAMES = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}
_PROVIDER_OPTIONS = {
    # The defaults tune anew for every picture size, and double the memory held as it grows.
    "CUDAExecutionProvider": {
        "cudnn_conv_algo_search": "HEURISTIC",
        "arena_extend_strategy": "kSameAsRequested",
    }
}

PictureLike = TypeVar("PictureLike", np.ndarray, Image.Image)


class RunFailed(UserError):
    """The model could not be run on this picture; another picture may do."""


class OutOfMemory(RunFailed):
    """The picture is too large for the memory there is."""


class Stylizer:
    """An exported style, ready for pictures of any size; many threads may call it at once.

    `model` is the path of an ONNX file, the name of a shipped style, or the bytes of a file.
    `threads` is the number of CPU threads (None: one per core). `providers` names what to run on,
    best first: "cpu", "cuda", "tensorrt", "coreml", "directml", "openvino" or onnxruntime's own
    names; None takes CUDA if onnxruntime has it and it starts, else the CPU.

    `metadata` holds what the file says of itself, `providers` what it runs on.

    Raises UserError for a file that is no such model, and for a named provider that is absent or
    does not start.
    """

    def __init__(
        self,
        model: str | Path | bytes,
        *,
        threads: int | None = None,
        providers: Sequence[str] | None = None,
    ) -> None:
        if threads is not None and threads < 1:
            raise UserError(f"--threads must be at least 1, not {threads}")
        if isinstance(providers, str):
            providers = [providers]
        source: str | bytes = model if isinstance(model, bytes) else str(resolve_model(model))
        self.name = "the model" if isinstance(source, bytes) else source
        self._session = _open_session(source, self.name, threads, choose_providers(providers))
        self.providers: list[str] = self._session.get_providers()
        if providers is not None:
            _check_started(providers, self.providers)
        _check_contract(self._session, self.name)
        self._last_shape: tuple[int, ...] = ()
        self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)

    def __call__(
        self, image: PictureLike, *, strength: float = 1.0, preserve_color: bool = False
    ) -> PictureLike:
        """Stylize a PIL image or uint8 RGB [H, W, 3] or [N, H, W, 3] into one of its kind and size.

        A PIL image is first turned upright, to sRGB and over white; the result is RGB.
        `strength` goes from 0 (the picture itself) to 1 (the style in full); `preserve_color`
        keeps the picture's colors and takes only the luminance of the stylized one.

        Raises TypeError for another type, ValueError for another shape or a strength outside
        [0, 1], OutOfMemory for a picture too large, RunFailed when onnxruntime fails otherwise.
        """
        if not 0.0 <= strength <= 1.0:
            raise ValueError(f"strength must be between 0 and 1, not {strength}")
        if isinstance(image, Image.Image):
            return Image.fromarray(self._run(decode_picture(image).pixels, strength, preserve_color))
        _check_pixels(image)
        return self._run(image, strength, preserve_color)

    def _run(self, pixels: np.ndarray, strength: float, keep_color: bool) -> np.ndarray:
        if strength == 0.0:
            return pixels.copy()
        batch = np.ascontiguousarray(pixels if pixels.ndim == 4 else pixels[None])  # [N, H, W, 3]
        try:
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
            raise self._explain(error, batch) from error
        return stylized if pixels.ndim == 4 else stylized[0]

    def _options(self, batch: np.ndarray) -> Any:
        """None, or after a change of size the option that gives unused memory back."""
        changed = batch.shape != self._last_shape
        self._last_shape = batch.shape
        # Held memory grows with every new size otherwise; on one size all the time it is reused.
        return _shrinking() if changed and self.providers == [_SHORT_NAMES["cpu"]] else None

    def _explain(self, error: Exception, batch: np.ndarray) -> RunFailed:
        count, height, width = batch.shape[:3]
        what = f"{width}x{height} pixels" + (f" in a batch of {count}" if count > 1 else "")
        if _is_out_of_memory(error):
            return OutOfMemory(f"not enough memory to stylize {what}")
        return RunFailed(f"{self.name} failed on {what}: {_reason(error)}")


def _open_session(source: str | bytes, name: str, threads: int | None, providers: list[str]) -> Any:
    import onnxruntime  # a quarter of a second, paid by those who run a model

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors come as exceptions; not on stderr as well
    options.enable_mem_pattern = False  # else one memory plan is kept for every picture size ever seen
    if threads is not None:
        options.intra_op_num_threads = threads
    wanted = [(provider, _PROVIDER_OPTIONS.get(provider, {})) for provider in providers]
    try:
        return onnxruntime.InferenceSession(_for_onnxruntime(source), options, providers=wanted)
    except Exception as error:  # a type per failure, none of them public
        raise UserError(f"{name} does not load as an ONNX model: {_why_not_loaded(error)}") from error


def _for_onnxruntime(source: str | bytes) -> str | bytes:
    """The path, or the file's bytes where the name is not valid Unicode: onnxruntime cannot open that."""
    if isinstance(source, bytes):
        return source
    try:
        source.encode()
    except UnicodeEncodeError:
        return Path(source).read_bytes()
    return source


def _why_not_loaded(error: Exception) -> str:
    import onnxruntime

    reason = _reason(error)
    if "protobuf" in reason.lower():
        return "it is no ONNX file, or a damaged one"
    if "under development" in reason or "Unsupported model IR version" in reason:
        return f"it needs a newer onnxruntime than {onnxruntime.__version__} (pip install -U onnxruntime)"
    return reason


def _shrinking() -> Any:
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def choose_providers(asked: Sequence[str] | None) -> list[str]:
    """onnxruntime's names of the providers, CPU last: it runs what the others cannot.

    Raises UserError for one that this onnxruntime does not have.
    """
    import onnxruntime

    available = onnxruntime.get_available_providers()
    cpu = _SHORT_NAMES["cpu"]
    if asked is None:
        cuda = _SHORT_NAMES["cuda"]
        return [cuda, cpu] if cuda in available else [cpu]
    if not asked:
        raise UserError("--providers is empty; leave it out for the default")
    chosen = [_full_name(name) for name in asked]
    for name, full in zip(asked, chosen, strict=True):
        if full not in available:
            have = ", ".join(map(short_name, available))
            raise UserError(f"provider {name!r} is not in this onnxruntime; it has {have}")
    return chosen if cpu in chosen else [*chosen, cpu]


def _check_started(asked: Sequence[str], running: list[str]) -> None:
    # onnxruntime itself goes on without a provider whose libraries or device are missing.
    for name in asked:
        if _full_name(name) not in running:
            raise UserError(
                f"provider {name!r} did not start (driver or libraries missing?); "
                f"running are {', '.join(map(short_name, running))}"
            )


def _full_name(name: str) -> str:
    return _SHORT_NAMES.get(name.lower(), name)


def short_name(full: str) -> str:
    """What users call a provider: "cpu" for "CPUExecutionProvider"."""
    return next((short for short, name in _SHORT_NAMES.items() if name == full), full)


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


def _check_pixels(image: object) -> None:
    if not isinstance(image, np.ndarray):
        raise TypeError(f"image must be a PIL image or a numpy array, not {type(image).__name__}")
    if image.dtype != np.uint8:
        raise TypeError(f"image must be uint8 (0 to 255), not {image.dtype}")
    if image.ndim not in (3, 4) or image.shape[-1] != 3 or 0 in image.shape:
        raise ValueError(
            f"image must be RGB [H, W, 3] or [N, H, W, 3] with at least one pixel, not {list(image.shape)}"
        )


def _reason(error: Exception) -> str:
    """onnxruntime's message on one short line, less the codes and places in its source in front of it."""
    text = one_line(error).rsplit(" : ", 1)[-1]
    text = re.sub(r"^Load model from .*? failed: *", "", text)
    text = re.sub(r"^\S+\.(?:cc|h):\d+ .*?\) (?=[A-Z])", "", text)
    return shorten(text, 300, placeholder=" ...")


def _is_out_of_memory(error: Exception) -> bool:
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(
        sign in text for sign in ("bad_alloc", "allocate memory", "out of memory", "bad allocation")
    )
