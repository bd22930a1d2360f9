"""Decoded frames to upright RGB pixels, and RGB pixels to frames for an encoder, in the source's color."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from fast_nst.runtime.clips import Clip, Color

if TYPE_CHECKING:
    from av import VideoFrame

# Code points of ITU-T H.273, as files and libav have them.
UNSPECIFIED = 2
BT709, BT601 = 1, 6
FULL, LIMITED = 2, 1
# H.273 matrix -> swscale's number for it.
_MATRICES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9}
# swscale's: Lanczos or bicubic | accurate rounding | full chroma interpolation and input.
_LANCZOS, _BICUBIC, _EXACT = 0x200, 0x4, 0x40000 | 0x2000 | 0x4000
# libav's decoders that do not say where chroma samples lie. Players then take them to lie on the left
# luma sample, swscale between two.
_SILENT_ON_CHROMA = ("vp8", "libvpx", "vp9", "libvpx-vp9", "av1", "libdav1d", "libaom-av1", "ffv1")


def color_of(frame: VideoFrame) -> Color:
    """The color of a decoded frame; what is not said is taken as players take it.

    The matrix is then BT.709 for high definition and BT.601 else, the range limited. RGB frames get
    what they are best stored in.
    """
    matrix, tagged = frame.colorspace, frame.colorspace
    full = frame.color_range == FULL or frame.format.name.startswith("yuvj")
    color_range = FULL if full else frame.color_range
    if matrix not in _MATRICES:
        matrix = _usual_matrix(frame.width, frame.height)
        # An RGB frame's tag cannot stay, nor that of a matrix which cannot be written (YCgCo, ICtCp).
        tagged = UNSPECIFIED if tagged == UNSPECIFIED and not frame.format.is_rgb else matrix
    if frame.format.is_rgb or frame.format.has_palette:
        full, color_range = False, LIMITED
    return Color(matrix, full, (tagged, color_range, frame.color_primaries, frame.color_trc))


def color_for_size(color: Color, width: int, height: int) -> Color:
    """The matrix said aloud where players would take another at this size."""
    if color.tags[0] == UNSPECIFIED and _usual_matrix(width, height) != color.matrix:
        return replace(color, tags=(color.matrix, *color.tags[1:]))
    return color


def picture_color(width: int, height: int) -> Color:
    """The color for a clip made of sRGB pictures."""
    matrix = _usual_matrix(width, height)
    return Color(matrix, False, (matrix, LIMITED, UNSPECIFIED, UNSPECIFIED))


def to_pixels(frame: VideoFrame, width: int, height: int, turn: Turn, codec: str = "") -> np.ndarray:
    """A decoded frame as upright uint8 RGB [height, width, 3], alpha over white.

    `width` and `height` are those of the result, after the turn; `codec` is the name of libav's decoder.
    """
    color = color_of(frame)
    if codec in _SILENT_ON_CHROMA and not frame.format.is_rgb:
        frame = _left_sited(frame)
    has_alpha = any(part.is_alpha for part in frame.format.components)
    size = (height, width) if turn.swaps else (width, height)
    method = _BICUBIC if size == (frame.width, frame.height) else _LANCZOS
    rgb = frame.reformat(
        *size,
        format="rgba" if has_alpha else "rgb24",
        src_colorspace=None if frame.format.is_rgb else _MATRICES[color.matrix],
        src_color_range=None if frame.format.is_rgb else (FULL if color.full else LIMITED),
        interpolation=method | _EXACT,
    )
    pixels = rgb.to_ndarray()
    if has_alpha:
        pixels = _over_white(pixels)
    return turn.apply(pixels)


def to_frame(pixels: np.ndarray, clip: Clip, pixel_format: str) -> VideoFrame:
    """uint8 RGB [H, W, 3] as a frame of the clip's color; `pixel_format` is libav's name."""
    from av import VideoFrame

    frame = _left_sited(VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24"))
    color_range = FULL if clip.color.full else LIMITED
    frame = frame.reformat(
        format=pixel_format,
        dst_colorspace=_MATRICES[clip.color.matrix],
        dst_color_range=color_range,
        interpolation=_BICUBIC | _EXACT,
    )
    frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc = clip.color.tags
    return frame


@dataclass(frozen=True)
class Turn:
    """One of the eight ways a picture is turned and mirrored upright."""

    swaps: bool = False
    """Rows become columns, before the flips."""
    flips_rows: bool = False
    flips_columns: bool = False

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """[H, W, 3] turned, in memory of its own."""
        if self.swaps:
            pixels = pixels.transpose(1, 0, 2)
        pixels = pixels[:: -1 if self.flips_rows else 1, :: -1 if self.flips_columns else 1]
        return np.ascontiguousarray(pixels)


def turn_of(frame: VideoFrame) -> Turn:
    """What a frame's display matrix asks for, to the nearest quarter turn."""
    data: Any = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return Turn()
    # Row vectors: (x, y) of the stored frame is shown at (a x + c y, b x + d y).
    a, b, _, c, d = np.frombuffer(data, np.int32)[:5].tolist()
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Turn(swaps=True, flips_rows=b < 0, flips_columns=c < 0)
    return Turn(swaps=False, flips_rows=d < 0, flips_columns=a < 0)


def _left_sited(frame: VideoFrame) -> VideoFrame:
    """The frame with its chroma samples said to lie on the left luma samples, as players take it.

    swscale places chroma by what a frame says, and PyAV has a filter for it but no attribute.
    """
    from av.filter import Graph

    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 1000)
    )
    graph.link_nodes(source, graph.add("setparams", "chroma_location=left"), graph.add("buffersink"))
    graph.configure()
    graph.vpush(frame)
    return graph.vpull()


def _usual_matrix(width: int, height: int) -> int:
    return BT709 if width >= 1280 or height > 576 else BT601


def _over_white(pixels: np.ndarray) -> np.ndarray:
    """uint8 RGBA [H, W, 4] -> uint8 RGB [H, W, 3]."""
    alpha = pixels[..., 3:].astype(np.uint16)
    if alpha.min() == 255:
        return pixels[..., :3]
    mixed = pixels[..., :3] * alpha + 255 * (255 - alpha)
    return ((mixed + 127) // 255).astype(np.uint8)
