"""Pictures of any size in bounded memory: the stages of `stages.py`, tile by tile."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import onnx
from PIL import Image
from tqdm import tqdm

from fast_nst.errors import UserError
from fast_nst.pictures import decode_picture
from fast_nst.runtime import color
from fast_nst.runtime.failures import explain_failure
from fast_nst.runtime.fold import fold_style
from fast_nst.runtime.probe import IMAGE, probe_graph, read_graph
from fast_nst.runtime.scratch import Plane, Raster, check_room
from fast_nst.runtime.stylizer import PictureLike, Stylizer, check_pixels
from fast_nst.runtime.tiled.grid import Tile, make_tiles
from fast_nst.runtime.tiled.moments import Moments
from fast_nst.runtime.tiled.stage_model import build_stage
from fast_nst.runtime.tiled.stages import Stage, peak_bytes_per_pixel, plan_stages, scratch_bytes_per_pixel

MIN_TILE = 64  # pixels
DEFAULT_MEMORY = 128 * 2**20  # bytes; larger tiles are no faster
_CHECKED_AT = (137, 170)  # pixels; odd, and several tiles both ways


class TiledStylizer:
    """A style for pictures too large to be run whole: what `stylizer` gives, within a gray level.

    Memory does not grow with the picture, but for the picture itself: the statistics of each instance norm
    are gathered over all tiles before the first tile goes on, and what waits for that lies in scratch files
    (in TMPDIR, nameless).

    The style is the one that `stylizer` has set at the call.

    `tile` is the side of a tile in pixels, at least MIN_TILE; None: such that the tensors at work take
    `memory` bytes, of which the process takes a multiple. Pictures no larger than a tile are run whole.

    Raises UserError for a model that cannot be run so: of an old opset, or with a layer other than instance
    norm that looks at the whole picture.
    """

    def __init__(self, stylizer: Stylizer, tile: int | None = None, memory: float = DEFAULT_MEMORY) -> None:
        if tile is not None and tile < MIN_TILE:
            raise UserError(f"--tile must be at least {MIN_TILE}, not {tile}")
        self._stylizer = stylizer
        self._file = read_graph(stylizer.source, stylizer.name)
        self._row = stylizer.style_rows(None)
        self._model = self._folded()
        self._tensors, self._step = probe_graph(self._model, stylizer.name, stylizer.open)
        self._stages = plan_stages(self._model.graph, self._tensors, self._step)
        self.bytes_per_pixel = peak_bytes_per_pixel(self._model.graph, self._tensors)
        """Bytes of tensors at work at once in an untiled run, per pixel of the picture."""
        self.tile = MIN_TILE
        """Side of a tile in pixels."""
        self._check()
        self.tile = tile or max(2 * MIN_TILE, math.isqrt(int(memory / self.bytes_per_pixel)))

    def __call__(
        self, image: PictureLike, *, strength: float = 1.0, preserve_color: bool = False
    ) -> PictureLike:
        """Stylize as Stylizer does; raises as it does, and UserError where scratch files find no room."""
        if isinstance(image, Image.Image):
            pixels = decode_picture(image).pixels
            return Image.fromarray(self(pixels, strength=strength, preserve_color=preserve_color))
        check_pixels(image)
        stylized = np.empty(image.shape, np.uint8)
        pairs = [(image, stylized)] if image.ndim == 3 else zip(image, stylized, strict=True)
        for source, target in pairs:
            self.run(source, target, strength=strength, preserve_color=preserve_color)
        return stylized

    def run(
        self, source: Raster, target: Raster, *, strength: float = 1.0, preserve_color: bool = False
    ) -> None:
        """Stylize `source`, uint8 RGB [H, W, 3], into `target` of the same shape; raises as a call does."""
        if not 0.0 <= strength <= 1.0:
            raise ValueError(f"strength must be between 0 and 1, not {strength}")
        if max(source.shape[:2]) <= self.tile:
            target[:, :] = self._stylizer(source[:, :], strength=strength, preserve_color=preserve_color)
            return
        height, width = source.shape[:2]
        tiles = make_tiles(height, width, self.tile, self._step)
        if strength == 0.0:
            for tile in tiles:
                target[tile.at(1)] = source[tile.at(1)]
            return
        for tile, stylized in self._stylized_tiles(source, tiles):
            content = source[tile.at(1)]
            if preserve_color:
                stylized = color.preserve_color(content, stylized)
            if strength < 1.0:
                stylized = color.blend(content, stylized, strength)
            target[tile.at(1)] = stylized

    def _stylized_tiles(self, source: Raster, tiles: list[Tile]) -> Iterator[tuple[Tile, np.ndarray]]:
        """Every tile with its result, uint8 [h, w, 3]."""
        per_pixel = scratch_bytes_per_pixel(self._stages, self._tensors)
        check_room(per_pixel * source.shape[0] * source.shape[1])
        if not np.array_equal(row := self._stylizer.style_rows(None), self._row):
            self._row = row
            self._model = self._folded()
        rasters: dict[str, Raster] = {IMAGE: source}
        statistics: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        # disable=None: no bar unless stderr is a terminal
        bar = tqdm(total=len(self._stages) * len(tiles), unit="tile", disable=None, leave=False, delay=1)
        try:
            for index, stage in enumerate(self._stages[:-1]):
                moments = Moments()
                for tile, outputs in self._run_stage(stage, tiles, rasters, statistics, bar):
                    *kept, length, means, variances = outputs
                    for name, part in zip(stage.kept, kept, strict=True):
                        self._write(rasters, name, tile, part[0])
                    moments.add(means[0, :, :, 0], variances[0, :, :, 0], length.item())
                statistics[stage.target] = moments.result()
                read_later = {name for later in self._stages[index + 1 :] for name in later.reads}
                _close(rasters, set(rasters) - read_later - {IMAGE})
            for tile, (stylized,) in self._run_stage(self._stages[-1], tiles, rasters, statistics, bar):
                yield tile, stylized[0]
        finally:
            _close(rasters, set(rasters) - {IMAGE})
            bar.close()

    def _run_stage(
        self,
        stage: Stage,
        tiles: list[Tile],
        rasters: dict[str, Raster],
        statistics: dict[str, tuple[np.ndarray, np.ndarray]],
        bar: tqdm,
    ) -> Iterator[tuple[Tile, list[np.ndarray]]]:
        """Every tile with the outputs of the stage's model."""
        session = self._stylizer.open(build_stage(self._model, stage, self._tensors, statistics))
        for tile in reversed(tiles):  # where the last one ends, tells how large the tensors are
            around = tile.grown(stage.halo)
            feeds = {f"{name}:read": self._read(rasters[name], name, around) for name in stage.reads}
            for name in stage.outputs:
                starts, ends = tile.within(around, self._tensors[name].scale)
                feeds |= {f"{name}:starts": starts, f"{name}:ends": ends}
            try:
                outputs = session.run(None, feeds)
            except Exception as error:
                shape = (1, around.rows.end - around.rows.start, around.columns.end - around.columns.start, 3)
                raise explain_failure(error, self._stylizer.name, shape) from error
            yield tile, outputs
            bar.update()

    def _read(self, raster: Raster, name: str, area: Tile) -> np.ndarray:
        """[1, h, w, C]"""
        return np.ascontiguousarray(raster[area.at(self._tensors[name].scale)])[None]

    def _write(self, rasters: dict[str, Raster], name: str, tile: Tile, part: np.ndarray) -> None:
        """Keep a tile of a tensor, [h, w, C]; the first one written must be the last of the picture."""
        rows, columns = tile.at(self._tensors[name].scale)
        if name not in rasters:
            height, width = rows.start + part.shape[0], columns.start + part.shape[1]
            rasters[name] = Plane((height, width, part.shape[2]), part.dtype)
        rasters[name][rows, columns] = part

    def _folded(self) -> onnx.ModelProto:
        """The graph for the style at hand; what is found out about one holds for all."""
        return fold_style(self._file, self._row, self._stylizer.name, self._stylizer.open)

    def _check(self) -> None:
        """Raise UserError unless a small picture in tiles comes out as in one piece."""
        height, width = _CHECKED_AT
        ramp = np.linspace(0, 200, height)[:, None, None] * np.linspace(0.2, 1, width)[:, None]
        noise = np.random.default_rng(0).integers(0, 56, (height, width, 3))
        picture = (ramp + noise).astype(np.uint8)
        whole, tiled = self._stylizer(picture), np.empty_like(picture)
        self.run(picture, tiled)
        differs = np.abs(whole.astype(int) - tiled) > 1
        if differs.mean() > 0.01:
            raise UserError(
                f"{self._stylizer.name} cannot be run in tiles: a layer other than instance norm looks at "
                "the whole picture; run it in one piece, or give a smaller --size"
            )


def _close(rasters: dict[str, Raster], names: set[str]) -> None:
    for name in names:
        raster = rasters.pop(name)
        if isinstance(raster, Plane):
            raster.close()
