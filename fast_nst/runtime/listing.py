"""What `fast-nst models` says: the models that ship, and what a file says of itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fast_nst.contract import STYLES, StyleInfo
from fast_nst.errors import printable
from fast_nst.runtime.graph import read_metadata
from fast_nst.runtime.models import Model, styles_of
from fast_nst.runtime.stylizer import Stylizer
from fast_nst.shipped import list_models


def describe_model(model: Model) -> dict[str, Any]:
    """What a model's file says of itself: {"path", "size_bytes", "styles", "metadata": {key: text}}.

    Raises UserError if it breaks the ONNX contract or has not the model's style.
    """
    found = Stylizer(model.path, model.style, threads=1, providers=["cpu"])
    size = model.path.stat().st_size
    return {"path": model.path, "size_bytes": size, "styles": found.styles, "metadata": found.metadata}


def model_lines(model: Model) -> list[str]:
    """The same in lines for a terminal."""
    described = describe_model(model)
    lines = [f"{printable(str(described['path']))}\t{described['size_bytes'] / 1e6:.1f} MB"]
    for key, value in described["metadata"].items():
        if key == STYLES:
            styles = described["styles"]
            lines += [f"  {len(styles)} styles:", *(f"  {printable(line)}" for line in style_lines(styles))]
        else:
            lines.append(printable(f"  {key}: {value}"))
    return lines


def shipped_lines() -> list[str]:
    """A line for each shipped model: name, network, size, and what it was painted after; below one of many
    styles a line for each."""
    rows = []
    for name, path in list_models().items():
        about = read_metadata(path)
        styles = styles_of(about)
        network = f"{about['network']}, width {about['width']}, {about['blocks']} blocks"
        origin = f"{len(styles)} styles:" if styles else about["attribution"]
        rows.append((name, network, f"{path.stat().st_size / 1e6:.1f} MB", origin, style_lines(styles)))
    widths = [max(map(len, column)) for column in list(zip(*rows, strict=True))[:-1]]
    lines = []
    for *cells, below in rows:
        lines += ["  ".join(map(str.ljust, cells, widths)).rstrip(), *below]
    return list(map(printable, lines))


def style_lines(styles: Sequence[StyleInfo]) -> list[str]:
    """A line for each: name, license and origin."""
    widest = max((len(style.name) for style in styles), default=0)
    origins = [", ".join(filter(None, (style.license, style.attribution))) for style in styles]
    return [f"  {style.name:{widest}}  {origin}" for style, origin in zip(styles, origins, strict=True)]
