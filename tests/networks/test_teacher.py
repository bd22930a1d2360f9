"""The hybrid teacher: its folder, its taps, its errors; the real files where they are at hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fast_nst.errors import UserError
from fast_nst.networks.features import CONTENT_TAP, STYLE_TAPS
from fast_nst.networks.teacher import QUARTER_FILE, STEM_FILE, load_teacher
from fast_nst.networks.vgg import COMPACT_WIDTHS, VGG19_WIDTHS, build_vgg19


def write_teacher(folder: Path) -> None:
    """Both files with random weights, in the layout of the published ones."""
    torch.manual_seed(0)
    torch.save(build_vgg19(VGG19_WIDTHS, "relu3_1").state_dict(), folder / STEM_FILE)
    quarter = {
        key.replace("_", ""): value
        for key, value in build_vgg19(COMPACT_WIDTHS, "relu5_1").state_dict().items()
    }
    quarter |= {"conv0.weight": torch.eye(3).view(3, 3, 1, 1) * 255, "conv0.bias": torch.zeros(3)}
    for block, (width, full) in enumerate(zip(COMPACT_WIDTHS, VGG19_WIDTHS, strict=True), 1):
        quarter[f"conv{block}1_aux.weight"] = torch.randn(full, width, 1, 1)
        quarter[f"conv{block}1_aux.bias"] = torch.zeros(full)
    torch.save(quarter, folder / QUARTER_FILE)


def test_all_default_taps_come_in_the_channels_of_vgg19(tmp_path: Path) -> None:
    write_teacher(tmp_path)
    taps = (*STYLE_TAPS, CONTENT_TAP)
    features = load_teacher(tmp_path, taps)(torch.rand(1, 3, 64, 64), taps)
    channels = {tap: value.shape[1] for tap, value in features.items()}
    assert [channels[tap] for tap in STYLE_TAPS] == list(VGG19_WIDTHS)
    assert [features[tap].shape[-1] for tap in STYLE_TAPS] == [64, 32, 16, 8, 4]
    assert all((value >= 0).all() for value in features.values())


def test_a_folder_without_the_files_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="it lacks vgg19_normalised"):
        load_teacher(tmp_path)


def test_a_tap_it_does_not_have_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="relu5_2"):
        load_teacher(tmp_path, ["relu5_2"])


def test_a_picture_too_small_to_reflect_is_said_in_words(tmp_path: Path) -> None:
    write_teacher(tmp_path)
    network = load_teacher(tmp_path, ["relu5_1"])
    assert network(torch.rand(1, 3, 32, 32), ["relu5_1"])["relu5_1"].shape[-1] == 2
    with pytest.raises(UserError, match="16x31 px is too small"):
        network(torch.rand(1, 3, 31, 16), ["relu5_1"])
