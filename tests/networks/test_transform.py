"""The transformation network: Johnson's shape, and what it must not do."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fast_nst.errors import UserError
from fast_nst.networks.transform import TransformConfig, TransformNetwork, load_transform, save_transform


def make(width: int = 4, blocks: int = 1, seed: int = 0) -> TransformNetwork:
    torch.manual_seed(seed)
    return TransformNetwork(TransformConfig(width, blocks))


def test_width_32_has_the_published_number_of_parameters() -> None:
    assert sum(p.numel() for p in TransformNetwork(TransformConfig(32)).parameters()) == 1_679_235


@given(n=st.integers(1, 3), h=st.integers(2, 12), w=st.integers(2, 12))
@settings(max_examples=20, deadline=None)
def test_shape_stays_and_values_are_pictures(n: int, h: int, w: int) -> None:
    out = make()(torch.rand(n, 3, 4 * h, 4 * w))
    assert out.shape == (n, 3, 4 * h, 4 * w)
    assert out.min() >= 0
    assert out.max() <= 1


def test_pictures_of_a_batch_do_not_influence_each_other() -> None:
    """Batch norm, or running statistics, would."""
    network = make()
    images = torch.rand(3, 3, 32, 32)
    together = network(images)
    assert torch.allclose(network(images[1:2]), together[1:2], atol=1e-5)
    network.eval()
    assert torch.allclose(network(images), together, atol=1e-6)


def test_a_saved_network_comes_back_the_same(tmp_path: Path) -> None:
    network = make()
    save_transform(network, tmp_path / "n.safetensors", {"style": "x"})
    again, header = load_transform(tmp_path / "n.safetensors")
    assert header["style"] == "x"
    images = torch.rand(1, 3, 16, 16)
    assert torch.equal(network(images), again(images))


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
