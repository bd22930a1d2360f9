"""ResNet50 as a loss network: torchvision's keys, its taps, its own defaults."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torchvision.models import ResNet50_Weights, resnet50

from fast_nst.errors import UserError
from fast_nst.networks.features import IMAGENET_MEAN, IMAGENET_STD, find_loss_network, load_loss_network


@pytest.fixture(scope="module")
def torchvision_resnet50(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A full ResNet50 state dict as torchvision writes it, its running statistics moved from 0 and 1."""
    torch.manual_seed(0)
    network = resnet50()
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_mean.uniform_(-0.1, 0.1)
            layer.running_var.uniform_(1, 3)
    path = tmp_path_factory.mktemp("weights") / "resnet50-small.pth"
    torch.save(network.state_dict(), path)
    return path


def test_taps_are_torchvisions_blocks_by_name(torchvision_resnet50: Path) -> None:
    reference = resnet50().eval()
    reference.load_state_dict(torch.load(torchvision_resnet50, weights_only=True))
    taps = {"relu1": reference.relu, "layer1_2": reference.layer1[2], "layer4_0": reference.layer4[0]}
    expected: dict[str, torch.Tensor] = {}
    for tap in ("layer1_2", "layer4_0"):
        taps[tap].register_forward_hook(lambda _, __, out, tap=tap: expected.update({tap: out}))
    reference.bn1.register_forward_hook(lambda _, __, out: expected.update({"relu1": out.relu()}))
    images = torch.rand(2, 3, 64, 48)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    with torch.no_grad():
        reference((images - mean) / std)
    network = load_loss_network(str(torchvision_resnet50), list(taps))
    assert network.tap_names[-1] == "layer4_0"
    features = network(images, taps)
    for tap in taps:
        assert torch.allclose(features[tap], expected[tap], atol=1e-5), tap


def test_it_brings_its_own_taps_and_smoothing() -> None:
    info, build = find_loss_network("resnet50-random")
    assert info.style_taps == ("layer1_2", "layer2_3", "layer3_5", "layer4_2")
    assert info.content_tap == "layer3_5"
    assert info.smoothing
    network = build(info.style_taps, "max")
    features = network(torch.rand(1, 3, 8, 8), info.style_taps)  # no picture is too small for it
    assert features["layer4_2"].shape == (1, 2048, 1, 1)


def test_a_tap_is_not_changed_by_the_layer_behind_it(torchvision_resnet50: Path) -> None:
    """torchvision's ReLUs work in place."""
    images = torch.rand(1, 3, 32, 32)
    network = load_loss_network(str(torchvision_resnet50))
    alone = network(images, ["norm1"])["norm1"]
    together = network(images, ["norm1", "layer1_0"])["norm1"]
    assert torch.equal(alone, together)
    assert together.min() < 0


def test_weights_come_from_torchvisions_cache(
    torchvision_resnet50: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    name = ResNet50_Weights.IMAGENET1K_V1.url.rsplit("/", 1)[1]
    (cache / name).write_bytes(torchvision_resnet50.read_bytes())
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    network = load_loss_network("resnet50", ["layer1_0"])
    assert network.info.name == "resnet50"
    assert network.info.license.startswith("BSD")


def test_an_older_file_without_counters_of_batches_is_taken(
    torchvision_resnet50: Path, tmp_path: Path
) -> None:
    state = torch.load(torchvision_resnet50, weights_only=True)
    torch.save({k: v for k, v in state.items() if "num_batches" not in k}, tmp_path / "old.pth")
    images = torch.rand(1, 3, 32, 32)
    old, new = (load_loss_network(str(path)) for path in (tmp_path / "old.pth", torchvision_resnet50))
    assert torch.equal(old(images, ["layer1_0"])["layer1_0"], new(images, ["layer1_0"])["layer1_0"])
    with pytest.raises(UserError, match="average is for VGGs"):
        load_loss_network(str(torchvision_resnet50), pooling="average")


def test_a_tap_it_lacks_and_a_damaged_file_are_named(torchvision_resnet50: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no tap relu4_2: it has conv1"):
        load_loss_network(str(torchvision_resnet50), ["relu4_2"])
    state = torch.load(torchvision_resnet50, weights_only=True)
    del state["layer3.2.conv2.weight"]
    torch.save(state, tmp_path / "damaged.pth")
    with pytest.raises(UserError, match=r"damaged: .*layer3_2\.conv2\.weight"):
        load_loss_network(str(tmp_path / "damaged.pth"))
