"""What `fast-nst stylize` is asked, and what became of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal

from fast_nst.errors import UserError
from fast_nst.pictures import KEEP, KEEPS_ALPHA, ground_color, writable_format
from fast_nst.runtime.batch.jobs import is_video_format
from fast_nst.runtime.video.options import VideoOptions


@dataclass
class StylizeOptions:
    """How pictures and videos are stylized and where the results go."""

    model: str
    """ONNX file, run folder, name of a shipped model or style (see `fast-nst models`), or hf://OWNER/NAME."""
    style: str | None = None
    """Of a model of many styles: a name, or a mixture such as waves:0.6,udnie:0.4. For videos it may change:
    waves@0,waves:0.5+udnie:0.5@5,udnie@10 (seconds; linear in between)."""
    output: str | Path = "stylized"
    """Folder of the results; the result's file when there is one input; a video's (.mp4, .mov, .mkv,
    .webm, .gif) when the inputs are its frames. With --engine ray a folder or its URL."""
    size: int | None = None
    """Longer side in pixels each picture or frame is resized to first, and its result has. Smaller:
    bolder strokes, less memory. Default: its own size."""
    strength: float = 1.0
    """From 0 (the picture as it was) to 1 (the style in full)."""
    preserve_color: bool = False
    """Keep the picture's own colors; take only light and dark from the style."""
    alpha: str = "white"
    """What is transparent: keep (formats that carry it), white, or the color it is laid over, as #rrggbb or a
    name."""
    format: str | None = None
    """Pictures: jpg, png, webp, tiff, bmp or avif; videos: mp4, mov, mkv, webm or gif, and a picture format
    for folders of their frames. Default: as the input, png or mp4 if that cannot be."""
    quality: int = 95
    """From 1 to 100, for jpg, webp, avif and videos."""
    threads: int | None = None
    """CPU threads. Default: one per core; with --engine ray one for each worker."""
    providers: str | None = None
    """What to run on, best first, with commas between: cpu, cuda, tensorrt, coreml, directml, openvino.
    Default: cuda if this onnxruntime has it, else cpu; with --engine ray cpu."""
    overwrite: bool | None = None
    """Write over results that exist already; false keeps them and makes only the missing ones. Default: true,
    with --engine ray false."""
    max_pixels: int | None = None
    """Skip pictures and videos of more pixels than this. Default: 179 million."""
    tile: int | Literal["auto"] = "auto"
    """Side in pixels of the tiles that larger pictures are run in; auto: in tiles only what needs more than
    --memory, of a side that suits the model."""
    memory: float | None = None
    """GiB that running a picture whole may take. Default: half of what is available."""
    start: float | str = 0
    """Videos: where to begin, in seconds or as hh:mm:ss.f."""
    end: float | str | None = None
    """Videos: where to stop, in seconds or as hh:mm:ss.f."""
    fps: float | str | None = None
    """Frames per second of a video made of pictures, such as 24 or 30000/1001."""
    codec: str | None = None
    """Videos: h264, vp9 or av1. Default: h264, and vp9 in webm."""
    preset: str | None = None
    """Videos: how long the encoder looks for a smaller file, from ultrafast to veryslow as x264 names it."""
    hdr: Literal["tonemap", "keep"] = "tonemap"
    """Videos in HDR (PQ, HLG): tonemap them to SDR, or keep it (formats that carry it)."""
    deinterlace: Literal["auto", "off"] = "auto"
    """Videos: auto makes interlaced frames whole, off leaves them."""
    smooth: bool = False
    """Videos: less flicker, by blending along the motion; needs OpenCV (pip install 'fast-nst[smooth]')."""
    raw: str | None = None
    """Width and height, such as 640x480, of raw frames from stdin to stdout, in RGB of 8 bits (ffmpeg:
    -f rawvideo -pix_fmt rgb24)."""
    watch: bool = False
    """Go on until stopped: pictures that appear in the input folder are stylized once they are written to the
    end. Results that exist are kept."""
    json: bool = False
    """Print a JSON object for each result: input, output, size, style, seconds, skipped, damaged."""
    engine: Literal["local", "ray"] = "local"
    """local: this process. ray: many processes or machines; inputs and output may then be URLs (s3://, gs://);
    needs Ray (pip install 'fast-nst[ray]')."""
    ray_address: str | None = None
    """Ray cluster to run on, "auto" for the one of this machine. Default: $RAY_ADDRESS, else this machine."""
    workers: int | None = None
    """Processes of --engine ray, each with the model and --threads of its own. Default: as many as there is
    room for."""

    def __post_init__(self) -> None:
        for name in ("size", "threads", "max_pixels", "workers"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"--{name.replace('_', '-')} must be at least 1, not {value}")
        if self.memory is not None and not self.memory > 0.0:
            raise UserError(f"--memory must be above 0, not {self.memory}")
        if not 0.0 <= self.strength <= 1.0:
            raise UserError(f"--strength must be between 0 and 1, not {self.strength}")
        if not 1 <= self.quality <= 100:
            raise UserError(f"--quality must be between 1 and 100, not {self.quality}")
        ground_color(self.alpha)
        if self.format is not None and not is_video_format(self.format):
            try:
                check_alpha(writable_format(self.format), self.alpha)
            except UserError as error:
                raise UserError(f"--format: {error}") from None
        self.for_videos()
        for name in ("ray_address", "workers"):
            if self.engine == "local" and getattr(self, name) is not None:
                raise UserError(f"--{name.replace('_', '-')} is for --engine ray")

    def refuse_others(self, counting: Collection[str], what: str) -> None:
        """Raise UserError for an option beside the default that is not among those `counting` for `what`."""
        for option in fields(self):
            if option.name not in counting and getattr(self, option.name) != option.default:
                raise UserError(f"--{option.name.replace('_', '-')} does not go with {what}")

    def for_videos(self) -> VideoOptions:
        """Those that count for videos. Raises UserError for a wrong one."""
        values = {field.name: getattr(self, field.name) for field in fields(VideoOptions)}
        return VideoOptions(**values | {"format": self.format or "png"})


KEPT = "it is there already"


@dataclass(frozen=True)
class Result:
    """What became of one input."""

    input: Path | str | None
    """As it was named or found, - for stdin; None of a result kept by --engine ray."""
    output: Path | str | None = None
    """The result's file or folder of frames, - for stdout; None where there is none."""
    size: tuple[int, int] | None = None
    """Width and height of the result in pixels; None where nothing was made, and with --engine ray."""
    style: str | None = None
    """As it was asked for; the name of a file's only one."""
    seconds: float | None = None
    """How long it took, less what was decoded ahead; None as `size`."""
    skipped: str | None = None
    """Why nothing was made; `KEPT` where `output` was there already."""
    damaged: str | None = None
    """What was wrong with a video of which only a part could be read."""

    def to_json(self) -> str:
        """One line; a name's bytes that are no text are escaped as \\udcXX."""
        return json.dumps(vars(self), default=str)


@dataclass
class Report:
    """What became of the inputs: the pictures in their order, then the videos in theirs."""

    written: list[Path | str] = field(default_factory=list)
    """Result files, and folders of frames; URLs where they are not of this machine."""
    skipped: list[tuple[Path | str, str]] = field(default_factory=list)
    """Inputs without a result, and folders that cannot be looked into, and why."""
    kept: list[Path | str] = field(default_factory=list)
    """Results that existed and were left alone (`overwrite` is false)."""
    damaged: list[tuple[Path | str, str]] = field(default_factory=list)
    """Videos that could be read in part only, and why; what could be is among `written`."""
    unread: Counter[str] = field(default_factory=Counter)
    """Files left out as they are of no kind that is read, by suffix."""
    told: Callable[[Result], None] = lambda result: None
    """Called with every result as it comes."""

    def add(self, result: Result) -> None:
        """Note what became of an input, and tell of it."""
        source = "" if result.input is None else result.input
        if result.output is not None:
            (self.written if result.skipped is None else self.kept).append(result.output)
        elif result.skipped is not None:
            self.skipped.append((source, result.skipped))
        if result.damaged is not None:
            self.damaged.append((source, f"{result.damaged}; {result.output} holds what could be read"))
        self.told(result)


def check_alpha(kind: str, alpha: str) -> None:
    """Refuse `--alpha keep` for a picture format that carries no transparency."""
    if alpha == KEEP and kind not in KEEPS_ALPHA:
        raise UserError(
            f"--alpha keep: {kind} carries no transparency; choose png, webp, tiff or avif, or --alpha white"
        )
