"""Color spaces told by numbers (primaries and a transfer function), and the way from them to sRGB."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Literal

import numpy as np

Transfer = float | Literal["srgb", "pq", "hlg"]

_D65, _C = (0.3127, 0.3290), (0.310, 0.316)
_BT709 = (0.640, 0.330, 0.300, 0.600, 0.150, 0.060, *_D65)
_BT601 = (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, *_D65)
# Code points of ITU-T H.273, of which PNG, AVIF and HEIF files tell.
_PRIMARIES = {
    1: _BT709,
    2: _BT709,  # unspecified
    4: (0.67, 0.33, 0.21, 0.71, 0.14, 0.08, *_C),
    5: (0.64, 0.33, 0.29, 0.60, 0.15, 0.06, *_D65),
    6: _BT601,
    7: _BT601,
    8: (0.681, 0.319, 0.243, 0.692, 0.145, 0.049, *_C),
    9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, *_D65),
    10: (1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1 / 3, 1 / 3),
    11: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.314, 0.351),
    12: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, *_D65),
    22: (0.630, 0.340, 0.295, 0.605, 0.155, 0.077, *_D65),
}
# Those of television's cameras (1, 6, 7, 11, 12, 14, 15) are shown as sRGB is, as browsers do.
_TRANSFERS: dict[int, Transfer] = {4: 2.2, 5: 2.8, 8: 1.0, 16: "pq", 17: 2.6, 18: "hlg"}
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_WHITE = 203.0  # cd/m2 of paper white in HDR (ITU-R BT.2408)
_HLG_PEAK = 1000.0  # cd/m2 of the display that HLG is mastered for
_ROWS = 64  # at once: floats take many times the room of bytes


@dataclass(frozen=True)
class Space:
    """What the R, G and B of a picture mean."""

    primaries: tuple[float, ...] = _BT709
    """Chromaticities x and y of red, green, blue and white."""
    transfer: Transfer = "srgb"
    """From code to light: a power, or one of the curves with a name."""
    full: bool = True
    """Codes from 0 to the highest, not from 16/255 to 235/255 of it."""

    @property
    def is_srgb(self) -> bool:
        """Whether there is nothing to convert."""
        near = np.allclose(self.primaries, _BT709, atol=0.002)
        return near and self.full and self.transfer == "srgb"

    @property
    def is_hdr(self) -> bool:
        """Whether light goes beyond paper white."""
        return self.transfer in ("pq", "hlg")


ADOBE_RGB = Space((0.640, 0.330, 0.210, 0.710, 0.150, 0.060, *_D65), 563 / 256)


def h273_space(primaries: int, transfer: int, full: bool = True) -> Space:
    """The space of H.273 code points; what is unknown is taken to be that of sRGB."""
    return Space(_PRIMARIES.get(primaries, _BT709), _TRANSFERS.get(transfer, "srgb"), full)


def space_to_srgb(codes: np.ndarray, space: Space) -> np.ndarray:
    """uint8 or uint16 codes [H, W, 3] -> uint8 sRGB; HDR is tone-mapped (ITU-R BT.2390)."""
    light = _light_of_codes(space, codes.dtype.itemsize)
    matrix = _to_bt709(space.primaries)
    peak = _peak(codes, light) if space.transfer == "pq" else _HLG_PEAK
    result = np.empty(codes.shape, np.uint8)
    for top in range(0, len(codes), _ROWS):
        linear = light[codes[top : top + _ROWS]]
        if space.transfer == "hlg":  # from the scene's light to the display's (BT.2100)
            luminance = linear @ np.array([0.2627, 0.6780, 0.0593], np.float32)
            linear *= _HLG_PEAK * np.maximum(luminance, 1e-6)[..., None] ** 0.2
        if space.is_hdr:
            linear = _tone_map(linear, peak)
        indices = np.rint(np.clip(linear @ matrix.T, 0, 1) * 65535).astype(np.uint16)
        result[top : top + _ROWS] = _srgb_codes()[indices]
    return result


@lru_cache(8)
def _light_of_codes(space: Space, size: int) -> np.ndarray:
    """Linear light of every code of `size` bytes; of HDR in cd/m2, of HLG the scene's from 0 to 1."""
    values = np.linspace(0, 1, 256**size)
    if not space.full:
        values = np.clip((values * 255 - 16) / 219, 0, 1)
    if space.transfer == "pq":
        light = _pq_to_light(values)
    elif space.transfer == "hlg":
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        light = np.where(values <= 0.5, values**2 / 3, (np.exp((values - c) / a) + b) / 12)
    elif space.transfer == "srgb":
        light = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    else:
        light = values**space.transfer
    return light.astype(np.float32)


@cache
def _srgb_codes() -> np.ndarray:
    """The sRGB code, uint8, of light from 0 to 65535."""
    light = np.linspace(0, 1, 65536)
    codes = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(codes * 255).astype(np.uint8)


@lru_cache(64)
def _to_bt709(primaries: tuple[float, ...]) -> np.ndarray:
    """Matrix from linear RGB to that of sRGB, white to white (Bradford)."""
    ours, theirs = _to_xyz(_BT709), _to_xyz(primaries)
    cones = (_BRADFORD @ matrix.sum(axis=1) for matrix in (ours, theirs))
    adapt = np.linalg.inv(_BRADFORD) @ np.diag(np.divide(*cones)) @ _BRADFORD
    return (np.linalg.inv(ours) @ adapt @ theirs).astype(np.float32)


def _to_xyz(primaries: tuple[float, ...]) -> np.ndarray:
    """Raises LinAlgError where the three colors span nothing."""
    xy = np.array(primaries, float).reshape(4, 2)
    xyz = np.column_stack([xy[:, 0], xy[:, 1], 1 - xy.sum(axis=1)]).T
    white = xyz[:, 3] / xy[3, 1]
    return xyz[:, :3] * np.linalg.solve(xyz[:, :3], white)


def usable(space: Space) -> bool:
    """Whether numbers from a file make a space of colors."""
    try:
        power = space.transfer if isinstance(space.transfer, float) else 1.0
        if not space.primaries[-1]:
            return False
        return bool(np.isfinite(_to_bt709(space.primaries)).all()) and 0.1 <= power <= 10
    except (np.linalg.LinAlgError, ZeroDivisionError, FloatingPointError, ValueError):
        return False


# --- HDR -----------------------------------------------------------------------------------------


def _peak(codes: np.ndarray, light: np.ndarray) -> float:
    """The brightest of the picture, less a few glints."""
    return float(light[int(np.quantile(codes.max(axis=-1), 0.9999))])


def _tone_map(light: np.ndarray, peak: float) -> np.ndarray:
    """Light in cd/m2 up to `peak` -> 0 to 1 up to paper white, by the curve of BT.2390.

    It goes by the strongest of the three, so hues stay and nothing goes beyond the display.
    """
    if peak <= _WHITE:
        return light / np.float32(_WHITE)
    top = _light_to_pq(np.array(peak))
    strongest = light.max(axis=-1, keepdims=True)
    value = np.minimum(_light_to_pq(strongest) / top, 1)
    most = _light_to_pq(np.array(_WHITE)) / top
    knee = 1.5 * most - 0.5
    t = np.clip((value - knee) / (1 - knee), 0, 1)
    bent = (
        (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * most
    )
    mapped = _pq_to_light(np.where(value < knee, value, bent) * top)
    return light * (mapped / np.maximum(strongest, 1e-6) / _WHITE).astype(np.float32)


def _pq_to_light(values: np.ndarray) -> np.ndarray:
    """cd/m2 of SMPTE ST 2084 values from 0 to 1."""
    root = np.power(values, 1 / 78.84375)
    return 10_000 * (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125)


def _light_to_pq(light: np.ndarray) -> np.ndarray:
    power = np.power(np.maximum(light, 0) / 10_000, 0.1593017578125)
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375
