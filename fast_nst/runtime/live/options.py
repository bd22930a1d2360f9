"""What `fast-nst live` can be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fast_nst.errors import UserError


@dataclass
class LiveOptions:
    """Which camera, in which style, and where to."""

    model: str
    """ONNX file, run folder, name of a shipped model or style (see `fast-nst models`), or hf://OWNER/NAME."""
    style: str | None = None
    """Of a model of many styles: a name, or a mixture such as waves:0.6,udnie:0.4."""
    camera: str | None = None
    """A camera as the system names it (/dev/video2, a number, a name), or a video file, which is played again
    and again. Default: the system's first camera."""
    virtual_camera: bool | str = False
    """Be a camera for other programs; a name chooses which of those that pyvirtualcam finds. Without it raw
    frames go to stdout, in RGB of 8 bits (ffplay: -f rawvideo -pixel_format rgb24)."""
    size: int | Literal["auto"] = "auto"
    """Longer side in pixels the network sees; auto: as large as keeps up with the camera, from 256 to 1280.
    What comes out has the camera's size."""
    strength: float = 1.0
    """From 0 (the camera's picture) to 1 (the style in full)."""
    threads: int | None = None
    """CPU threads. Default: one per core."""
    providers: str | None = None
    """What to run on, best first, with commas between: cpu, cuda, tensorrt, coreml, directml, openvino.
    Default: cuda if this onnxruntime has it, else cpu."""

    def __post_init__(self) -> None:
        for name in ("size", "threads"):
            value = getattr(self, name)
            if isinstance(value, int) and value < 1:
                raise UserError(f"--{name} must be at least 1, not {value}")
        if not 0.0 <= self.strength <= 1.0:
            raise UserError(f"--strength must be between 0 and 1, not {self.strength}")
