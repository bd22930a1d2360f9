"""TIFF files that Pillow has no mode for (float RGB, gray of 16 bits with alpha), through libvips."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from PIL import Image, ImageFile, TiffImagePlugin

logger = logging.getLogger("fast_nst")

_BITS, _PHOTOMETRIC, _FORMAT, _PROFILE = 258, 262, 339, 34675
_BIG = 43  # in place of 42: a BigTIFF, whose numbers are twice as long
_FORMATS = {1: "", 2: "signed ", 3: "float "}
_COLORS = {0: "gray", 1: "gray", 2: "RGB", 5: "CMYK", 6: "YCbCr", 8: "Lab"}
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


class UnreadTiff(Exception):
    """A kind of TIFF that is not read, and what helps."""


class DeepTiff(ImageFile.ImageFile):
    """As Pillow's other files: the header first, the pixels, of 8 bits, when they are loaded.

    Raises UnreadTiff for a kind that libvips does not read, or where it is missing.
    """

    format = "TIFF"
    format_description = "TIFF image of wide samples"

    def _open(self) -> None:
        assert self.fp is not None
        self._decoded = False
        head = self.fp.read(8)
        if _BIG in head[2:4]:
            head += self.fp.read(8)
        tags = TiffImagePlugin.ImageFileDirectory_v2(head)
        self.fp.seek(tags.next)
        tags.load(self.fp)
        bits = tags.get(_BITS, (1,))[0]
        kind = _FORMATS.get(tags.get(_FORMAT, (1,))[0], "")
        self._what = f"{bits}-bit {kind}{_COLORS.get(tags.get(_PHOTOMETRIC, -1), 'color')}"
        vips = import_vips()
        if vips is None:
            raise UnreadTiff(
                f"a TIFF of {self._what}: pip install 'fast-nst[huge]' to read it, or convert it"
            )
        self.fp.seek(0)
        data = self.fp.read()
        try:
            self._vips = vips.Image.new_from_buffer(data, "")
        except vips.Error as error:
            raise UnreadTiff(f"a TIFF of {self._what} is not read; convert it") from error
        self._size = (self._vips.width, self._vips.height)
        if self._vips.interpretation in ("lab", "labs"):
            self._vips = self._vips.colourspace("srgb")
        bands = self._vips.bands
        if self._vips.interpretation == "cmyk" or bands not in _MODES:
            raise UnreadTiff(f"a TIFF of {self._what} with {bands} samples a pixel is not read; convert it")
        self._mode = _MODES[bands]
        self._profile = tags.get(_PROFILE)

    def load(self) -> Any:
        """Decode to sRGB of 8 bits, by the range of the samples' kind, floats by 0 to 1."""
        if not self._decoded:
            self._decoded = True
            self.im = Image.fromarray(self._decode()).im
        return Image.Image.load(self)

    def _decode(self) -> np.ndarray:
        values = self._vips.numpy()
        if values.dtype.kind == "f":
            name = getattr(self.fp, "name", "the picture")
            logger.warning("%s: %s, read as 0 (black) to 1 (white), what is beyond clipped", name, self._what)
            values = np.clip(np.nan_to_num(values.astype(np.float32)), 0, 1)
        else:
            kind = np.iinfo(values.dtype)
            values = (values.astype(np.float32) - kind.min) / (float(kind.max) - kind.min)
        values = values.reshape(self.height, self.width, -1)
        if self._profile:
            values = self._through_profile(values)
        values = np.rint(values * 255).astype(np.uint8)
        return values[..., 0] if self.mode == "L" else values

    def _through_profile(self, values: np.ndarray) -> np.ndarray:
        """By libvips, for Pillow converts 8 bits only and floats are often linear light."""
        vips, colors = import_vips(), values.shape[2] - 1 + values.shape[2] % 2
        pixels = vips.Image.new_from_array(np.rint(values[..., :colors] * 65535).astype(np.uint16))
        pixels = pixels.copy(interpretation="rgb16" if colors == 3 else "gray16")
        pixels.set_type(vips.GValue.blob_type, "icc-profile-data", self._profile)
        try:
            more = {"embedded": True, "intent": "relative", "black_point_compensation": True, "depth": 16}
            converted = pixels.icc_transform("srgb", **more).numpy().astype(np.float32) / 65535
        except vips.Error:
            return values  # a profile for another mode, or garbage
        if colors == 1:
            converted = converted.reshape(self.height, self.width, -1)[..., :1]
        return np.concatenate([converted[..., :colors], values[..., colors:]], axis=2)


def import_vips() -> Any:
    """pyvips, or None where it is not installed."""
    try:
        import pyvips
    except (ImportError, OSError):  # OSError: the binding is there, the library is not
        return None
    logging.getLogger("pyvips").setLevel(logging.ERROR)  # what is wrong with a file is told by us
    return pyvips
