"""Artefact scores: each fault, drawn or built into a real network, raises its own score and no other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from fast_nst.artefacts import (
    INSET,
    SKIES,
    artefacts,
    blobs,
    border_ratio,
    frame,
    highest_octave,
    lattice,
    sky,
)
from fast_nst.networks.transform import TransformConfig, TransformNetwork, load_transform
from fast_nst.quality import builtin_pictures
from fast_nst.shipped import checkpoints_dir

Stylize = Callable[[np.ndarray], np.ndarray]
ROWS, COLUMNS = np.mgrid[:256, :256]


@pytest.fixture(scope="module")
def painted() -> np.ndarray:
    """A sky painted by the base network, with strokes but without faults: float [256, 256, 3]."""
    inside = sky(*SKIES[0], seed=0)[INSET:-INSET, INSET:-INSET]
    return stylize(shipped())(np.ascontiguousarray(inside)).astype(np.float64)


def shipped() -> TransformNetwork:
    return load_transform(checkpoints_dir() / "base.safetensors")[0]


def stylize(network: nn.Module) -> Stylize:
    def run(pixels: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            batch = torch.from_numpy(pixels.astype(np.float32) / 255).permute(2, 0, 1)[None]
            return (network(batch)[0].permute(1, 2, 0) * 255).round().numpy()

    return run


def zero_padded() -> TransformNetwork:
    network = shipped()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.padding_mode = "zeros"
    return network


class Deconvolution(nn.Module):
    """What a nearest x2 and a 3x3 convolution do, as one transposed convolution, its weights off by 15 %."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        weight = convolution.weight.detach().flip(2, 3).transpose(0, 1)
        kernel = torch.zeros(*weight.shape[:2], 4, 4)
        for row in range(2):
            for column in range(2):
                kernel[:, :, row : row + 3, column : column + 3] += weight
        kernel *= 1 + 0.15 * torch.randn(kernel.shape, generator=torch.Generator().manual_seed(0))
        self.inner = nn.ConvTranspose2d(*weight.shape[:2], 4, 2, 1)
        self.inner.weight = nn.Parameter(kernel)
        self.inner.bias = convolution.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x[..., ::2, ::2])  # it undoes the nearest x2 before it


def deconvolved() -> TransformNetwork:
    network = shipped()
    for block in network.up:
        block.block[0] = Deconvolution(block.block[0])
    return network


def test_the_unchanged_picture_has_none() -> None:
    scores = artefacts(np.copy, builtin_pictures()[:1])
    assert (scores.border_ratio, scores.frame) == (1, 0)
    assert scores.lattice < 0.2
    assert scores.lattice_share < 0.01
    assert scores.blobs < 2
    assert scores.stripes < 0.5
    assert scores.weave < 1  # the sky's own noise


@settings(max_examples=25)
@given(period=st.sampled_from([2, 4, 8]), level=st.floats(2, 20), seed=st.integers(0, 99))
def test_a_lattice_is_measured_in_grey_levels_under_strokes(
    painted: np.ndarray, period: int, level: float, seed: int
) -> None:
    cell = np.random.default_rng(seed).normal(0, 1, (period, period, 1))
    cell = level * (cell - cell.mean()) / cell.std()
    woven = painted + np.tile(cell, (256 // period, 256 // period, 1))
    assert lattice(woven)[0] == pytest.approx(level, rel=0.15, abs=0.5)


@given(period=st.sampled_from([3, 5, 6, 7, 11]))
def test_other_periods_are_no_lattice(painted: np.ndarray, period: int) -> None:
    wave = 10 * np.sin(2 * np.pi * ROWS / period)[..., None]
    assert lattice(painted + wave)[0] < 1.2


def test_the_share_tells_a_weave_from_a_picture(painted: np.ndarray) -> None:
    weave = 12.0 * ((ROWS + COLUMNS) % 4 == 0)[..., None]
    assert lattice(np.full((256, 256, 3), 99.0) + weave)[1] > 0.95
    assert 0.005 < lattice(painted + weave)[1] < 0.1
    assert lattice(np.full((256, 256, 3), 99.0)) == (0, 0)


def test_deconvolution_shows_on_a_flat_color() -> None:
    flat = np.full((192, 192, 3), 128, np.uint8)
    assert lattice(stylize(shipped())(flat))[0] < 0.2
    assert lattice(stylize(deconvolved())(flat))[0] > 2


def test_zero_padding_makes_a_frame() -> None:
    whole = sky(*SKIES[0], seed=0)
    middle = (slice(INSET, -INSET), slice(INSET, -INSET))
    part = np.ascontiguousarray(whole[middle])
    good, bad = ([(run(part), run(whole)[middle])] for run in (stylize(shipped()), stylize(zero_padded())))
    assert frame(bad) > 1.3 * frame(good)
    assert border_ratio(bad) > 1.1 * border_ratio(good)


def test_a_drawn_frame_is_measured_in_grey_levels(painted: np.ndarray) -> None:
    framed = painted.copy()
    framed[:4] += 30
    assert frame([(painted, painted)]) == 0
    assert frame([(framed, painted)]) == pytest.approx(np.sqrt((1 + 2 * (4 / 256) ** 2) / 4) * 30, rel=1e-3)
    assert border_ratio([(painted, painted)]) == 1
    assert border_ratio([(framed, painted)]) > 10


def test_an_error_everywhere_is_no_frame(painted: np.ndarray) -> None:
    assert border_ratio([(painted + 9, painted)]) == pytest.approx(1)


@pytest.mark.parametrize("color", [(100, 100, 100), (-100, -100, -100), (180, -40, -120)])
def test_a_blob_stands_out_among_strokes(painted: np.ndarray, color: tuple[int, int, int]) -> None:
    assert blobs(painted) < 6
    spot = np.exp(-(np.square(ROWS - 100) + np.square(COLUMNS - 150)) / (2 * 8**2))
    assert blobs(painted + spot[..., None] * color) > 8


def test_color_stripes_are_chroma_and_strokes_are_luma(painted: np.ndarray) -> None:
    chroma, luma = highest_octave(painted)
    assert chroma < 0.5 * luma
    wave = 20 * np.cos((ROWS + COLUMNS) * 2 * np.pi / 3.3)
    striped = painted + np.stack([wave, -0.509 * wave, 0 * wave], axis=-1)  # of one luma
    found = highest_octave(striped)
    assert found[0] == pytest.approx(0.713 * 20 / np.sqrt(2), rel=0.05)
    assert found[1] == pytest.approx(luma, rel=0.05)
    slow = 20 * np.cos(ROWS * 2 * np.pi / 9)
    assert highest_octave(painted + slow[..., None]) == pytest.approx((chroma, luma), rel=0.02)


def test_random_weights_paint_color_noise() -> None:
    torch.manual_seed(0)
    inside = np.ascontiguousarray(sky(*SKIES[0], seed=0)[:160, :160])
    chroma, luma = highest_octave(stylize(TransformNetwork(TransformConfig(16, 5)))(inside))
    assert chroma > 4
    assert chroma > luma
