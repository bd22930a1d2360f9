"""What onnxruntime's errors mean to the one who ran a model."""

from __future__ import annotations

from collections.abc import Sequence

from fast_nst.errors import UserError
from fast_nst.runtime.providers import reason

_OUT_OF_MEMORY = (
    *("bad_alloc", "bad allocation", "allocate memory", "out of memory"),  # CPU, CUDA
    *("alloc_failed", "8007000e"),  # cuBLAS and cuDNN, DirectX
)
_DEVICE_LOST = (
    *("cuda failure 46", "cuda failure 100", "cuda failure 214"),  # unavailable, none, memory (ECC) error
    *("cuda failure 700", "cuda failure 719", "cuda failure 999"),  # illegal address, launch failure, unknown
    *("887a0005", "887a0006", "887a0007", "887a0020"),  # DXGI: device removed, hung, reset, driver error
)


class RunFailed(UserError):
    """The model could not be run on this picture; another picture may do."""


class OutOfMemory(RunFailed):
    """The picture is too large for the memory there is."""


class DeviceLost(UserError):
    """The device stopped working; nothing runs on it until the process is started anew."""


def explain_failure(error: Exception, name: str, shape: Sequence[int]) -> UserError:
    """The error to raise for what onnxruntime raised when `name` ran on pictures of [N, H, W, 3]."""
    count, height, width = shape[:3]
    what = f"{width}x{height} pixels" + (f" in a batch of {count}" if count > 1 else "")
    text = str(error).lower()
    if isinstance(error, MemoryError) or any(sign in text for sign in _OUT_OF_MEMORY):
        return OutOfMemory(f"not enough memory to stylize {what}")
    if any(sign in text for sign in _DEVICE_LOST):
        return DeviceLost(
            f"the device was lost on {what} ({reason(error)}); start again, or run with --providers cpu"
        )
    return RunFailed(f"{name} failed on {what}: {reason(error)}")
