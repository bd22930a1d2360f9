"""What ships trained keeps the promises made for it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fast_nst.builtin import heldout_photographs
from fast_nst.networks.transform import load_transform
from fast_nst.runtime.models import checkpoints_dir, list_models
from fast_nst.runtime.stylizer import Stylizer

STYLES = list_models()


def test_a_style_and_a_base_ship() -> None:
    assert "strokes" in STYLES
    network, header = load_transform(checkpoints_dir() / "base.safetensors")
    assert network.config.width == 16
    assert header["license"]


@pytest.mark.parametrize("path", STYLES.values(), ids=STYLES)
def test_every_style_says_where_it_comes_from(path: Path) -> None:
    metadata = Stylizer(path).metadata
    for key in ("style", "license", "attribution", "loss_network_sha256", "style_sha256", "config"):
        assert metadata[key], key
    assert metadata["license"] != "unspecified"
    assert json.loads(metadata["parity"])["worst_grey_levels"] <= 1


def lattice_peak(picture: np.ndarray) -> float:
    """Energy at the periods 2 and 4 of the network's strides, over that of the frequencies around them."""
    grey = picture.astype(np.float32).mean(2)[64:192, 64:192]
    window = np.hanning(128)
    power = np.abs(np.fft.fft2((grey - grey.mean()) * window[:, None] * window)) ** 2
    peaks = []
    for period in (2, 4):
        k = 128 // period
        for row, column in ((k, 0), (0, k), (k, k)):
            around = power[np.ix_(*(np.arange(x - 6, x + 7) % 128 for x in (row, column)))]
            own = around[5:8, 5:8].max()
            peaks.append(own / np.median(around))
    return float(max(peaks))


@pytest.mark.parametrize("path", STYLES.values(), ids=STYLES)
def test_no_checkerboard_on_a_quiet_picture(path: Path) -> None:
    """Strokes are wanted; a peak exactly at the strides of the network is its own pattern.

    Not on a flat color: reflection padding and instance norm keep a constant constant in any network.
    """
    stylizer = Stylizer(path)
    rng = np.random.default_rng(0)
    ramp = np.linspace(60, 190, 256)[:, None, None] + rng.normal(0, 2, (256, 256, 3))
    painted = stylizer(ramp.round().astype(np.uint8))
    assert lattice_peak(painted) < 60
    rows, columns = np.mgrid[:256, :256]
    woven = painted + 12.0 * ((rows + columns) % 4 == 0)[..., None]
    assert lattice_peak(woven) > 200  # a weave would be seen


@pytest.mark.parametrize("path", STYLES.values(), ids=STYLES)
def test_no_frame_around_the_picture(path: Path) -> None:
    """The border's mean color differs from the inside's no more than a few grey levels."""
    stylizer = Stylizer(path)
    for _, pixels in heldout_photographs():
        result = stylizer(pixels).astype(np.float32)
        edge = np.concatenate([result[:3].reshape(-1, 3), result[-3:].reshape(-1, 3)])
        near = np.concatenate([result[6:12].reshape(-1, 3), result[-12:-6].reshape(-1, 3)])
        assert np.abs(edge.mean(0) - near.mean(0)).max() < 20


@pytest.mark.parametrize("path", STYLES.values(), ids=STYLES)
def test_a_style_is_no_color_filter(path: Path) -> None:
    """Pixels of one color come out in many: it paints strokes."""
    stylizer = Stylizer(path)
    for _, pixels in heldout_photographs():
        result = stylizer(pixels)
        grey = pixels.mean(2).round().astype(int)
        level = np.bincount(grey.ravel()).argmax()
        assert result[grey == level].mean(1).std() > 10
