"""The transformation network: Johnson's shape, and what it must not do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fast_nst.errors import UserError
from fast_nst.networks.transform import (
    TransformConfig,
    TransformNetwork,
    about_network,
    config_of,
    load_transform,
    save_transform,
)

CONFIGS = {
    "johnson": TransformConfig(4, 1),
    "antialiased": TransformConfig(4, 1, antialias=True),
    "fast": TransformConfig(4, 1, "fast"),
    "linear": TransformConfig(4, 1, head="linear"),
}


def make(config: TransformConfig = CONFIGS["johnson"], seed: int = 0) -> TransformNetwork:
    torch.manual_seed(seed)
    return TransformNetwork(config)


def test_width_32_has_the_published_number_of_parameters() -> None:
    assert sum(p.numel() for p in TransformNetwork(TransformConfig(32)).parameters()) == 1_679_235


@given(kind=st.sampled_from(list(CONFIGS)), n=st.integers(1, 3), h=st.integers(2, 12), w=st.integers(2, 12))
@settings(max_examples=30, deadline=None)
def test_shape_stays_and_values_are_pictures(kind: str, n: int, h: int, w: int) -> None:
    stride = CONFIGS[kind].stride
    images = torch.rand(n, 3, stride * h, stride * w)
    out = make(CONFIGS[kind])(images)
    assert out.shape == images.shape
    if CONFIGS[kind].head == "sigmoid":  # what a linear one is beyond black and white, the export clips
        assert out.min() >= 0
        assert out.max() <= 1


@pytest.mark.parametrize("kind", CONFIGS)
def test_pictures_of_a_batch_do_not_influence_each_other(kind: str) -> None:
    """Batch norm, or running statistics, would."""
    network = make(CONFIGS[kind])
    images = torch.rand(3, 3, 32, 32)
    together = network(images)
    assert torch.allclose(network(images[1:2]), together[1:2], atol=1e-5)
    network.eval()
    assert torch.allclose(network(images), together, atol=1e-6)


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_saved_network_comes_back_the_same(kind: str, tmp_path: Path) -> None:
    network = make(CONFIGS[kind])
    save_transform(network, tmp_path / "n.safetensors", {"style": "x"})
    again, header = load_transform(tmp_path / "n.safetensors")
    assert header["style"] == "x"
    images = torch.rand(1, 3, 16, 16)
    assert torch.equal(network(images), again(images))


def test_an_exported_file_tells_the_whole_architecture() -> None:
    for config in CONFIGS.values():
        assert replace(config_of(about_network(config)), antialias=config.antialias) == config
    assert config_of({"network": "fast", "width": "8", "blocks": "2", "antialias": "true"}).head == "sigmoid"


def test_antialiasing_makes_a_shift_by_one_pixel_matter_less() -> None:
    """The stride of 4 sees a picture at one of four positions; a low-pass in front of it sees them alike."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(1, 3, 100, 100, generator=generator)
    errors = {}
    for kind in ("johnson", "antialiased"):
        network = make(CONFIGS[kind])
        first, second = network(images[..., :96, :96]), network(images[..., 1:97, 1:97])
        difference = first[..., 17:80, 17:80] - second[..., 16:79, 16:79]
        errors[kind] = (difference.std() / first.std()).item()
    assert errors["antialiased"] < 0.6 * errors["johnson"]


def test_antialiasing_adds_no_weights() -> None:
    plain, smooth = make(), make(CONFIGS["antialiased"], seed=1)
    smooth.load_state_dict(plain.state_dict())


def test_a_fast_network_starts_without_a_checkerboard() -> None:
    """A pixel shuffle of random channels gives each of its four positions a color of its own."""
    network = make(CONFIGS["fast"])
    out = network(torch.rand(1, 3, 64, 64))
    cells = torch.nn.functional.pixel_unshuffle(out, 2).reshape(3, 4, 32, 32)
    assert torch.allclose(cells, cells[:, :1].expand_as(cells), atol=1e-6)


@pytest.mark.parametrize("content", [b"", b"not safetensors", b"\xff" * 100])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "n.safetensors"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"n\.safetensors is not a readable safetensors file"):
        load_transform(path)


def test_another_networks_weights_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, tmp_path / "n.safetensors")
    with pytest.raises(UserError, match="not a fast_nst transformation network"):
        load_transform(tmp_path / "n.safetensors")
