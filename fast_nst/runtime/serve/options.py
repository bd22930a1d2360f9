"""What `fast-nst serve` can be told."""

from __future__ import annotations

from dataclasses import dataclass

from fast_nst.errors import UserError
from fast_nst.machine.limits import usable_cores


@dataclass
class ServeOptions:
    """Where the service listens, what it serves and what it refuses."""

    model: str | None = None
    """ONNX files, run folders, names of shipped styles or hf://OWNER/NAME, with commas between; the first is
    the default for requests that name none. Default: every style that ships."""
    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 for every network the machine is on."""
    port: int = 8000
    """TCP port; 0 takes a free one. The address chosen is printed."""
    threads: int | None = None
    """CPU threads of the network. Default: one per core."""
    providers: str | None = None
    """What to run on, best first, with commas between: cpu, cuda, tensorrt, coreml, directml, openvino.
    Default: cuda if this onnxruntime has it, else cpu."""
    queue: int = 32
    """Requests for a picture at a time; the next one is told to come back later (429)."""
    max_bytes: int = 16 * 2**20
    """Bytes of a request's body."""
    max_pixels: int = 25_000_000
    """Pixels of a picture sent, by its header."""
    max_size: int = 2048
    """Longer side in pixels of a picture in front of the network, and the largest `size` of a request."""
    timeout: float = 60.0
    """Seconds from a request's last byte to its result."""
    upload_timeout: float = 30.0
    """Seconds for a request's body to arrive."""
    cors_origin: str | None = None
    """Origins whose web pages may call the service, with commas between; * for any. Default: none."""

    def __post_init__(self) -> None:
        for name in ("queue", "max_bytes", "max_pixels", "max_size"):
            _check(name, getattr(self, name) >= 1, "must be at least 1", getattr(self, name))
        if self.threads is not None:
            _check("threads", self.threads >= 1, "must be at least 1", self.threads)
        for name in ("timeout", "upload_timeout"):
            _check(name, 0 < getattr(self, name) < 1e6, "must be above 0", getattr(self, name))
        _check("port", 0 <= self.port <= 65535, "must be between 0 and 65535", self.port)

    @property
    def workers(self) -> int:
        """Threads, each with a picture: one in the network, others decode and encode."""
        return min(4, usable_cores())


def _check(name: str, holds: bool, rule: str, value: object) -> None:
    if not holds:
        raise UserError(f"--{name.replace('_', '-')} {rule}, not {value}")
