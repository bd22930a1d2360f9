"""HEIC and HEIF pictures, and AVIF in HDR, through the decoders of libav that ship with PyAV."""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from PIL import ExifTags, Image, ImageFile

from fast_nst.pictures.boxes import ItemFile, nclx, nclx_of, read_items
from fast_nst.pictures.h273 import BICUBIC, EXACT, FULL, HLG, LIMITED, MATRICES, PQ

if TYPE_CHECKING:
    from av import VideoFrame

_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1", b"MiHE")
# Kind of item -> libav's decoder, and the property that it needs.
_CODECS = {b"hvc1": ("hevc", b"hvcC"), b"av01": ("libdav1d", b"av1C"), b"avc1": ("h264", b"avcC")}
_UNSPECIFIED = 2
_ALPHA = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1")


class Uncommon(Exception):
    """A kind of HEIF that is not read here; pillow-heif may."""


def looks_like_heif(prefix: bytes) -> bool:
    """Whether these first bytes of a file, 12 or more, are those of a HEIC or HEIF picture."""
    return prefix[4:8] == b"ftyp" and prefix[8:12] in _BRANDS


def is_hdr_avif(stream: IO[bytes]) -> bool:
    """Whether it is an AVIF still of which Pillow would drop the lower bits of its HDR."""
    stream.seek(0)
    found = nclx_of(stream) if stream.read(12)[4:] == b"ftypavif" else None
    return found is not None and found[1] in (PQ, HLG)


class HeifPicture(ImageFile.ImageFile):
    """As Pillow's other files: the header first, the pixels when they are loaded.

    Raises Uncommon for a file of a kind that is not read here.
    """

    format = "HEIF"
    format_description = "HEIF image"

    def _open(self) -> None:
        assert self.fp is not None
        self._decoded = False
        self._stream: IO[bytes] = self.fp
        found = self._found = read_items(self.fp)
        item = found.items[found.primary]
        self._check(found.primary, 0)
        self._turns = [
            (kind, content) for kind, content in item.properties if kind in (b"irot", b"imir", b"clap")
        ]
        self._color = nclx(found, found.primary)
        width, height = self._size_of(found.primary)
        for kind, content in self._turns:
            if kind == b"clap":
                left, top, right, bottom = _crop(content, width, height)
                width, height = right - left, bottom - top
            elif kind == b"irot" and content[0] & 1:
                width, height = height, width
        self._size = (width, height)
        self._opacity = self._find_opacity()
        self._mode = "RGB" if self._opacity is None else "RGBA"
        parts = (found.primary, *found.referred(b"dimg", found.primary)[:1])
        said = [
            content for part in parts for kind, content in found.items[part].properties if kind == b"colr"
        ]
        if icc := next((content[4:] for content in said if content[:4] in (b"prof", b"rICC")), None):
            self.info["icc_profile"] = icc
        with suppress(Exception):  # broken metadata must not cost the user the picture
            self._read_exif()

    def _find_opacity(self) -> int | None:
        for one in self._found.referring(b"auxl", self._found.primary):
            kind = (self._found.items[one].get(b"auxC") or b"")[4:].split(b"\0")[0]
            if kind in _ALPHA:
                self._check(one, 0)
                return one
        return None

    def _read_exif(self) -> None:
        for one in self._found.referring(b"cdsc", self._found.primary):
            if self._found.items[one].kind == b"Exif":
                data = self._found.read(self._stream, one)
                start = 4 + struct.unpack_from(">I", data)[0]
                exif = Image.Exif()
                exif.load(b"Exif\0\0" + data[start:])
                exif.pop(ExifTags.Base.Orientation, None)  # the file's own properties tell
                self.info["exif"] = exif.tobytes()

    def load(self) -> Any:
        """Decode, at 8 bits."""
        if not self._decoded:
            self._decoded = True
            pixels = self.samples("rgb24")
            self.im = Image.fromarray(pixels).im
        return Image.Image.load(self)

    def samples(self, pixel_format: str) -> np.ndarray:
        """The pixels [H, W, 3 or 4], by libav's name rgb24 (uint8) or rgb48le (uint16)."""
        pixels = self._decode(self._found.primary, pixel_format)
        if self._opacity is not None:
            opacity = self._decode(self._opacity, pixel_format)[..., :1]
            if opacity.shape[:2] != pixels.shape[:2]:
                size = (pixels.shape[1], pixels.shape[0])
                opacity = np.asarray(Image.fromarray(opacity[..., 0]).resize(size))[..., None]
            if self._found.referred(b"prem", self._found.primary):
                most = np.iinfo(pixels.dtype).max
                divided = pixels.astype(np.float32) * most / np.maximum(opacity, 1)
                pixels = np.minimum(divided, most).astype(pixels.dtype)
            pixels = np.concatenate([pixels, opacity], axis=2)
        for kind, content in self._turns:
            if kind == b"clap":
                left, top, right, bottom = _crop(content, pixels.shape[1], pixels.shape[0])
                pixels = pixels[top:bottom, left:right]
            elif kind == b"irot":
                pixels = np.rot90(pixels, content[0] & 3)
            else:
                pixels = pixels[:, ::-1] if content[0] & 1 else pixels[::-1]
        return np.ascontiguousarray(pixels)

    def _size_of(self, item: int) -> tuple[int, int]:
        size = self._found.items[item].get(b"ispe")
        if size is None:
            raise SyntaxError("a picture without a size")
        return struct.unpack_from(">II", size, 4)

    def _check(self, item: int, depth: int) -> None:
        """Raise Uncommon where an item, or one that it is made of, is not read here."""
        kind = self._found.items[item].kind
        parts = self._found.referred(b"dimg", item)
        if kind in (b"grid", b"iden") and parts and depth < 3:
            for part in parts:
                self._check(part, depth + 1)
        elif kind not in _CODECS:
            raise Uncommon(f"it holds {kind.decode('latin-1')!r}")

    def _decode(self, item: int, pixel_format: str) -> np.ndarray:
        found = self._found
        kind, parts = found.items[item].kind, found.referred(b"dimg", item)
        if kind == b"iden":
            return self._decode(parts[0], pixel_format)
        if kind == b"grid":
            return self._decode_grid(item, parts, pixel_format)
        width, height = self._size_of(item)
        frame = _decode_frame(found, self._stream, item, width, height)
        matrix, full = (
            self._color[2:] if self._color is not None else (frame.colorspace, _is_full(frame, kind))
        )
        return _to_array(frame, matrix, full, pixel_format)[:height, :width]

    def _decode_grid(self, item: int, parts: list[int], pixel_format: str) -> np.ndarray:
        data = self._found.read(self._stream, item)
        rows, columns = data[2] + 1, data[3] + 1
        width, height = struct.unpack_from(">II" if data[1] & 1 else ">HH", data, 4)
        if len(parts) != rows * columns or (width, height) != self._size_of(item):
            raise SyntaxError("its tiles do not fit")
        pixels = None
        for index, part in enumerate(parts):
            tile = self._decode(part, pixel_format)
            if pixels is None:
                pixels = np.zeros((height, width, 3), tile.dtype)
            top, left = index // columns * tile.shape[0], index % columns * tile.shape[1]
            room = pixels[top : top + tile.shape[0], left : left + tile.shape[1]]
            room[:] = tile[: room.shape[0], : room.shape[1]]
        assert pixels is not None
        return pixels


def _decode_frame(found: ItemFile, stream: Any, item: int, width: int, height: int) -> VideoFrame:
    import av

    name, needs = _CODECS[found.items[item].kind]
    context: Any = av.CodecContext.create(name, "r")
    context.extradata = found.items[item].get(needs)
    context.options = {"max_pixels": str((width + 128) * (height + 128))}  # what the stream itself claims
    try:
        frames = [*context.decode(av.Packet(found.read(stream, item))), *context.decode(None)]
    except av.FFmpegError as error:
        raise SyntaxError(f"a damaged {name} picture") from error
    if not frames or frames[0].width < width or frames[0].height < height:
        raise SyntaxError("image file is truncated")
    return frames[0]


def _is_full(frame: VideoFrame, kind: bytes) -> bool:
    """The range by the stream's word, else as MIAF (ISO/IEC 23000-22) has it: full.

    Of an HEVC stream that says nothing libav says limited, so that only counts beside another signal.
    """
    said = (frame.colorspace, frame.color_primaries, frame.color_trc)
    silent = kind == b"hvc1" and said == (_UNSPECIFIED,) * 3
    return silent or frame.color_range != LIMITED


def _to_array(frame: VideoFrame, matrix: int, full: bool, pixel_format: str) -> np.ndarray:
    """RGB; by the matrix of BT.601, as MIAF has it, where none that is known is said."""
    rgb = frame.format.is_rgb
    converted = frame.reformat(
        format=pixel_format,
        src_colorspace=None if rgb else MATRICES.get(matrix, 5),
        src_color_range=None if rgb else (FULL if full else LIMITED),
        dst_color_range=None if rgb else FULL,
        interpolation=BICUBIC | EXACT,
    )
    return converted.to_ndarray()


def _crop(content: bytes, width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a clean aperture."""
    numbers = struct.unpack_from(">IIIIiIiI", content)
    wide, high, across, down = (numbers[i] / (numbers[i + 1] or 1) for i in (0, 2, 4, 6))
    left, top = round(across + (width - wide) / 2), round(down + (height - high) / 2)
    left, top = max(0, left), max(0, top)
    right, bottom = min(width, left + round(wide)), min(height, top + round(high))
    if right <= left or bottom <= top:
        raise SyntaxError("nothing is left of it")
    return left, top, right, bottom
