"""Decoded frames to upright RGB pixels, and RGB pixels to frames for an encoder, in the source's color."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from fast_nst.pictures.alpha import bleed, ground_color, over
from fast_nst.pictures.h273 import BICUBIC, EXACT, FULL, HLG, LANCZOS, LIMITED, MATRICES, PQ
from fast_nst.pictures.spaces import Space, h273_space, space_to_srgb
from fast_nst.runtime.video.clips import Clip, Color, Wanted
from fast_nst.runtime.video.filters import Chain

if TYPE_CHECKING:
    from av import VideoFrame

# Code points of ITU-T H.273, as files and libav have them.
UNSPECIFIED = 2
BT709, BT601 = 1, 6
BT2020 = 9
# Players take chroma samples to lie on the left luma samples where nothing is said, swscale between two.
_LEFT = [("setparams", "chroma_location=left")]
# libav's decoders that do not say where chroma samples lie.
_SILENT_ON_CHROMA = ("vp8", "libvpx", "vp9", "libvpx-vp9", "av1", "libdav1d", "libaom-av1", "ffv1")


def color_of(frame: VideoFrame) -> Color:
    """The color of a decoded frame; what is not said is taken as players take it.

    The matrix is then BT.709 for high definition and BT.601 else, the range limited. RGB frames get
    what they are best stored in.
    """
    matrix, tagged = frame.colorspace, frame.colorspace
    full = frame.color_range == FULL or frame.format.name.startswith("yuvj")
    color_range = FULL if full else frame.color_range
    if matrix not in MATRICES:
        wide = frame.format.is_rgb and frame.color_primaries == BT2020
        matrix = BT2020 if wide else _usual_matrix(frame.width, frame.height)
        # An RGB frame's tag cannot stay, nor that of a matrix which cannot be written (YCgCo, ICtCp).
        tagged = UNSPECIFIED if tagged == UNSPECIFIED and not frame.format.is_rgb else matrix
    if frame.format.is_rgb or frame.format.has_palette:
        full, color_range = False, LIMITED
    return Color(matrix, full, (tagged, color_range, frame.color_primaries, frame.color_trc))


# Of a clip whose HDR was tone-mapped.
MAPPED = Color(BT709, False, (BT709, LIMITED, BT709, BT709))


def is_hdr(frame: VideoFrame) -> bool:
    """Whether a frame's values are those of PQ or HLG."""
    return frame.color_trc in (PQ, HLG)


def has_alpha(frame: VideoFrame) -> bool:
    """Whether a frame has an alpha channel, be all of it opaque or not, or colors of a palette that have."""
    if frame.format.has_palette:
        used = np.unique(frame.to_ndarray()[0])
        return bool((np.frombuffer(bytes(frame.planes[1]), np.uint8).reshape(-1, 4)[used, 3] < 255).any())
    return any(part.is_alpha for part in frame.format.components)


def side_data(frame: VideoFrame, name: str) -> Any:
    """What came with a frame under PyAV's name, None if nothing did."""
    try:
        return frame.side_data.get(name)
    except ValueError:  # of a kind that PyAV does not know
        return None


def color_for_size(color: Color, width: int, height: int) -> Color:
    """The matrix said aloud where players would take another at this size."""
    if color.tags[0] == UNSPECIFIED and _usual_matrix(width, height) != color.matrix:
        return replace(color, tags=(color.matrix, *color.tags[1:]))
    return color


def picture_color(width: int, height: int) -> Color:
    """The color for a clip made of sRGB pictures."""
    matrix = _usual_matrix(width, height)
    return Color(matrix, False, (matrix, LIMITED, UNSPECIFIED, UNSPECIFIED))


class PixelReader:
    """Decoded frames to upright uint8 RGB of one size, in libav's threads.

    `width` and `height` are those of the result, after the turn; `codec` is the name of libav's decoder.
    HDR comes tone-mapped, other SDR in sRGB where `wanted` asks for it.
    """

    def __init__(self, width: int, height: int, turn: Turn, codec: str, wanted: Wanted) -> None:
        from av.video.reformatter import VideoReformatter

        self._size = (height, width) if turn.swaps else (width, height)
        self._turn, self._codec, self._wanted = turn, codec, wanted
        self._ground = ground_color(wanted.alpha)
        self._sited, self._mapped = Chain(lambda _: _LEFT), Chain(self._tone_map)
        self._planes, self._packed = VideoReformatter(), VideoReformatter()

    def read(self, frame: VideoFrame) -> tuple[np.ndarray, np.ndarray | None, VideoFrame]:
        """RGB [H, W, 3]; opacity [H, W] where it is kept and something is transparent; libav's RGB frame."""
        if self._codec in _SILENT_ON_CHROMA and not frame.format.is_rgb:
            (frame,) = self._sited.push(frame)
        if is_hdr(frame) and self._wanted.tone_map:
            (rgb,) = self._mapped.push(frame)
            pixels = rgb.to_ndarray()
        elif self._wanted.srgb and not (space := h273_space(frame.color_primaries, frame.color_trc)).is_srgb:
            rgb = self._to_rgb(frame, "16le")
            pixels = _to_srgb(rgb.to_ndarray(), space)
        else:
            rgb = self._to_rgb(frame)
            pixels = rgb.to_ndarray()
        opacity = None
        if pixels.shape[2] == 4:
            pixels, opacity = self._on_ground(pixels)
        turned = self._turn.apply(pixels)
        return turned, None if opacity is None else self._turn.apply(opacity), rgb

    def _to_rgb(self, frame: VideoFrame, depth: str = "") -> VideoFrame:
        color, alpha = color_of(frame), has_alpha(frame)
        interpolation = self._method(frame) | EXACT
        packed = {"": ("rgb24", "rgba"), "16le": ("rgb48le", "rgba64le")}[depth][alpha]
        if frame.format.is_rgb:
            return self._planes.reformat(frame, *self._size, format=packed, interpolation=interpolation)
        # swscale is three times as fast by way of planes, and gives the same values.
        planes = self._planes.reformat(
            frame,
            *self._size,
            format=("gbrap" if alpha else "gbrp") + depth,
            src_colorspace=MATRICES[color.matrix],
            src_color_range=FULL if color.full else LIMITED,
            interpolation=interpolation,
        )
        return self._packed.reformat(planes, format=packed)

    def _tone_map(self, frame: VideoFrame) -> list[tuple[str, str]]:
        color = color_of(frame)
        said = f"colorspace={color.matrix}:range={'full' if color.full else 'limited'}"
        if frame.format.is_rgb:
            said = "colorspace=gbr:range=full"
        if frame.color_primaries == UNSPECIFIED:
            said += f":color_primaries={BT2020}"
        scale = f"{self._size[0]}:{self._size[1]}:flags={self._method(frame) | EXACT}"
        scale += f":out_primaries={BT709}:out_transfer={BT709}:intent=perceptual"
        return [("setparams", said), ("scale", scale), ("format", "rgba" if has_alpha(frame) else "rgb24")]

    def _method(self, frame: VideoFrame) -> int:
        return BICUBIC if self._size == (frame.width, frame.height) else LANCZOS

    def _on_ground(self, rgba: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        if rgba[..., 3].min() == 255:
            return rgba[..., :3], None
        picture = Image.fromarray(rgba[..., :3])
        opacity = Image.fromarray(rgba[..., 3])
        if self._ground is not None:
            return np.asarray(over(picture, opacity, self._ground)), None
        return np.asarray(bleed(picture, opacity)), rgba[..., 3]


class FrameMaker:
    """Upright RGB pixels to frames of a clip's color for an encoder; `pixel_format` is libav's name."""

    def __init__(self, clip: Clip, pixel_format: str) -> None:
        from av import VideoFrame
        from av.video.reformatter import VideoReformatter

        self._clip, self._format = clip, pixel_format
        self._reformatter = VideoReformatter()
        # Written over again and again: the encoder gets what is made from it.
        frame = VideoFrame(clip.width, clip.height, "rgba" if clip.opacity else "rgb24")
        (self._rgb,) = Chain(lambda _: _LEFT).push(frame)

    def make(self, pixels: np.ndarray, opacity: np.ndarray | None, captions: VideoFrame | None) -> VideoFrame:
        """uint8 RGB [H, W, 3] as a frame; with the closed captions of another frame, if there is one."""
        from av import VideoFrame

        rgb = self._rgb
        if captions is not None:  # they can only come along with a frame
            (rgb,) = Chain(lambda _: _LEFT).push(captions.reformat(rgb.width, rgb.height, rgb.format.name))
        values = rgb.to_ndarray()
        values[..., :3] = pixels
        if self._clip.opacity:
            values[..., 3] = 255 if opacity is None else opacity
        if self._format == rgb.format.name:
            return VideoFrame.from_ndarray(values, format=self._format)
        frame = self._reformatter.reformat(
            rgb,
            format=self._format,
            dst_colorspace=MATRICES[self._clip.color.matrix],
            dst_color_range=FULL if self._clip.color.full else LIMITED,
            interpolation=BICUBIC | EXACT,
        )
        tags = self._clip.color.tags
        frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc = tags
        return frame


@dataclass(frozen=True)
class Turn:
    """One of the eight ways a picture is turned and mirrored upright."""

    swaps: bool = False
    """Rows become columns, before the flips."""
    flips_rows: bool = False
    flips_columns: bool = False

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """[H, W] or [H, W, 3] turned; contiguous."""
        if self.swaps:
            pixels = pixels.swapaxes(0, 1)
        pixels = pixels[:: -1 if self.flips_rows else 1, :: -1 if self.flips_columns else 1]
        return np.ascontiguousarray(pixels)


def turn_of(frame: VideoFrame) -> Turn:
    """What a frame's display matrix asks for, to the nearest quarter turn."""
    data = side_data(frame, "DISPLAYMATRIX")
    if data is None:
        return Turn()
    # Row vectors: (x, y) of the stored frame is shown at (a x + c y, b x + d y).
    a, b, _, c, d = np.frombuffer(data, np.int32)[:5].tolist()
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Turn(swaps=True, flips_rows=b < 0, flips_columns=c < 0)
    return Turn(swaps=False, flips_rows=d < 0, flips_columns=a < 0)


def _to_srgb(samples: np.ndarray, space: Space) -> np.ndarray:
    """uint16 [H, W, 3 or 4] -> uint8, the colors in sRGB."""
    colors = space_to_srgb(samples[..., :3], space)
    return np.concatenate([colors, (samples[..., 3:] >> 8).astype(np.uint8)], axis=2)


def _usual_matrix(width: int, height: int) -> int:
    return BT709 if width >= 1280 or height > 576 else BT601
