"""The exported ONNX file as everyone who writes or reads it knows it; without torch.

A file of one style maps `image` to `stylized`, both uint8 RGB [N, H, W, 3] with N, H and W free. A file of
many styles has a second input, `style_weights` float32 [1 or N, K]: what each style counts for, for all
pictures or for each; any row with a positive sum, which the graph divides by.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

IMAGE, STYLIZED, STYLE_WEIGHTS = "image", "stylized", "style_weights"
FORMAT_VERSION = "1"
OPSET = 22  # the newest that onnxruntime runs since 1.20
STYLES = "styles"  # metadata of files of many styles: a JSON list of `StyleInfo`


@dataclass(frozen=True)
class StyleInfo:
    """What a file says of one of its styles."""

    name: str
    license: str = "unspecified"
    attribution: str = ""
    picture_sha256: str = ""
    """Hash of the style picture's file."""


def styles_to_json(styles: list[StyleInfo]) -> str:
    """As the metadata holds them, in the order of the columns of `style_weights`."""
    return json.dumps([asdict(style) for style in styles])


def styles_sha256(styles: Sequence[StyleInfo]) -> str:
    """One hash of the style pictures, that of the picture itself where there is one."""
    hashes = [style.picture_sha256 for style in styles]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def read_styles(metadata: Mapping[str, str]) -> list[StyleInfo]:
    """The styles of a file by its metadata; a file of one style says so in fields of its own.

    Raises:
        ValueError: the metadata is damaged.
    """
    try:
        if STYLES in metadata:
            styles = [StyleInfo(**fields) for fields in json.loads(metadata[STYLES])]
            if not all(isinstance(text, str) for style in styles for text in vars(style).values()):
                raise ValueError("not all of it is text")
            if len({style.name for style in styles}) < len(styles):
                raise ValueError("two have one name")
            return styles
    except (TypeError, ValueError) as error:
        raise ValueError(f"the list of styles in its metadata is damaged ({error})") from error
    return [
        StyleInfo(
            metadata.get("style", "style"),
            metadata.get("license", "unspecified"),
            metadata.get("attribution", ""),
            metadata.get("style_sha256", ""),
        )
    ]
