"""The styles on offer: found, tried once for a preview, loaded when used."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock

import numpy as np
from tqdm import tqdm

from fast_nst.errors import UserError, one_line
from fast_nst.pictures import decode_picture, picture_bytes, resize_longer_side
from fast_nst.runtime.graph import read_metadata
from fast_nst.runtime.models import Model, find_model, short_name, styles_of, unique_names
from fast_nst.runtime.styles import Style as Wanted
from fast_nst.runtime.styles import style_rows
from fast_nst.runtime.stylizer import Stylizer
from fast_nst.shipped import SAMPLE, list_models

_KEPT = 8  # sessions; each holds its weights and the working memory of its largest picture
_PREVIEW = 300  # pixels wide; small, so that strokes show in a thumbnail

logger = logging.getLogger("fast_nst")


@dataclass(frozen=True)
class Style:
    """One style of a model as the page shows it."""

    name: str
    """Unique among those on offer."""
    model: Model
    """The file, and which of its styles."""
    preview: bytes
    """JPEG, 300x200: the bundled picture in this style."""
    attribution: str
    """What the file says of whom the style is from and under which license; may be empty."""


class Gallery:
    """Styles by name; the models used last stay loaded, `_KEPT` of them. Threads may share it."""

    def __init__(self, styles: list[Style], load: Callable[[Path], Stylizer]) -> None:
        self.styles = {style.name: style for style in styles}
        self._load = load
        self._loaded: OrderedDict[Path, Stylizer] = OrderedDict()
        self._lock = Lock()

    def stylizer(self, name: str) -> Stylizer:
        """The model of a style. Raises KeyError for an unknown name, UserError if the file went bad."""
        path = self.styles[name].model.path
        with self._lock:
            if path not in self._loaded:
                self._loaded[path] = self._load(path)
            self._loaded.move_to_end(path)
            while len(self._loaded) > _KEPT:
                self._loaded.popitem(last=False)
            return self._loaded[path]

    def shares(self, wanted: Wanted) -> dict[str, float]:
        """What a style or a mixture of those on offer is made of: name -> share.

        Raises UserError for a wrong one, and for styles of several files, which cannot be mixed.
        """
        (row,) = style_rows(wanted, list(self.styles), "the demo")
        shares = {name: float(share) for name, share in zip(self.styles, row, strict=True) if share}
        if len({self.styles[name].model.path for name in shares}) > 1:
            raise UserError(f"{' and '.join(shares)} are of different files and cannot be mixed")
        return shares

    def mix(self, wanted: Wanted) -> tuple[Stylizer, np.ndarray]:
        """The model of a style or a mixture, and the shares [1, K] of its own styles; raises as `shares`."""
        shares = self.shares(wanted)
        stylizer = self.stylizer(next(iter(shares)))
        rows = [share * stylizer.style_rows(self.styles[name].model.style) for name, share in shares.items()]
        return stylizer, np.sum(rows, axis=0)


def open_gallery(models: list[str] | None, load: Callable[[Path], Stylizer]) -> Gallery:
    """Find the models, run each on the bundled picture, and offer those that work.

    None stands for every shipped style. One model at a time is in memory. A model named by itself must
    work; one that was found in a folder and does not is logged and left out.

    Raises UserError if a named model is missing or broken, or none is left.
    """
    found = dict(_find(models))
    sample = resize_longer_side(decode_picture(SAMPLE).pixels, _PREVIEW)
    styles: dict[str, Style] = {}
    one_each = dict(zip(found, unique_names(list(found)), strict=True))
    for model, named in tqdm(found.items(), desc="previews", unit="model", disable=None, delay=1):
        try:
            stylizer = load(model.path)
            for name, one in _styles_of(model, stylizer, one_each[model], styles):
                styles[name] = _preview(name, one, sample, stylizer)
        except UserError as error:
            if named:
                raise
            logger.warning("left out %s", one_line(error))
    if not styles:
        raise UserError("no model works; name others with --model, or train one: fast-nst train --help")
    return Gallery(list(styles.values()), load)


def _styles_of(
    model: Model, stylizer: Stylizer, name: str, taken: Collection[str]
) -> Iterator[tuple[str, Model]]:
    """The one style asked for, or each one of a file of many, by its own name where that is not taken."""
    if model.style is not None or len(stylizer.styles) == 1:
        yield name, model
        return
    for style in stylizer.style_names:
        own = style if style not in taken else f"{name}:{style}"
        yield own, replace(model, name=own, style=style)


def _find(models: list[str] | None) -> Iterator[tuple[Model, bool]]:
    """Models, and whether each was named by itself."""
    if models is None:
        if not (shipped := list_models()):
            raise UserError("no styles ship with this install; name a model with --model")
        # Files of one style first: a name that both have is theirs, as everywhere.
        alone_first = sorted(shipped.items(), key=lambda item: bool(styles_of(read_metadata(item[1]))))
        yield from ((Model(path, name), True) for name, path in alone_first)
        return
    for name in models:
        folder = Path(name)
        if not folder.is_dir() or (folder / "model.onnx").is_file():
            yield find_model(name), True
            continue
        inside = sorted([*folder.glob("*.onnx"), *folder.glob("*/model.onnx")])
        if not inside:
            raise UserError(f"--model {folder} is a folder without ONNX files or runs")
        yield from ((Model(path, short_name(path)), False) for path in inside)


def _preview(name: str, model: Model, sample: np.ndarray, stylizer: Stylizer) -> Style:
    (row,) = rows = stylizer.style_rows(model.style)
    used = [style for style, share in zip(stylizer.styles, row, strict=True) if share]
    said = dict.fromkeys(text for style in used for text in (style.attribution, style.license))
    return Style(
        name=name,
        model=model,
        preview=picture_bytes(stylizer(sample, style=rows), "jpg", quality=85),
        attribution=", ".join(text for text in said if text and text != "unspecified"),
    )
