"""Runs one exported model: pixels in, pixels out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from fast_nst.contract import IMAGE, STYLE_WEIGHTS, STYLIZED, StyleInfo, read_styles
from fast_nst.errors import UserError
from fast_nst.pictures import decode_picture
from fast_nst.runtime import color
from fast_nst.runtime.failures import DeviceLost, OutOfMemory, RunFailed, explain_failure
from fast_nst.runtime.models import find_model
from fast_nst.runtime.providers import (
    CPU,
    DIRECTML,
    TENSORRT,
    Provider,
    check_started,
    choose_providers,
    open_session,
)
from fast_nst.runtime.styles import Styles, choose_one, style_over_time, style_rows

__all__ = ["DeviceLost", "OutOfMemory", "RunFailed", "Stylizer"]

PictureLike = TypeVar("PictureLike", np.ndarray, Image.Image)


class Stylizer:
    """An exported style, ready for pictures of any size; many threads may call it at once.

    `model` is the path of an ONNX file, the name of a shipped model or style, or the bytes of a file.
    `style` says which of a file's styles: a name, a mixture ("waves:0.6,udnie:0.4" or {"waves": 0.6,
    "udnie": 0.4}), or the weights of all. It can be set again between pictures and costs nothing.
    `threads` is the number of CPU threads (None: one per core). `providers` names what to run on,
    best first: "cpu", "cuda", "tensorrt", "coreml", "directml", "openvino" or onnxruntime's own
    names, each alone or with onnxruntime's options for it, as in ("openvino", {"device_type": "GPU"});
    None takes CUDA if onnxruntime has it and it starts, else the CPU.

    `metadata` holds what the file says of itself, `styles` of each of its styles, `providers` what it
    runs on.

    Raises UserError for a file that is no such model, a style that it has not, and for a named provider
    that is absent or does not start.
    """

    def __init__(
        self,
        model: str | Path | bytes,
        style: Styles | None = None,
        *,
        threads: int | None = None,
        providers: str | Sequence[Provider] | None = None,
    ) -> None:
        if threads is not None and threads < 1:
            raise UserError(f"--threads must be at least 1, not {threads}")
        if isinstance(providers, str):
            providers = [providers]
        self.source: str | bytes
        if isinstance(model, bytes):
            self.source, self.name = model, "the model"
        else:
            found = find_model(model, style)
            self.source = self.name = str(found.path)
            style = found.style
        self._threads, self._chosen = threads, choose_providers(providers)
        self._session = open_session(self.source, self.name, threads, self._chosen)
        self.providers: list[str] = self._session.get_providers()
        if providers is not None:
            check_started(providers, self.providers)
        try:
            many = _check_contract(self._session, self.name)
            self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
            self.styles: list[StyleInfo] = read_styles(self.metadata)
        except UnicodeDecodeError as error:
            raise UserError(f"{self.name} is a damaged ONNX file: its texts are not UTF-8") from error
        except ValueError as error:
            raise UserError(f"{self.name} is damaged: {error}") from error
        if len(self.styles) != many:
            raise UserError(f"{self.name} is damaged: it mixes {many} styles and names {len(self.styles)}")
        self._rows: np.ndarray | None = None if many > 1 else np.ones((1, 1), np.float32)
        if style is not None:
            self.style = style
        # DirectML's sessions take one call at a time.
        self._turn = threading.Lock() if DIRECTML in self.providers else nullcontext()
        self._last_shape: tuple[int, ...] = ()

    @property
    def style(self) -> dict[str, float] | None:
        """What is painted with: style -> share of it. None as long as none of many was chosen.

        May be set to a name, a mixture, or the weights of all; raises UserError for a wrong one.
        """
        rows = self._rows
        if rows is None:
            return None
        shares = zip(self.style_names, rows[0].tolist(), strict=True)
        return {name: share for name, share in shares if share}

    @style.setter
    def style(self, style: Styles) -> None:
        rows = self.style_rows(style)
        if len(rows) != 1:
            raise UserError("a list of styles, one for each picture, goes with a call: give one style here")
        self._rows = rows

    @property
    def style_names(self) -> list[str]:
        """The names of `styles`."""
        return [style.name for style in self.styles]

    def style_rows(self, style: Styles | None) -> np.ndarray:
        """Shares of the styles, float32 [1 or N, K], of what a user asked for; None: of the style set.

        Raises UserError for a style that is not there, for weights that will not do, and where one of
        many was not chosen.
        """
        if style is not None:
            return style_rows(style, self.style_names, self.name)
        rows = self._rows
        if rows is None:
            raise choose_one(self.style_names, self.name)
        return rows

    def style_over_time(self, style: Styles | None) -> Callable[[float], np.ndarray]:
        """Seconds to shares, float32 [K], of a style that may change: "waves@0,udnie@10"; raises as
        `style_rows`."""
        if style is None:
            (row,) = self.style_rows(None)
            return lambda seconds: row
        return style_over_time(style, self.style_names, self.name)

    def __call__(
        self,
        image: PictureLike,
        *,
        style: Styles | None = None,
        strength: float = 1.0,
        preserve_color: bool = False,
    ) -> PictureLike:
        """Stylize a PIL image or uint8 RGB [H, W, 3] or [N, H, W, 3] into one of its kind and size.

        A PIL image is first turned upright, to sRGB and over white; the result is RGB.
        `style` is for this call alone, a list of styles for the pictures of a batch; None takes the one
        set. `strength` goes from 0 (the picture itself) to 1 (the style in full); `preserve_color`
        keeps the picture's colors and takes only the luminance of the stylized one.

        Raises TypeError for another type, ValueError for another shape or a strength outside
        [0, 1], UserError for a wrong style, OutOfMemory for a picture too large, DeviceLost when a GPU
        stopped working, RunFailed when onnxruntime fails otherwise.
        """
        if not 0.0 <= strength <= 1.0:
            raise ValueError(f"strength must be between 0 and 1, not {strength}")
        rows = self.style_rows(style)
        if isinstance(image, Image.Image):
            return Image.fromarray(self._run(decode_picture(image).pixels, rows, strength, preserve_color))
        check_pixels(image)
        return self._run(image, rows, strength, preserve_color)

    def warm_up(self, sizes: Iterable[tuple[int, int]], batch: int = 1) -> None:
        """Run once on each size, (height, width), so that the first real pictures need not wait.

        At a size's first run GPUs choose kernels, TensorRT compiles for minutes. Raises as a call does.
        """
        style = None if self._rows is not None else self.style_names[0]
        for height, width in sizes:
            self(np.zeros((batch, height, width, 3), np.uint8), style=style)

    def open(self, model: bytes) -> Any:
        """An onnxruntime session of another model, not used for long, that runs as this one does."""
        quick = [(name, given) for name, given in self._chosen if name != TENSORRT]  # it compiles for minutes
        return open_session(model, self.name, self._threads, quick, cached=False)

    def _run(self, pixels: np.ndarray, rows: np.ndarray, strength: float, keep_color: bool) -> np.ndarray:
        batch = np.ascontiguousarray(pixels if pixels.ndim == 4 else pixels[None])  # [N, H, W, 3]
        if len(rows) not in (1, len(batch)):
            raise UserError(f"{len(rows)} styles were given for {len(batch)} pictures; give one, or as many")
        if strength == 0.0:
            return pixels.copy()
        feeds = {IMAGE: batch, **({STYLE_WEIGHTS: rows} if len(self.styles) > 1 else {})}
        try:
            with self._turn:
                (stylized,) = self._session.run([STYLIZED], feeds, self._options(batch))
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


def _check_contract(session: Any, name: str) -> int:
    """The number of styles, of a model that keeps to `fast_nst.contract`."""
    inputs, outputs = {item.name: item for item in session.get_inputs()}, session.get_outputs()
    problem, count = None, 1
    image, stylized = inputs.get(IMAGE), next((item for item in outputs if item.name == STYLIZED), None)
    if image is None or set(inputs) - {IMAGE, STYLE_WEIGHTS}:
        problem = f"its inputs are {list(inputs)}, not ['image'] or ['image', 'style_weights']"
    elif stylized is None:
        problem = f"its outputs are {[item.name for item in outputs]}, without 'stylized'"
    elif image.type != "tensor(uint8)" or stylized.type != "tensor(uint8)":
        problem = f"it maps {image.type} to {stylized.type}, not uint8 to uint8 as files without --form do"
    elif len(image.shape) != 4 or image.shape[3] != 3:
        problem = f"its input shape is {image.shape}, not [N, H, W, 3]"
    elif any(isinstance(side, int) for side in image.shape[:3]):
        problem = f"its input shape {image.shape} is fixed; N, H and W must be free"
    elif weights := inputs.get(STYLE_WEIGHTS):
        rows, *columns = weights.shape or [1]
        if weights.type == "tensor(float)" and len(columns) == 1 and isinstance(columns[0], int):
            count = columns[0]
        if count < 2 or isinstance(rows, int):
            problem = f"its style_weights are {weights.type} {weights.shape}, not float [N, number of styles]"
    if problem:
        raise UserError(f"{name} is not a fast_nst model: {problem}")
    return count


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
