"""Keeps libtiff, which Pillow decodes some TIFF files with, from writing to stderr."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from functools import cache

from PIL import Image


@cache
def silence_libtiff() -> None:
    """Take away libtiff's error handler for the whole process; Pillow raises what goes wrong all the same.

    Pillow takes away the one for warnings only, and has no switch for this one. Where its libtiff
    cannot be reached (it is linked statically, on Windows say) nothing changes.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler(None)
