"""Where the files that ship with fast_nst lie: loss network, styles, cards, a picture to try them on."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent
SAMPLE = _PACKAGE / "assets" / "chelsea.jpg"


def checkpoints_dir() -> Path:
    """The folder of shipped weights: inside the installed package, or at the top of a clone."""
    installed = _PACKAGE / "checkpoints"
    return installed if installed.is_dir() else _PACKAGE.parent / "checkpoints"


def list_models() -> dict[str, Path]:
    """The shipped networks, name -> ONNX file, sorted by name."""
    paths = (checkpoints_dir() / "styles").glob("*.onnx")
    return {path.stem: path for path in sorted(paths, key=lambda path: path.stem)}
