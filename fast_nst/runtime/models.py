"""Where models are found: a file, the name of one that ships or of a style in one of many, or on the Hub."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fast_nst.contract import STYLES, StyleInfo, read_styles
from fast_nst.errors import UserError
from fast_nst.hub import SCHEME, fetch_model, hub_name
from fast_nst.runtime.graph import read_metadata
from fast_nst.runtime.styles import similar
from fast_nst.shipped import list_models


@dataclass(frozen=True)
class Model:
    """What a user means by the name of a model."""

    path: Path
    """The ONNX file."""
    name: str
    """Short: the file's, or its folder's for a run's model.onnx; with the style where one was asked for."""
    style: Any = None
    """The style asked for, in any form that `Stylizer` takes, or one that changes over time."""


def find_model(name_or_path: str | Path, style: Any = None) -> Model:
    """The model meant by a path, a run's folder, the name of a shipped model or of a style in one, or by
    hf://OWNER/NAME[@REVISION], a repository on the Hugging Face Hub, which is fetched.

    Each may be followed by a colon and a style of the file's: gallery:waves, gallery:waves:0.6+udnie:0.4.
    `style` says so apart from it, in any form that `Stylizer` takes.

    Raises UserError listing the shipped names if it is none of these, for two styles asked for, and for a
    repository that cannot be had; ModuleNotFoundError for one where huggingface_hub is not installed.
    """
    found = _find(str(name_or_path))
    if style is None:
        return found
    if found.style is not None:
        raise UserError(
            f"model {str(name_or_path)!r} names a style already, and --style {style} another: give one"
        )
    return replace(found, name=f"{found.name}:{style}", style=style)


def shipped_styles() -> list[Model]:
    """Every style that ships, once: from a file of its own where there is one, else from one of many."""
    shipped = list_models()
    styles = {path: styles_of(read_metadata(path)) for path in shipped.values()}
    alone = {name: Model(path, name) for name, path in shipped.items() if not styles[path]}
    among = {style.name: Model(path, style.name, style.name) for path in styles for style in styles[path]}
    return sorted((among | alone).values(), key=lambda model: model.name)


def _find(text: str) -> Model:
    if text.startswith(SCHEME):
        on_hub = hub_name(text)
        name = on_hub.repository.partition("/")[2]
        style = on_hub.style
        return Model(fetch_model(on_hub), f"{name}:{style}" if style else name, style)
    if (path := _file(text)) is not None:
        return Model(path, short_name(path))
    shipped = list_models()
    many = {path: [style.name for style in styles_of(read_metadata(path))] for path in shipped.values()}
    for path, names in many.items():
        if text in names:
            return Model(path, text, text)
    for colon in re.finditer(":", text):  # the first may be that of a drive
        path, style = _file(text[: colon.start()]), text[colon.end() :]
        if path is not None and style:
            return Model(path, f"{short_name(path)}:{style}", style)
    if Path(text).is_dir():
        raise UserError(f"model {text} is a folder without a model.onnx; give an ONNX file")
    known = f"shipped models: {', '.join(shipped)}" if shipped else "no models ship with this install"
    every = [*dict.fromkeys([*shipped, *(name for names in many.values() for name in names)])]
    mixture = re.split("[:,+]", text)[0] in every and re.search("[,+]", text)
    near = f"; a mixture is --model FILE --style {text}" if mixture else similar(text, every)
    raise UserError(f"no model file, shipped model or style of one is called {text!r}{near}; {known}")


def _file(text: str) -> Path | None:
    """The file, the shipped file of that name or the one in a run's folder."""
    path = Path(text)
    if path.is_file():
        return path
    if text in (shipped := list_models()):
        return shipped[text]
    return inside if (inside := path / "model.onnx").is_file() else None


def styles_of(about: Mapping[str, str]) -> list[StyleInfo]:
    """Of a file of many styles, by its metadata; of any other none."""
    return read_styles(about) if STYLES in about else []


def short_name(path: Path) -> str:
    """A model file's name, or its folder's for a run's model.onnx."""
    return path.absolute().parent.name if path.stem == "model" else path.stem


def unique_names(models: Sequence[Model], taken: Collection[str] = ()) -> list[str]:
    """Short names for models: the whole path where that is not unique or among ``taken``; one that is
    named again gets " (2)".
    """
    names: list[str] = []
    for model in models:
        others = {(other.path, other.style) for other in models if other.name == model.name}
        whole = f"{model.path}:{model.style}" if model.style else str(model.path)
        chosen = model.name if len(others) == 1 and model.name not in taken else whole
        again = sum((m.path, m.style) == (model.path, model.style) for m in models[: len(names)])
        names.append(f"{chosen} ({again + 1})" if again else chosen)
    return names
