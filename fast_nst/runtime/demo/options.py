"""What `fast-nst demo` can be told."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from fast_nst.errors import UserError
from fast_nst.lists import comma_separated

_HOST_NAME = re.compile(r"[\w-]+(\.[\w-]+)*", re.ASCII)  # no scheme, no port


@dataclass
class DemoOptions:
    """Which styles the page offers, and where it is served."""

    model: str | None = None
    """Shipped styles, ONNX files, run folders or folders of these, or hf://OWNER/NAME, with commas between.
    Default: every style that ships."""
    host: str = "127.0.0.1"
    """Address to listen on. 0.0.0.0 lets in everyone on the network."""
    port: int = 8770
    """Port to listen on; 0 takes any free one. The address is printed."""
    allow_host: str | None = None
    """Names under which a proxy in front of it shows the page, with commas between."""
    static: Path | None = None
    """Write the page into this folder instead, for any static host: the browser runs the network itself.
    Without --model it offers the shipped file of many styles."""
    runtime: Path | None = None
    """For --static: an unpacked onnxruntime-web. Default: npm fetches it."""
    open: bool = True
    """Open a browser tab when started on a terminal; --no-open does not."""
    max_pixels: int = 6_000_000
    """Larger pictures are reduced to this many pixels. About 0.2 GB of memory per million in the styles that
    ship. With --static 3 million at most."""
    threads: int | None = None
    """CPU threads. Default: one per core."""
    providers: str | None = None
    """What to run on, best first, with commas between: cpu, cuda, tensorrt, coreml, directml, openvino.
    Default: cuda if this onnxruntime has it, else cpu."""

    def __post_init__(self) -> None:
        if self.model is not None and not all(self.models or [""]):
            raise UserError(f"--model {self.model!r} has an empty name in it")
        for name in ("threads", "max_pixels"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"--{name.replace('_', '-')} must be at least 1, not {value}")
        if self.runtime is not None and self.static is None:
            raise UserError("--runtime goes with --static alone")
        for name in self.allowed:
            if not _HOST_NAME.fullmatch(name):
                raise UserError(f"--allow-host takes a name such as demo.example.org, not {name!r}")
        if not 0 <= self.port <= 65535:
            raise UserError(f"--port must be between 0 and 65535, not {self.port}")

    @property
    def allowed(self) -> frozenset[str]:
        """The names in `allow_host`."""
        return frozenset(name.lower() for name in comma_separated(self.allow_host))

    @property
    def models(self) -> list[str] | None:
        """The names in `model`; None for every style that ships."""
        return None if self.model is None else comma_separated(self.model)
