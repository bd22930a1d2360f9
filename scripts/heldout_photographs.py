"""Write the photographs that come with scikit-image and are never trained on into a folder, as PNG."""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

from fast_nst.data.builtin import heldout_photographs


def main(folder: Path) -> None:
    """Write chelsea.png and coffee.png."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, pixels in heldout_photographs():
        Image.fromarray(pixels).save(folder / f"{name}.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    main(parser.parse_args().folder)
