"""What `fast-nst evaluate` is told; without torch, which stability and artefacts do not need."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from fast_nst.errors import UserError
from fast_nst.losses.config import PerceptualConfig


@dataclass
class EvaluateOptions:
    """What networks are judged on, and by what."""

    style: str | None = None
    """The style picture the networks were trained for: a file, or 'strokes'. Judges losses and sharpness."""
    content: Path | None = None
    """Folder of photographs that no network was trained on. Stability and artefacts have built-in ones."""
    pictures: Path | None = None
    """Folder of stylized pictures made by any program, to judge beside the networks: named as the photographs
    are, whatever the suffix. Smaller ones than --size are not enlarged: all is judged at their size then."""
    output: Path = Path("scorecard")
    """Folder for scorecard.json, scorecard.md and contact-sheet.jpg."""
    stability: bool = False
    """Measure how still stylized pictures stand: shifts, noise, brightness; and how sharp they are, for soft
    pictures stand still, too. Needs no style and no torch."""
    artefacts: bool = False
    """Measure checkerboard, frame, blobs and color stripes. Needs no style and no torch."""
    flow: Path | None = None
    """Folder of video sequences with .flo files (docs/quality.md), for --stability: warped error e_stab."""
    count: int = 10
    """Photographs to judge on, the first ones by name."""
    size: int = 512
    """Longer side of the photographs in pixels, for losses and sharpness."""
    style_size: int = 384
    """Shorter side of the style picture in pixels, as in training."""
    baseline: int = 100
    """Iterations of the per-image baseline, a second or more each on CPUs; 0 = leave it out."""
    sheet: int = 4
    """Photographs in the contact sheet."""
    threads: int | None = None
    """CPU threads of the networks and of the baseline. Default: one per core."""
    loss: PerceptualConfig = field(default_factory=lambda: PerceptualConfig(network="vgg16"))

    def __post_init__(self) -> None:
        self.output = Path(self.output)
        self.content = Path(self.content) if self.content is not None else None
        self.pictures = Path(self.pictures) if self.pictures is not None else None
        self.flow = Path(self.flow) if self.flow is not None else None
        for name, least in (("count", 1), ("size", 16), ("style_size", 16), ("baseline", 0), ("sheet", 0)):
            if getattr(self, name) < least:
                raise UserError(f"--{name.replace('_', '-')} must be at least {least}")
        if self.threads is not None and self.threads < 1:
            raise UserError("--threads must be at least 1")
        if self.flow is not None and not self.stability:
            raise UserError("--flow is for --stability; give both")
        if self.style is None and not (self.stability or self.artefacts):
            raise UserError("give --style to judge losses, --stability or --artefacts")
        if self.pictures is not None and self.style is None:
            raise UserError("--pictures are judged by their losses: give --style as well")
        if self.style is not None and self.content is None:
            raise UserError("--content is missing: a folder of photographs to judge the losses on")
