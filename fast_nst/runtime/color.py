"""Mixing a picture with its stylized self: colors and strength. Pure numpy, uint8 in and out."""

from __future__ import annotations

import numpy as np

_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # BT.601


def preserve_color(content: np.ndarray, stylized: np.ndarray) -> np.ndarray:
    """The luminance of `stylized` with the colors of `content`.

    Both are uint8 RGB [H, W, 3] or [N, H, W, 3] of one shape, and so is the result. Luminance is
    the Y of BT.601 YCbCr, in float. Raises ValueError if the shapes differ.
    """
    _check(content, stylized)
    base = content.astype(np.float32)
    # RGB is Y plus a linear map of the chroma: with the chroma kept, only Y's change is added.
    difference = stylized.astype(np.float32) @ _LUMA - base @ _LUMA  # [..., H, W]
    return _to_uint8(base + difference[..., None])


def blend(content: np.ndarray, stylized: np.ndarray, strength: float) -> np.ndarray:
    """`content` at strength 0, `stylized` at strength 1, a linear mix in between.

    Both are uint8 RGB [H, W, 3] or [N, H, W, 3] of one shape, and so is the result. Raises
    ValueError if the shapes differ or `strength` is outside [0, 1].
    """
    _check(content, stylized)
    if not 0.0 <= strength <= 1.0:
        raise ValueError(f"strength must be between 0 and 1, not {strength}")
    base = content.astype(np.float32)
    return _to_uint8(base + np.float32(strength) * (stylized.astype(np.float32) - base))


def _check(content: np.ndarray, stylized: np.ndarray) -> None:
    if content.shape != stylized.shape or content.shape[-1] != 3:
        raise ValueError(
            f"both must have one shape [..., H, W, 3], not {list(content.shape)} and {list(stylized.shape)}"
        )


def _to_uint8(values: np.ndarray) -> np.ndarray:
    # Rounded, not truncated: truncation darkens by half a gray level on average.
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
