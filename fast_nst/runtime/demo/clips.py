"""Whole video files, rendered one after another on a thread while the page watches."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock
from typing import Any

import numpy as np

from fast_nst.errors import one_line
from fast_nst.runtime.demo.gallery import Gallery
from fast_nst.runtime.stylizer import Stylizer
from fast_nst.runtime.video.options import VideoOptions
from fast_nst.runtime.video.stylize import stylize_video

MAX_CLIP_BYTES = 4 * 2**30
_KEPT = 3  # finished clips, with their files
_MOST_WAITING = 8  # each has its file on this disk


class TooMany(Exception):
    """So many clips wait already that no more is taken."""


@dataclass
class Clip:
    """One rendering."""

    source: Path
    target: Path
    style: str
    strength: float
    keep_color: bool
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    state: str = "waiting"
    """waiting, rendering, done, failed or cancelled."""
    frames: int = 0
    """Frames rendered so far."""
    total: int | None = None
    """Frames in the clip, where its file tells."""
    seconds: float = 0.0
    """Since it began."""
    error: str = ""
    """Why it failed."""
    problem: str = ""
    """What was wrong with the source, though it is done."""
    cancel: Event = field(default_factory=Event)

    def status(self) -> dict[str, Any]:
        """What the page is told."""
        names = ("id", "state", "frames", "total", "seconds", "error", "problem")
        return {name: getattr(self, name) for name in names}


def render_clip(
    clip: Clip, stylizer: Stylizer, shares: np.ndarray, progress: Callable[[int, int | None], None]
) -> str:
    """Stylize the file `clip.source` into `clip.target` until `clip.cancel` is set.

    `progress` gets the frames done and their number, None where the file does not tell. Returns what
    was wrong with a source that was read in part, or "". Raises UserError for a file that is no video.
    """
    options = VideoOptions(style=shares, strength=clip.strength, preserve_color=clip.keep_color)
    report = stylize_video(
        stylizer, clip.source, clip.target, options, stop=clip.cancel.is_set, progress=progress
    )
    if report.stopped:
        report.path.unlink()
    return report.problem or ""


class Clips:
    """The renderings of one server; their files lie in `folder`, which the caller removes."""

    def __init__(self, folder: Path, gallery: Gallery) -> None:
        self.folder = folder
        self.clips: dict[str, Clip] = {}
        self._gallery = gallery
        self._turn = Lock()  # between a waiting clip's start and its cancelling
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="clip")

    def start(self, clip: Clip) -> None:
        """Render the clip after those that wait already; raises TooMany and takes its file away."""
        try:
            self.check()
        except TooMany:
            clip.source.unlink(missing_ok=True)
            raise
        ended = [old for old in self.clips.values() if old.state in ("done", "failed", "cancelled")]
        for old in ended[: max(0, len(ended) - _KEPT + 1)]:
            del self.clips[old.id]
            old.target.unlink(missing_ok=True)
        self.clips[clip.id] = clip
        self._pool.submit(self._render, clip)

    def check(self) -> None:
        """Raises TooMany when no clip more is taken."""
        waiting = sum(clip.state == "waiting" for clip in self.clips.values())
        if waiting >= _MOST_WAITING:
            raise TooMany(f"{waiting} clips wait already; cancel one or try again later")

    def cancel(self, clip: Clip) -> None:
        """One that waits ends at once, one that renders at its next frame."""
        with self._turn:
            clip.cancel.set()
            if clip.state == "waiting":
                clip.state = "cancelled"
                clip.source.unlink(missing_ok=True)

    def close(self) -> None:
        """Cancel what renders and what waits."""
        for clip in self.clips.values():
            self.cancel(clip)
        self._pool.shutdown()

    def _render(self, clip: Clip) -> None:
        started = time.monotonic()

        def progress(done: int, total: int | None) -> None:
            clip.frames, clip.total, clip.seconds = done, total, time.monotonic() - started

        try:
            with self._turn:
                if clip.cancel.is_set():
                    return
                clip.state = "rendering"
            clip.problem = render_clip(clip, *self._gallery.mix(clip.style), progress)
            clip.state = "cancelled" if clip.cancel.is_set() else "done"
        except Exception as error:  # the page shows it; nobody else looks at a pool's results
            clip.error = one_line(error).replace(str(clip.source), "the file")
            clip.state = "failed"
        finally:
            clip.source.unlink(missing_ok=True)
            if clip.state != "done":
                clip.target.unlink(missing_ok=True)
