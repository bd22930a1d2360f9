"""Pictures in and out: one decoder and one encoder for training and for the runtime.

Whatever a file holds (EXIF orientation, alpha, palette, color space, CMYK, 16 bits per channel),
what comes out is uint8 RGB [H, W, 3] in sRGB, the way a viewer would show it on a white page.
"""

from fast_nst.pictures.alpha import KEEP, ground_color
from fast_nst.pictures.codec import (
    Picture,
    UnsuitableFormat,
    decode_picture,
    encode_picture,
    picture_bytes,
    resize_longer_side,
)
from fast_nst.pictures.formats import (
    KEEPS_ALPHA,
    PICTURE_SUFFIXES,
    WRITABLE,
    files_below,
    find_pictures,
    is_picture_name,
    kinds_unread,
    looks_like_picture,
    picture_suffix,
    writable_format,
)
from fast_nst.pictures.metadata import Resolution, read_exif, read_resolution
from fast_nst.pictures.opening import TooManyPixels, UnreadablePicture, open_picture

__all__ = [
    "KEEP",
    "KEEPS_ALPHA",
    "PICTURE_SUFFIXES",
    "WRITABLE",
    "Picture",
    "Resolution",
    "TooManyPixels",
    "UnreadablePicture",
    "UnsuitableFormat",
    "decode_picture",
    "encode_picture",
    "files_below",
    "find_pictures",
    "ground_color",
    "is_picture_name",
    "kinds_unread",
    "looks_like_picture",
    "open_picture",
    "picture_bytes",
    "picture_suffix",
    "read_exif",
    "read_resolution",
    "resize_longer_side",
    "writable_format",
]
