"""Lists as users write them."""

from __future__ import annotations


def comma_separated(text: str | None) -> list[str]:
    """The parts of a list with commas between, less spaces and empty parts."""
    return [part.strip() for part in (text or "").split(",") if part.strip()]
