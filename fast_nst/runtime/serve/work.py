"""What is done to one picture around the network, on worker threads: bytes to pixels and back."""

from __future__ import annotations

import numpy as np
from PIL import Image

from fast_nst.pictures import (
    WRITABLE,
    Picture,
    TooManyPixels,
    UnreadablePicture,
    UnsuitableFormat,
    decode_picture,
    picture_bytes,
    resize_longer_side,
)
from fast_nst.runtime.serve.errors import Refused

_MAX_JPEG_SCANS = 500  # a photograph has about ten; each costs a pass over all pixels


def decode_upload(data: bytes, size: int | None, max_pixels: int, max_size: int) -> Picture:
    """The picture sent, resized to `size` on its longer side: uint8 RGB [H, W, 3].

    Raises Refused: 413 for more than `max_pixels` or, without a `size`, a side above `max_size`;
    422 for anything that does not decode.
    """
    if data.startswith(b"\xff\xd8") and data.count(b"\xff\xda") > _MAX_JPEG_SCANS:
        raise Refused(422, f"the picture has more than {_MAX_JPEG_SCANS} progressive scans")
    try:
        picture = decode_picture(data, max_pixels=max_pixels)
    except TooManyPixels:
        raise Refused(413, f"the picture has more than {max_pixels} pixels") from None
    except UnreadablePicture as error:
        raise Refused(422, f"the picture cannot be read: {error.reason}") from None
    height, width = picture.pixels.shape[:2]
    if size is None and max(height, width) > max_size:
        raise Refused(
            413,
            f"the picture is {width}x{height}; this service paints up to {max_size} pixels on the longer "
            f"side: give size={max_size} or less",
        )
    return Picture(resize_longer_side(picture.pixels, size), picture.exif, picture.format)


def encode_result(
    pixels: np.ndarray, format: str | None, source_format: str, quality: int, exif: bytes | None
) -> tuple[bytes, str]:
    """The picture's file and its media type; in `source_format` (Pillow's name), else png, for None.

    Raises Refused (422) when the format cannot hold the picture.
    """
    format = format or _suffix(source_format)
    try:
        data = picture_bytes(pixels, format, quality=quality, exif=exif)
    except UnsuitableFormat as error:
        raise Refused(422, str(error)) from None
    return data, media_type(format)


def media_type(format: str) -> str:
    """ "jpg" -> "image/jpeg"."""
    return Image.MIME[WRITABLE[f".{format}"]]


def formats() -> list[str]:
    """The names of formats this Pillow can write."""
    Image.init()
    return [suffix[1:] for suffix, kind in WRITABLE.items() if kind in Image.SAVE]


def _suffix(source_format: str) -> str:
    kind = "JPEG" if source_format == "MPO" else source_format
    return next((name for name in formats() if WRITABLE[f".{name}"] == kind), "png")
