"""Artefact scores: each fault, drawn or built into a real network, raises its own score and no other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper
from torch import nn

from fast_nst.arguments import ExportOptions
from fast_nst.evaluation.artefacts import (
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
from fast_nst.evaluation.quality import builtin_pictures
from fast_nst.networks.transform import TransformConfig, TransformNetwork
from fast_nst.runtime.stylizer import Stylizer
from fast_nst.shipped import list_models
from fast_nst.twins.export import export_file

Stylize = Callable[[np.ndarray], np.ndarray]
ROWS, COLUMNS = np.mgrid[:256, :256]


@pytest.fixture(scope="module")
def painted() -> np.ndarray:
    """A sky painted with strokes but without faults: float [256, 256, 3]."""
    inside = sky(*SKIES[0], seed=0)[INSET:-INSET, INSET:-INSET]
    strokes = Stylizer("gallery:the_scream")(np.ascontiguousarray(inside)).astype(np.float64)
    cell = strokes.reshape(32, 8, 32, 8, 3).mean((0, 2))
    return strokes - np.tile(cell - cell.mean((0, 1)), (32, 32, 1))  # with no pattern of its own


def stylizer(model: onnx.ModelProto) -> Stylizer:
    return Stylizer(model.SerializeToString())


def shipped() -> onnx.ModelProto:
    return onnx.load(list_models()["strokes"])


def zero_padded() -> onnx.ModelProto:
    """Convolutions that see black beyond the border."""
    model = shipped()
    pads = [node for node in model.graph.node if node.op_type == "Pad"]
    modes = [attribute for node in pads for attribute in node.attribute if attribute.name == "mode"]
    for mode in modes:
        if mode.s == b"reflect":
            mode.s = b"constant"
    return model


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of one style that paints skies without a weave."""
    path, _ = export_file(
        "gallery", ExportOptions(tmp_path_factory.mktemp("clean") / "one.onnx", style="the_scream")
    )
    return path


def uneven_shuffle(file: Path) -> onnx.ModelProto:
    """A pixel shuffle whose phases differ, their weights off by 30 %: the checkerboard of deconvolutions."""
    model = onnx.load(file)
    (shuffle,) = (node for node in model.graph.node if node.op_type == "DepthToSpace")
    (head,) = (node for node in model.graph.node if shuffle.input[0] in node.output)
    (weight,) = (item for item in model.graph.initializer if item.name == head.input[1])
    values = numpy_helper.to_array(weight)
    off = 1 + 0.3 * np.random.default_rng(0).standard_normal((values.shape[0], 1, 1, 1))
    weight.CopyFrom(numpy_helper.from_array((values * off).astype(np.float32), weight.name))
    return model


def stylize(network: nn.Module) -> Stylize:
    def run(pixels: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            batch = torch.from_numpy(pixels.astype(np.float32) / 255).permute(2, 0, 1)[None]
            return (network(batch)[0].permute(1, 2, 0) * 255).round().numpy()

    return run


def test_the_unchanged_picture_has_none() -> None:
    scores = artefacts(np.copy, builtin_pictures()[:1])
    assert (scores.border_ratio, scores.frame) == (1, 0)
    assert scores.lattice < 0.2
    assert scores.lattice_share < 0.01
    assert scores.blobs < 2
    assert scores.stripes < 0.5
    assert scores.weave < 1  # the sky's own noise


@settings(max_examples=25, deadline=None)
@given(period=st.sampled_from([2, 4, 8]), level=st.floats(2, 20), seed=st.integers(0, 99))
def test_a_lattice_is_measured_in_gray_levels_under_strokes(
    painted: np.ndarray, period: int, level: float, seed: int
) -> None:
    cell = np.random.default_rng(seed).normal(0, 1, (period, period, 1))
    cell = level * (cell - cell.mean()) / cell.std()
    woven = painted + np.tile(cell, (256 // period, 256 // period, 1))
    assert lattice(woven)[0] == pytest.approx(level, rel=0.15, abs=0.5)


@settings(deadline=None)
@given(period=st.sampled_from([3, 5, 6, 7, 11]))
def test_other_periods_are_no_lattice(painted: np.ndarray, period: int) -> None:
    wave = 10 * np.sin(2 * np.pi * ROWS / period)[..., None]
    assert lattice(painted + wave)[0] < 1.2


def test_the_share_tells_a_weave_from_a_picture(painted: np.ndarray) -> None:
    weave = 12.0 * ((ROWS + COLUMNS) % 4 == 0)[..., None]
    assert lattice(np.full((256, 256, 3), 99.0) + weave)[1] > 0.95
    assert 0.005 < lattice(painted + weave)[1] < 0.1
    assert lattice(np.full((256, 256, 3), 99.0)) == (0, 0)


def test_phases_that_differ_show_on_a_sky(clean: Path) -> None:
    whole = sky(*SKIES[1], seed=1)
    good, bad = (lattice(stylizer(model)(whole))[0] for model in (onnx.load(clean), uneven_shuffle(clean)))
    assert good < 1
    assert bad > 2


def test_zero_padding_shows_at_the_border() -> None:
    pictures = builtin_pictures()[:1]
    middle = (slice(INSET, -INSET), slice(INSET, -INSET))
    good, bad = (
        [(run(np.ascontiguousarray(picture[middle])), run(picture)[middle]) for picture in pictures]
        for run in (stylizer(shipped()), stylizer(zero_padded()))
    )
    assert border_ratio(np.float64(bad)) > 1.3 * border_ratio(np.float64(good))


def test_a_drawn_frame_is_measured_in_gray_levels(painted: np.ndarray) -> None:
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
