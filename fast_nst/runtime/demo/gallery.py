"""The styles on offer: found, tried once for a preview, loaded when used."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np
from tqdm import tqdm

from fast_nst.errors import UserError, one_line
from fast_nst.pictures import decode_picture, picture_bytes, resize_longer_side
from fast_nst.runtime.models import resolve_model, unique_names
from fast_nst.runtime.stylizer import Stylizer
from fast_nst.shipped import list_models

SAMPLE = Path(__file__).parents[2] / "assets" / "chelsea.jpg"
_KEPT = 8  # sessions; each holds its weights and the working memory of its largest picture
_PREVIEW = 300  # pixels wide; small, so that strokes show in a thumbnail

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Style:
    """One model as the page shows it."""

    name: str
    """Unique among those on offer."""
    path: Path
    preview: bytes
    """JPEG, 300x200: the bundled picture in this style."""
    attribution: str
    """What the file says of whom the style is from and under which license; may be empty."""


class Gallery:
    """Styles by name; the models used last stay loaded, `_KEPT` of them. Threads may share it."""

    def __init__(self, styles: list[Style], load: Callable[[Path], Stylizer]) -> None:
        self.styles = {style.name: style for style in styles}
        self._load = load
        self._loaded: OrderedDict[str, Stylizer] = OrderedDict()
        self._lock = Lock()

    def stylizer(self, name: str) -> Stylizer:
        """The model of a style. Raises KeyError for an unknown name, UserError if the file went bad."""
        style = self.styles[name]
        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = self._load(style.path)
            self._loaded.move_to_end(name)
            while len(self._loaded) > _KEPT:
                self._loaded.popitem(last=False)
            return self._loaded[name]


def open_gallery(models: list[str] | None, load: Callable[[Path], Stylizer]) -> Gallery:
    """Find the models, run each on the bundled picture, and offer those that work.

    None stands for every shipped style. One model at a time is in memory. A model named by itself must
    work; one that was found in a folder and does not is logged and left out.

    Raises UserError if a named model is missing or broken, or none is left.
    """
    found = dict(_find(models))
    sample = resize_longer_side(decode_picture(SAMPLE).pixels, _PREVIEW)
    styles: dict[str, Style] = {}
    named_models = list(zip(unique_names(list(found)), found.items(), strict=True))
    for name, (path, named) in tqdm(named_models, desc="previews", unit="style", disable=None, delay=1):
        try:
            style = _preview(name, path, sample, load(path))
        except UserError as error:
            if named:
                raise
            log.warning("left out %s", one_line(error))
            continue
        styles[style.name] = style
    if not styles:
        raise UserError("no model works; name others with --model, or train one: fast-nst train --help")
    return Gallery(list(styles.values()), load)


def _find(models: list[str] | None) -> Iterator[tuple[Path, bool]]:
    """Model files, and whether each was named by itself."""
    if models is None:
        if not list_models():
            raise UserError("no styles ship with this install; name a model with --model")
        shipped = list_models().values()  # the fast ones first: the webcam wants them
        yield from ((path, True) for path in sorted(shipped, key=lambda path: "-fast" not in path.stem))
        return
    for name in models:
        folder = Path(name)
        if not folder.is_dir() or (folder / "model.onnx").is_file():
            yield resolve_model(name), True
            continue
        inside = sorted([*folder.glob("*.onnx"), *folder.glob("*/model.onnx")])
        if not inside:
            raise UserError(f"--model {folder} is a folder without ONNX files or runs")
        yield from ((path, False) for path in inside)


def _preview(name: str, path: Path, sample: np.ndarray, stylizer: Stylizer) -> Style:
    said = (stylizer.metadata.get(key, "") for key in ("attribution", "license"))
    return Style(
        name=name,
        path=path,
        preview=picture_bytes(stylizer(sample), "jpg", quality=85),
        attribution=", ".join(text for text in said if text and text != "unspecified"),
    )
