"""Where models are found: a file, or the name of one that ships."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from fast_nst.errors import UserError
from fast_nst.shipped import list_models


def resolve_model(name_or_path: str | Path) -> Path:
    """The ONNX file meant by a path, a run's folder or the name of a shipped style.

    Raises UserError listing the shipped names if it is none of these.
    """
    path = Path(name_or_path)
    if path.is_file():
        return path
    shipped = list_models()
    if str(name_or_path) in shipped:
        return shipped[str(name_or_path)]
    if path.is_dir():
        inside = path / "model.onnx"
        if inside.is_file():  # a run's folder
            return inside
        raise UserError(f"model {path} is a folder without a model.onnx; give an ONNX file")
    names = f"shipped models: {', '.join(shipped)}" if shipped else "no models ship with this install"
    raise UserError(f"no model file or shipped model is called {str(name_or_path)!r}; {names}")


def describe_model(name_or_path: str | Path) -> dict[str, Any]:
    """What a model file says of itself: {"path", "size_bytes", "metadata": {key: text}}.

    Raises UserError if there is no such model or it breaks the ONNX contract.
    """
    from fast_nst.runtime.stylizer import Stylizer

    path = resolve_model(name_or_path)
    metadata = Stylizer(path, threads=1, providers=["cpu"]).metadata
    return {"path": path, "size_bytes": path.stat().st_size, "metadata": metadata}


def shipped_lines() -> list[str]:
    """A line for each shipped style: name, network, size, and what it was painted after."""
    import onnx

    rows = []
    for name, path in list_models().items():
        about = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
        network = f"{about['network']}, width {about['width']}, {about['blocks']} blocks"
        rows.append((name, network, f"{path.stat().st_size / 1e6:.1f} MB", about["attribution"]))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def short_name(path: Path) -> str:
    """A model file's name, or its folder's for a run's model.onnx."""
    return path.absolute().parent.name if path.stem == "model" else path.stem


def unique_names(paths: Sequence[Path], taken: Collection[str] = ()) -> list[str]:
    """Short names for model files: the file's, or its folder's for a run's model.onnx.

    The whole path where that is not unique or among ``taken``; a file named again gets " (2)".
    """
    short = [short_name(path) for path in paths]
    names: list[str] = []
    for path, name in zip(paths, short, strict=True):
        others = {other for other, shared in zip(paths, short, strict=True) if shared == name}
        chosen = name if len(others) == 1 and name not in taken else str(path)
        again = sum(earlier == path for earlier in paths[: len(names)])
        names.append(f"{chosen} ({again + 1})" if again else chosen)
    return names
