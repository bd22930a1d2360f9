"""The README's picture: a style, two of scikit-image's photographs (CC0), and both stylized.

python scripts/make_before_after.py --model strokes --output docs/pictures/before-after.jpg
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from fast_nst import Stylizer
from fast_nst.data.builtin import heldout_photographs
from fast_nst.pictures import encode_picture
from fast_nst.training.styles import style_path

HEIGHT = 300  # of each row


def scaled(pixels: np.ndarray, height: int) -> np.ndarray:
    """uint8 [H, W, 3] to the given height."""
    picture = Image.fromarray(pixels)
    width = round(picture.width * height / picture.height)
    return np.asarray(picture.resize((width, height), Image.Resampling.LANCZOS))


def main() -> None:
    """Photographs above, stylized below, the style picture to the left of both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="strokes", help="a shipped style or an ONNX file")
    parser.add_argument("--style", default="strokes", help="its style picture")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()

    stylizer = Stylizer(options.model)
    photographs = [pixels for _, pixels in heldout_photographs()]
    before = np.concatenate([scaled(pixels, HEIGHT) for pixels in photographs], axis=1)
    after = np.concatenate([scaled(stylizer(pixels), HEIGHT) for pixels in photographs], axis=1)
    style = scaled(np.asarray(Image.open(style_path(options.style)).convert("RGB")), HEIGHT)
    left = np.full((2 * HEIGHT, style.shape[1], 3), 255, np.uint8)
    left[HEIGHT // 2 : HEIGHT // 2 + HEIGHT] = style
    gap = np.full((2 * HEIGHT, 12, 3), 255, np.uint8)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    encode_picture(
        options.output, np.concatenate([left, gap, np.concatenate([before, after])], 1), quality=88
    )


if __name__ == "__main__":
    main()
