"""One picture in many styles on one sheet: `fast-nst sheet`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from fast_nst.errors import UserError
from fast_nst.files import check_writable, real_path
from fast_nst.lists import comma_separated
from fast_nst.pictures import decode_picture, encode_picture, resize_longer_side, writable_format
from fast_nst.pictures.tiles import labelled, tiles
from fast_nst.runtime.models import Model, find_model, shipped_styles
from fast_nst.runtime.stylizer import Stylizer


@dataclass
class SheetOptions:
    """Which styles are shown, and how."""

    output: Path = Path("sheet.jpg")
    """The sheet's file: jpg, png, webp, tiff, bmp or avif."""
    model: str | None = None
    """Files, runs or names with commas between, all styles of each (see `fast-nst models`). Default: all that
    ship."""
    size: int = 320
    """Longer side in pixels of each picture on the sheet, if it is not smaller itself."""
    columns: int | None = None
    """Pictures beside each other. Default: about as many as rows."""
    threads: int | None = None
    """CPU threads. Default: one per core."""
    providers: str | None = None
    """What to run on, as for `fast-nst stylize`."""

    def __post_init__(self) -> None:
        for name in ("size", "columns", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"--{name} must be at least 1, not {value}")
        try:
            writable_format(self.output.suffix)
        except UserError as error:
            raise UserError(f"--output {self.output}: {error}") from None


def write_sheet(picture: Path, options: SheetOptions) -> Path:
    """Write the picture, then what becomes of it in every style, each above its name; returns the file.

    A name is one that `--model` takes; of a single file of many styles one that `--style` takes.

    Raises UnreadablePicture, UserError for a model that is none and a file that cannot be written, RunFailed
    as a Stylizer does.
    """
    if real_path(picture) == real_path(options.output):
        raise UserError(f"--output {options.output} would overwrite the picture; name another file")
    named = comma_separated(options.model)
    models = [find_model(name) for name in named] if named else shipped_styles()
    if not models:
        raise UserError("no models ship with this install: name one with --model")
    pixels = decode_picture(picture).pixels
    pixels = resize_longer_side(pixels, min(options.size, max(pixels.shape)))
    check_writable(options.output)
    names, cells = [picture.name], [pixels]
    # disable=None: no bar unless stderr is a terminal
    with tqdm(desc="styles", disable=None, delay=1) as bar:
        for model in models:
            for name, painted in _paintings(model, pixels, options, alone=len(models) == 1):
                names.append(name)
                cells.append(painted)
                bar.update()
    encode_picture(options.output, tiles(labelled(cells, names), options.columns))
    return options.output


def _paintings(
    model: Model, pixels: np.ndarray, options: SheetOptions, *, alone: bool
) -> Iterator[tuple[str, np.ndarray]]:
    """Name and picture, uint8 [H, W, 3], of every style of a file, or of the one that was asked for."""
    providers = comma_separated(options.providers) or None
    stylizer = Stylizer(model.path, model.style, threads=options.threads, providers=providers)
    if stylizer.style is not None:  # it has one, or one was asked for
        yield model.name, stylizer(pixels)
        return
    for style in stylizer.style_names:
        yield style if alone else f"{model.name}:{style}", stylizer(pixels, style=style)
