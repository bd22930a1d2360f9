"""Tiled against untiled runs of one picture: time, and how far the results differ.

python scripts/measure_tiles.py photo.jpg --model strokes --side 2048 --tile 512
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from PIL import Image

from fast_nst import Stylizer
from fast_nst.runtime.tiled.stylizer import TiledStylizer


def seconds(run: Callable[[], object]) -> tuple[float, float]:
    """Wall and processor time of one call."""
    wall, processor = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - wall, time.process_time() - processor


def main() -> None:
    """Print one line per comparison; runs alternate, the fastest of three counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture")
    parser.add_argument("--model", default="strokes")
    parser.add_argument("--side", type=int, default=2048, help="the longer side is resized to this")
    parser.add_argument("--tile", type=int, help="default: what fast-nst would take")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    image = Image.open(options.picture).convert("RGB")
    scale = options.side / max(image.size)
    pixels = np.asarray(image.resize([round(side * scale) for side in image.size], Image.Resampling.LANCZOS))
    whole = Stylizer(options.model, threads=options.threads, providers=["cpu"])
    tiled = TiledStylizer(whole, options.tile)
    times = [(seconds(lambda: whole(pixels)), seconds(lambda: tiled(pixels))) for _ in range(3)]
    for kind, name in enumerate(("wall clock", "processor")):
        untiled, in_tiles = (min(run[side][kind] for run in times) for side in (0, 1))
        print(f"{name}: {untiled:.1f} s untiled, {in_tiles:.1f} s in tiles, {in_tiles / untiled:.2f} times")
    difference = np.abs(whole(pixels).astype(int) - tiled(pixels))
    share = (difference == 0).mean()
    print(
        f"{pixels.shape[1]}x{pixels.shape[0]}, tiles of {tiled.tile}: largest difference {difference.max()}"
    )
    print(f"gray level, {share:.2%} of the values equal")


if __name__ == "__main__":
    main()
