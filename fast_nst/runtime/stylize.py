"""The batch job behind `fast-nst stylize`: many pictures, one model; a bad one stops nothing."""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image
from tqdm import tqdm

from fast_nst.errors import UserError, one_line
from fast_nst.pictures import (
    Picture,
    UnreadablePicture,
    UnsuitableFormat,
    writable_format,
)
from fast_nst.runtime.anysize import AnySizeStylizer
from fast_nst.runtime.jobs import Job, plan_jobs
from fast_nst.runtime.models import resolve_model
from fast_nst.runtime.streams import PictureOnDisk, read_picture, write_picture
from fast_nst.runtime.stylizer import OutOfMemory, RunFailed, Stylizer

_DECODED_AHEAD = 2  # hides the decoding behind the network, and bounds the memory


@dataclass
class StylizeOptions:
    """How pictures are stylized and where the results go."""

    model: str
    """ONNX file, run folder, or name of a shipped style (see `fast-nst models`)."""
    output: Path = Path("stylized")
    """Folder of the results, or the result's file when there is one input picture."""
    size: int | None = None
    """Longer side in pixels each picture is resized to first, and its result has. Smaller: bolder
    strokes, less memory. Default: the picture's own size."""
    strength: float = 1.0
    """From 0 (the picture as it was) to 1 (the style in full)."""
    preserve_color: bool = False
    """Keep the picture's own colors; take only light and dark from the style."""
    format: str | None = None
    """jpg, png, webp, tiff, bmp or avif. Default: as the input, png if that cannot be."""
    quality: int = 95
    """From 1 to 100, for jpg, webp and avif."""
    threads: int | None = None
    """CPU threads. Default: one per core."""
    providers: str | None = None
    """What to run on, best first, with commas between: cpu, cuda, tensorrt, coreml, directml, openvino.
    Default: cuda if this onnxruntime has it, else cpu."""
    overwrite: bool = True
    """Write over results that exist already; false keeps them and makes only the missing ones."""
    max_pixels: int | None = None
    """Skip pictures of more pixels than this. Default: 179 million."""
    tile: int | Literal["auto"] = "auto"
    """Side in pixels of the tiles that larger pictures are run in; auto: in tiles only what needs more than
    --memory, of a side that suits the model."""
    memory: float | None = None
    """GiB that running a picture whole may take. Default: half of what is available."""

    def __post_init__(self) -> None:
        self.output = Path(self.output)
        for name in ("size", "threads", "max_pixels"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"--{name.replace('_', '-')} must be at least 1, not {value}")
        if self.memory is not None and not self.memory > 0.0:
            raise UserError(f"--memory must be above 0, not {self.memory}")
        if not 0.0 <= self.strength <= 1.0:
            raise UserError(f"--strength must be between 0 and 1, not {self.strength}")
        if not 1 <= self.quality <= 100:
            raise UserError(f"--quality must be between 1 and 100, not {self.quality}")
        if self.format is not None:
            try:
                writable_format(self.format)
            except UserError as error:
                raise UserError(f"--format: {error}") from None


@dataclass
class Report:
    """What became of the pictures, in the order of the inputs."""

    written: list[Path] = field(default_factory=list)
    """Result files."""
    skipped: list[tuple[Path, str]] = field(default_factory=list)
    """Inputs without a result, and why."""
    kept: list[Path] = field(default_factory=list)
    """Results that existed and were left alone (`overwrite` is false)."""


def stylize_files(inputs: list[str], options: StylizeOptions) -> Report:
    """Stylize files, folders (all pictures below) and glob patterns (`**` too) into the output.

    A single folder or pattern keeps its tree below the output; several folders each go below
    their own name. Pictures that cannot be read or do not fit into memory are skipped and reported.

    Raises UserError before any work for inputs that do not exist, an output that cannot be written
    or that would overwrite an input, a bad model; later only when writing fails.
    """
    jobs = plan_jobs(inputs, options.output, options.format)
    model = resolve_model(options.model)
    to_file = jobs[0].target == options.output
    _check_writable(options.output.parent if to_file else options.output)
    report = Report()
    if not options.overwrite:
        report.kept = [job.target for job in jobs if job.target.exists()]
        jobs = [job for job in jobs if not job.target.exists()]
    providers = options.providers.split(",") if options.providers is not None else None
    memory = None if options.memory is None else options.memory * 2**30
    stylizer = AnySizeStylizer(
        Stylizer(model, threads=options.threads, providers=providers), options.tile, memory
    )
    # disable=None: no bar unless stderr is a terminal
    with tqdm(total=len(jobs), unit="picture", disable=None, delay=1) as bar:
        on_disk = stylizer.in_tiles if options.size is None else lambda height, width: False
        for job, decoded in _decode_ahead(jobs, on_disk, options.max_pixels):
            try:
                _stylize_one(stylizer, decoded.result(), job.target, options)
                report.written.append(job.target)
            except (UnreadablePicture, UnsuitableFormat, RunFailed, MemoryError) as error:
                report.skipped.append((job.source, _skip_reason(error)))
            except UserError as error:
                raise UserError(f"{error}; stopped, {_count(report)} written before") from error
            bar.update()
    return report


def _stylize_one(
    stylizer: AnySizeStylizer, picture: Picture | PictureOnDisk, target: Path, options: StylizeOptions
) -> None:
    pixels = _resize(picture.pixels, options.size) if isinstance(picture, Picture) else picture.pixels
    result = stylizer(pixels, strength=options.strength, preserve_color=options.preserve_color)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {target.parent}: {error.strerror}") from error
    write_picture(target, result, quality=options.quality, exif=picture.exif)


def _resize(pixels: np.ndarray, size: int | None) -> np.ndarray:
    """uint8 [H, W, 3] -> [h, w, 3] with max(h, w) == size."""
    height, width = pixels.shape[:2]
    if size is None or max(height, width) == size:
        return pixels
    scale = size / max(height, width)
    resized = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.array(Image.fromarray(pixels).resize(resized, Image.Resampling.LANCZOS))


def _decode_ahead(
    jobs: list[Job], on_disk: Callable[[int, int], bool], max_pixels: int | None
) -> Iterator[tuple[Job, Future[Picture | PictureOnDisk]]]:
    """Each job with its picture, decoded on a thread while earlier ones are worked on."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        waiting: deque[tuple[Job, Future[Picture | PictureOnDisk]]] = deque()
        rest = iter(jobs)
        try:
            while True:
                for job in islice(rest, _DECODED_AHEAD + 1 - len(waiting)):
                    waiting.append((job, pool.submit(read_picture, job.source, on_disk, max_pixels)))
                if not waiting:
                    return
                yield waiting.popleft()
        finally:
            pool.shutdown(cancel_futures=True)


def _check_writable(folder: Path) -> None:
    """Find out by doing it, before the model is loaded, whether files can be made in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = error.strerror or one_line(error)
        raise UserError(f"--output: cannot write into {folder}: {reason}") from error


def _skip_reason(error: Exception) -> str:
    if isinstance(error, OutOfMemory | MemoryError):
        return f"{str(error) or 'not enough memory'}; try --tile 512 or a smaller --size"
    return error.reason if isinstance(error, UnreadablePicture) else str(error)


def _count(report: Report) -> str:
    count = len(report.written)
    return "1 picture" if count == 1 else f"{count} pictures"
