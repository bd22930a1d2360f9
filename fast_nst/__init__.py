"""fast_nst: train a style once, apply it to any picture or video in one forward pass."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fast_nst.runtime.stylizer import Stylizer

# ONNX Runtime from 1.29 on reports every model and session to Microsoft, and keeps files about it. It
# looks at this when it is imported; one who wants the reports sets it to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"
__all__ = ["Stylizer", "__version__"]


def __getattr__(name: str) -> Any:
    # Lazy: `import fast_nst` must not pay for onnxruntime.
    if name == "Stylizer":
        from fast_nst.runtime.stylizer import Stylizer

        return Stylizer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
