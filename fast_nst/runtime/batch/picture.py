"""One picture through a style into a file, still or animated."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from fast_nst.errors import UserError
from fast_nst.pictures import Picture, resize_longer_side
from fast_nst.runtime.batch.jobs import Job
from fast_nst.runtime.batch.streams import PictureOnDisk, read_picture, write_picture
from fast_nst.runtime.scratch import Raster
from fast_nst.runtime.tiled.anysize import AnySizeStylizer
from fast_nst.runtime.video.animation import Animation, Frame, holds_animation, write_animation

if TYPE_CHECKING:
    from fast_nst.runtime.batch.options import StylizeOptions

logger = logging.getLogger("fast_nst")

Opened = Picture | PictureOnDisk | Animation
_DECODED_AHEAD = 2  # hides the decoding behind the network, and bounds the memory


def decode(job: Job, stylizer: AnySizeStylizer, options: StylizeOptions) -> Opened:
    """The picture of a job. Raises as streams.read_picture does."""
    on_disk = stylizer.in_tiles if options.size is None else lambda height, width: False
    return read_picture(job.source, on_disk, options.max_pixels, options.alpha)


def decode_ahead(
    jobs: list[Job], stylizer: AnySizeStylizer, options: StylizeOptions
) -> Iterator[tuple[Job, Future[Opened]]]:
    """Each job with its picture, decoded on a thread while earlier ones are worked on."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        waiting: deque[tuple[Job, Future[Opened]]] = deque()
        rest = iter(jobs)
        try:
            while True:
                for job in islice(rest, _DECODED_AHEAD + 1 - len(waiting)):
                    waiting.append((job, pool.submit(decode, job, stylizer, options)))
                if not waiting:
                    return
                yield waiting.popleft()
        finally:
            pool.shutdown(cancel_futures=True)


def stylize_picture(
    stylizer: AnySizeStylizer, picture: Opened, target: Path, options: StylizeOptions
) -> tuple[int, int]:
    """Stylize what streams.read_picture gave into the file `target`; its folder is made.

    Returns width and height of the result.

    Raises RunFailed as a stylizer does, UnsuitableFormat and UserError as encode_picture does; for an
    animation UnreadablePicture.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {target.parent}: {error.strerror}") from error
    if isinstance(picture, Animation):
        if holds_animation(target.suffix):
            return write_animation(
                target, picture, lambda frame: _frame(stylizer, frame, options), options.quality
            )
        logger.warning("%s: only the first of the %d frames of its source is taken", target, picture.count)
        picture = picture.first()
    pixels: Raster = picture.pixels
    if isinstance(picture, Picture):
        pixels = resize_longer_side(picture.pixels, options.size)
    result = stylizer(pixels, strength=options.strength, preserve_color=options.preserve_color)
    opacity = None if picture.opacity is None else resize_longer_side(picture.opacity, options.size)
    more = {"exif": picture.exif, "opacity": opacity, "resolution": picture.resolution}
    write_picture(target, result, quality=options.quality, **more)  # type: ignore[arg-type]
    return result.shape[1], result.shape[0]


def _frame(stylizer: AnySizeStylizer, frame: Frame, options: StylizeOptions) -> Picture:
    pixels = resize_longer_side(frame.pixels, options.size)
    result = stylizer(pixels, strength=options.strength, preserve_color=options.preserve_color)
    opacity = None if frame.opacity is None else resize_longer_side(frame.opacity, options.size)
    return Picture(result[:, :], None, "", opacity)
