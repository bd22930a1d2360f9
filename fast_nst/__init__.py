"""fast_nst: train a style once, apply it to any picture or video in one forward pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fast_nst.runtime.stylizer import Stylizer

__version__ = "0.1.0"
__all__ = ["Stylizer", "__version__"]


def __getattr__(name: str) -> Any:
    # Lazy: `import fast_nst` must not pay for onnxruntime.
    if name == "Stylizer":
        from fast_nst.runtime.stylizer import Stylizer

        return Stylizer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
