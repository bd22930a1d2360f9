"""What a model runs on: onnxruntime's execution providers, each with options known to be good."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import shorten
from typing import Any, TypeAlias

from fast_nst.errors import UserError, one_line
from fast_nst.machine.limits import limited_threads

Provider: TypeAlias = str | tuple[str, Mapping[str, str]]
"""A name, or a name and options for onnxruntime that go before ours."""

SHORT_NAMES = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}
CPU, CUDA, TENSORRT, DIRECTML = (SHORT_NAMES[name] for name in ("cpu", "cuda", "tensorrt", "directml"))


def choose_providers(asked: Sequence[Provider] | None) -> list[tuple[str, dict[str, str]]]:
    """onnxruntime's names of the providers with the options given for them, best first, CPU last.

    What one provider cannot run, the next one does: CUDA stands behind TensorRT, the CPU behind all. None
    asks for CUDA if this onnxruntime has it, else for the CPU.

    Raises UserError for a provider it does not have.
    """
    import onnxruntime

    available = onnxruntime.get_available_providers()
    if asked is None:
        asked = ["cuda"] if CUDA in available else ["cpu"]
    if not asked:
        raise UserError("--providers is empty; leave it out for the default")
    chosen: dict[str, dict[str, str]] = {}
    for item in asked:
        name, given = (item, {}) if isinstance(item, str) else item
        full = full_name(name)
        if full not in available:
            have = ", ".join(map(short_name, available))
            raise UserError(f"provider {name!r} is not in this onnxruntime; it has {have}")
        chosen[full] = dict(given)
    if TENSORRT in chosen and CUDA in available:
        chosen.setdefault(CUDA, {})
    chosen.setdefault(CPU, {})
    return sorted(chosen.items(), key=lambda item: item[0] == CPU)


def open_session(
    source: str | bytes,
    name: str,
    threads: int | None,
    providers: list[tuple[str, dict[str, str]]],
    cached: bool = True,
) -> Any:
    """An onnxruntime session of a model's file or bytes; `cached`: keep what providers compile for it.

    Raises UserError where it does not load.
    """
    import onnxruntime  # a quarter of a second, paid by those who run a model

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors come as exceptions; not on stderr as well
    # One memory plan is kept for every picture size ever seen otherwise; DirectML allows none at all.
    options.enable_mem_pattern = False
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL  # DirectML allows no other
    # By itself it takes a thread for each core of the machine and binds it there, though this process
    # may be kept from it; of a number that it is told it binds none.
    threads = limited_threads() if threads is None else threads
    options.intra_op_num_threads = threads or 0
    kept = source if cached else None
    with_options = [(full, {**_known_good(full, threads, kept), **given}) for full, given in providers]
    try:
        # Its own fallback prints a banner before it fails again.
        return onnxruntime.InferenceSession(
            _for_onnxruntime(source), options, providers=with_options, enable_fallback=0
        )
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

    text = reason(error)
    if "protobuf" in text.lower():
        return "it is no ONNX file, or a damaged one"
    if "under development" in text or "Unsupported model IR version" in text:
        return f"it needs a newer onnxruntime than {onnxruntime.__version__} (pip install -U onnxruntime)"
    return text


def check_started(asked: Sequence[Provider], running: list[str]) -> None:
    """Raise UserError for a named provider that is not running."""
    # onnxruntime itself goes on without a provider whose libraries or device are missing.
    for item in asked:
        name = item if isinstance(item, str) else item[0]
        if full_name(name) not in running:
            raise UserError(
                f"provider {name!r} did not start (driver or libraries missing?); "
                f"running are {', '.join(map(short_name, running))}"
            )


def full_name(name: str) -> str:
    """onnxruntime's name of a provider."""
    return SHORT_NAMES.get(name.lower(), name)


def short_name(full: str) -> str:
    """Ours."""
    return next((short for short, name in SHORT_NAMES.items() if name == full), full)


def reason(error: Exception) -> str:
    """onnxruntime's message on one short line, less the codes and places in its source in front of it."""
    text = one_line(error).rsplit(" : ", 1)[-1]
    text = re.sub(r"^Load model from .*? failed: *", "", text)
    text = re.sub(r"^\S+\.(?:cc|h):\d+ .*?\) (?=[A-Z])", "", text)
    return shorten(text, 300, placeholder=" ...")


def _cache_folder() -> Path:
    """FAST_NST_CACHE, or the user's folder for such things."""
    if chosen := os.environ.get("FAST_NST_CACHE"):
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "fast-nst"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "fast-nst"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fast-nst"


def _cache_of(model: str | bytes) -> str:
    """A folder for each model: TensorRT's own names do not tell two styles of one network apart."""
    content = model if isinstance(model, bytes) else Path(model).read_bytes()
    return str(_cache_folder() / hashlib.sha256(content).hexdigest()[:16])


def _known_good(provider: str, threads: int | None, cached: str | bytes | None) -> dict[str, str]:
    """Options that keep the memory flat over many picture sizes, and what is slow to compile of a model."""
    match short_name(provider):
        case "cuda":
            # The defaults tune anew for every picture size, and double the memory held as it grows.
            return {"cudnn_conv_algo_search": "HEURISTIC", "arena_extend_strategy": "kSameAsRequested"}
        case "tensorrt":  # in float32: in half precision, sums over many pixels overflow
            if cached is None:
                return {}
            folder = _cache_of(cached)
            return {
                "trt_engine_cache_enable": "True",
                "trt_engine_cache_path": folder,
                "trt_timing_cache_enable": "True",
                "trt_timing_cache_path": folder,
            }
        case "coreml":
            return {"ModelFormat": "MLProgram"}
        case "openvino":
            config = {"CPU_RUNTIME_CACHE_CAPACITY": "0"}  # else it keeps kernels for every picture size
            if threads is not None:
                config["INFERENCE_NUM_THREADS"] = str(threads)
            if cached is not None:
                config["CACHE_DIR"] = _cache_of(cached)
            return {"device_type": "CPU", "load_config": json.dumps({"CPU": config})}
    return {}
