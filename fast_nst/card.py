"""A card made of what an exported file says of itself, for models that no training wrote one for."""

from __future__ import annotations

from collections.abc import Mapping

from fast_nst.contract import STYLES, read_styles
from fast_nst.errors import one_line


def card(about: Mapping[str, str]) -> str:
    """Markdown: name, network, license, attribution and origin; of many styles a row for each.

    Args:
        about: the file's metadata.

    Raises:
        ValueError: its list of styles is damaged.
    """
    parts = (about.get("network"), *(f"{key} {about[key]}" for key in ("width", "blocks") if key in about))
    rows = {
        "network": ", ".join(filter(None, parts)) or "-",
        "loss network": about.get("loss_network", ""),
        "weights": about.get("origin", ""),
        "license": about.get("license", "unspecified"),
        "attribution": about.get("attribution") or "-",
    }
    lines = [f"# {one_line(about.get('style', 'style'))}", "", "| | |", "|---|---|"]
    lines += [_row(name, text) for name, text in rows.items() if text]
    if STYLES in about:
        lines += ["", "| style | license | attribution |", "|---|---|---|"]
        lines += [_row(one.name, one.license, one.attribution or "-") for one in read_styles(about)]
    return "\n".join([*lines, ""])


def _row(*cells: str) -> str:
    return "| " + " | ".join(one_line(cell).replace("|", "\\|") for cell in cells) + " |"
