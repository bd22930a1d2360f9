"""Lists and sizes as users write them."""

from __future__ import annotations

import re

from fast_nst.errors import UserError


def comma_separated(text: str | None) -> list[str]:
    """The parts of a list with commas between, less spaces and empty parts."""
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def picture_size(text: str, option: str) -> tuple[int, int]:
    """ "512", "640x360" or "720p" to (width, height); raises UserError, naming the option, for others."""
    if match := re.fullmatch(r"(\d+)p", text.strip().lower()):
        height = int(match[1])
        size = (-(-height * 16 // 18) * 2, height)  # 16:9, to the next even width, as 854x480
    elif match := re.fullmatch(r"(\d+)(?:x(\d+))?", text.strip().lower()):
        size = (int(match[1]), int(match[2] or match[1]))
    else:
        raise UserError(f"{option}: {text!r} is no size; give 512, 640x360 or 720p")
    if min(size) < 1:
        raise UserError(f"{option}: {text!r} has no pixels")
    return size
