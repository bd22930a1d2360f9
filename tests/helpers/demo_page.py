"""What a person does at the demo's page."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fast_nst.data.builtin.noise import smooth


def pixels_of(page: Any, *names: str) -> list[np.ndarray]:
    """The pixels of canvases and video elements at one moment, uint8 [H, W, 3] each."""
    found = page.evaluate(
        """(names) => names.map((name) => {
            const source = document.getElementById(name);
            const width = source.videoWidth ?? source.width, height = source.videoHeight ?? source.height;
            const pen = new OffscreenCanvas(width, height).getContext("2d");
            pen.drawImage(source, 0, 0);
            const bytes = Array.from(pen.getImageData(0, 0, width, height).data);
            return [width, height, btoa(bytes.map((value) => String.fromCharCode(value)).join(""))];
        })""",
        names,
    )
    flat = [np.frombuffer(base64.b64decode(text), np.uint8) for _, _, text in found]
    return [
        values.reshape(h, w, 4)[..., :3].astype(int) for values, (w, h, _) in zip(flat, found, strict=True)
    ]


def picture(path: Path, height: int = 60, width: int = 90, **options: Any) -> Path:
    rng = np.random.default_rng(1)
    waves = np.stack([smooth(rng, height, width, 4) for _ in range(3)], axis=-1)
    pixels = np.clip(128 + 50 * waves, 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return path


def choose(page: Any, path: Path) -> None:
    """Give the page a picture and wait until it is painted."""
    page.set_input_files("#picture-file", path)
    page.wait_for_selector("#frame:not(.unpainted)[aria-busy=false]")


def download(page: Any, button: str) -> Path:
    with page.expect_download() as happening:
        page.click(button)
    path = Path(happening.value.path())
    return path.rename(path.with_name(happening.value.suggested_filename))
