"""Loss networks by name and by file: normalization, taps, trimming, and the ways loading can fail."""

from __future__ import annotations

import hashlib
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from torchvision.models.vgg import cfgs, make_layers

from fast_nst.errors import UserError
from fast_nst.networks import vgg
from fast_nst.networks.features import (
    CONTENT_TAP,
    IMAGENET_STD,
    STYLE_TAPS,
    load_loss_network,
    read_weights,
)
from fast_nst.shipped import checkpoints_dir


def torchvision_layers() -> torch.nn.Sequential:
    """torchvision's own VGG19, its convolutional part."""
    return make_layers(cfgs["E"])


@pytest.fixture(scope="session")
def torchvision_vgg19(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A VGG19 state dict in torchvision's own keys, with a small classifier in place of the huge one."""
    torch.manual_seed(0)
    layers = torchvision_layers()
    for layer in layers:
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(layer.weight)  # else deep features fade to nothing
    state = {f"features.{key}": value for key, value in layers.state_dict().items()}
    state["classifier.0.weight"] = torch.zeros(2, 2)
    path = tmp_path_factory.mktemp("weights") / "vgg19.pth"
    torch.save(state, path)
    return path


def reference(path: Path, images: torch.Tensor, index: int) -> torch.Tensor:
    """torchvision's own features after layer ``index``, borders aside (conv1_1 pads otherwise here)."""
    layers = torchvision_layers().eval()
    state = torch.load(path, weights_only=True)
    layers.load_state_dict({k.removeprefix("features."): v for k, v in state.items() if "features" in k})
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    with torch.no_grad():
        return layers[: index + 1]((images - mean) / std)


@pytest.mark.parametrize(("tap", "index"), [("relu1_1", 1), ("relu2_2", 8), ("relu3_4", 17), ("conv4_2", 21)])
def test_taps_are_torchvisions_layers_by_name(torchvision_vgg19: Path, tap: str, index: int) -> None:
    images = torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(1))
    network = load_loss_network(str(torchvision_vgg19), [tap])
    features = network(images, [tap])[tap]
    expected = reference(torchvision_vgg19, images, index)
    assert features.shape == expected.shape
    edge = features.shape[-1] // 2 - 1  # the middle, where no border reaches
    middle = (..., slice(edge, edge + 2), slice(edge, edge + 2))
    assert torch.allclose(features[middle], expected[middle], atol=1e-4)


def test_a_file_with_only_the_convolutions_is_enough(torchvision_vgg19: Path, tmp_path: Path) -> None:
    state = torch.load(torchvision_vgg19, weights_only=True)
    upto = vgg.layer_names().index("conv3_1")
    convs = {
        key: value
        for key, value in state.items()
        if key.startswith("features") and int(key.split(".")[1]) <= upto
    }
    torch.save(convs, tmp_path / "convs.pth")
    network = load_loss_network(str(tmp_path / "convs.pth"), ["relu3_1"])
    images = torch.rand(1, 3, 32, 32)
    full = load_loss_network(str(torchvision_vgg19), ["relu3_1"])
    assert torch.equal(network(images, ["relu3_1"])["relu3_1"], full(images, ["relu3_1"])["relu3_1"])
    with pytest.raises(UserError, match=r"relu4_2"):
        load_loss_network(str(tmp_path / "convs.pth"), ["relu4_2"])


def test_vgg19_comes_from_torchvisions_cache(
    torchvision_vgg19: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real loader, its cache filled beforehand, TORCH_HOME honored."""
    from torchvision.models import VGG19_Weights

    name = VGG19_Weights.IMAGENET1K_V1.url.rsplit("/", 1)[1]
    cache = tmp_path / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    (cache / name).write_bytes(torchvision_vgg19.read_bytes())
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    network = load_loss_network("vgg19")
    assert network.info.name == "vgg19"
    assert network.tap_names[-1] == "relu5_1"
    images = torch.rand(1, 3, 32, 32)
    local = load_loss_network(str(torchvision_vgg19))
    assert torch.equal(network(images, [CONTENT_TAP])[CONTENT_TAP], local(images, [CONTENT_TAP])[CONTENT_TAP])


def test_failed_download_says_so_and_names_the_ways_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(UserError) as caught:
        load_loss_network("vgg19")
    text = str(caught.value)
    assert "could not be downloaded" in text
    assert "path of a local file" in text
    assert "vgg16" in text


def test_only_the_layers_up_to_the_deepest_tap_are_built() -> None:
    assert load_loss_network("vgg16", ["relu2_1", "relu3_2"]).tap_names[-1] == "relu3_2"
    whole = load_loss_network("vgg16")
    assert whole.tap_names[-1] == "relu4_3"
    ran: list[str] = []
    for name, layer in whole.layers.named_children():
        layer.register_forward_hook(lambda *_, name=name: ran.append(name))
    whole(torch.rand(1, 3, 32, 32), ["relu3_1"])
    assert ran[-1] == "relu3_1"


def test_unknown_taps_names_and_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="relu9_9"):
        load_loss_network("vgg16", ["relu9_9"])
    with pytest.raises(UserError, match="vgg91"):
        load_loss_network("vgg91")
    (tmp_path / "a.pth").write_bytes(b"nothing of the kind")
    with pytest.raises(UserError, match=r"a\.pth is not a weights file"):
        load_loss_network(str(tmp_path / "a.pth"))
    torch.save({"layer.weight": torch.zeros(3)}, tmp_path / "b.pth")
    with pytest.raises(UserError, match=r"b\.pth has neither"):
        load_loss_network(str(tmp_path / "b.pth"))


class Exploit:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.mark,))


def test_code_inside_a_weights_file_is_never_run(tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    (tmp_path / "evil.pth").write_bytes(pickle.dumps({"features.0.weight": Exploit(mark)}))
    with pytest.raises(UserError):
        load_loss_network(str(tmp_path / "evil.pth"))
    assert not mark.exists()


def test_a_loss_network_is_frozen_and_stays_in_eval_mode() -> None:
    network = load_loss_network("vgg16")
    network.train()
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_the_original_vgg16_ships_with_its_taps_and_license() -> None:
    path = checkpoints_dir() / "vgg16.safetensors"
    assert path.stat().st_size < 15_500_000
    network = load_loss_network("vgg16")
    assert network.info.license == "CC BY 4.0"
    assert "Simonyan" in network.info.origin
    assert network.info.style_taps == ("relu1_2", "relu2_2", "relu3_3", "relu4_3")  # Johnson et al. 2016
    assert network.tap_names[-1] == "relu4_3"


def vgg16_state() -> dict[str, torch.Tensor]:
    """The shipped weights under torchvision's keys, in float32, with a classifier that says nothing."""
    weights, _ = read_weights(checkpoints_dir() / "vgg16.safetensors")
    numbers = {name: number for number, name in enumerate(vgg.layer_names(16))}
    keys = {name: f"features.{numbers[name.split('.')[0]]}.{name.split('.')[1]}" for name in weights}
    state = {keys[name]: value.float() for name, value in weights.items()}
    return {**state, "classifier.0.weight": torch.full((2, 2), torch.nan)}


def test_vgg16_sees_rgb_from_0_to_255_less_the_mean_it_was_trained_with() -> None:
    layers = make_layers(cfgs["D"])[:16].eval()  # up to relu3_3
    layers.load_state_dict(
        {
            k.removeprefix("features."): v
            for k, v in vgg16_state().items()
            if int(k.split(".")[1]) < 16 and k.startswith("features")
        }
    )
    images = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(5))
    mean = torch.tensor([123.68, 116.779, 103.939]).view(1, 3, 1, 1)
    with torch.no_grad():
        expected = layers(255 * images - mean)
    features = load_loss_network("vgg16", ["relu3_3"])(images, ["relu3_3"])["relu3_3"]
    middle = (..., slice(11, 13), slice(11, 13))  # where no border reaches
    assert torch.allclose(features[middle], expected[middle], rtol=1e-3, atol=0.1)


def test_torchvisions_file_of_the_original_vgg16_is_known_for_what_it_is(tmp_path: Path) -> None:
    """`VGG16_Weights.IMAGENET1K_FEATURES` has another mean than torchvision's other weights."""
    state = vgg16_state()
    torch.save({k: v * (1 + 2e-4) if "features" in k else v for k, v in state.items()}, tmp_path / "f.pth")
    found, shipped = load_loss_network(str(tmp_path / "f.pth")), load_loss_network("vgg16")
    assert (found.info.name, found.info.mean, found.info.std) == (
        "vgg16",
        shipped.info.mean,
        shipped.info.std,
    )
    torch.save({k: v * 1.05 for k, v in state.items()}, tmp_path / "other.pth")
    other = load_loss_network(str(tmp_path / "other.pth"))
    assert other.info.std == IMAGENET_STD
    assert other.info.style_taps == shipped.info.style_taps


def test_a_run_folder_of_a_backbone_is_a_loss_network(tmp_path: Path) -> None:
    shutil.copy(checkpoints_dir() / "vgg16.safetensors", tmp_path / "model.safetensors")
    assert load_loss_network(str(tmp_path), ["relu1_1"]).tap_names[-1] == "relu1_1"
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty is a folder without model\.safetensors"):
        load_loss_network(str(tmp_path / "empty"))


def test_a_picture_too_small_for_the_deepest_tap_is_refused_in_words() -> None:
    network = load_loss_network("vgg16")
    with pytest.raises(UserError, match="6x6 px is too small"):
        network(torch.rand(1, 3, 6, 6), ["relu4_3"])


def test_the_hash_tells_weights_apart(torchvision_vgg19: Path) -> None:
    a = load_loss_network(str(torchvision_vgg19), ["relu1_1"]).weights_sha256
    b = load_loss_network("vgg16", ["relu1_1"]).weights_sha256
    assert len(a) == len(hashlib.sha256().hexdigest())
    assert a != b


def test_average_pooling_takes_the_place_of_max_pooling() -> None:
    images = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    average = load_loss_network("vgg16", ["relu2_1"], pooling="average")
    first = average(images, ["relu1_2"])["relu1_2"]
    pooled = average(images, ["pool1"])["pool1"]
    assert torch.allclose(pooled, torch.nn.functional.avg_pool2d(first, 2))


def test_an_untrained_vgg19_is_the_same_every_time_and_keeps_its_variance() -> None:
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(3))
    one, two = (load_loss_network("vgg19-random") for _ in range(2))
    assert one.weights_sha256 == two.weights_sha256
    features = one(images, (*STYLE_TAPS, CONTENT_TAP))
    for tap, value in features.items():
        assert 0.05 < float(value.std()) < 20, tap


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on CPUs")
def test_a_compiled_loss_network_gives_the_same_features_and_gradients() -> None:
    network = load_loss_network("vgg16", ["relu1_2"])
    network.to(memory_format=torch.channels_last)
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(4))

    def run() -> tuple[torch.Tensor, torch.Tensor]:
        x = images.clone().contiguous(memory_format=torch.channels_last).requires_grad_()
        features = network(x, ["relu1_2"])["relu1_2"]
        features.square().sum().backward()
        assert x.grad is not None
        return features.detach(), x.grad

    plain = run()
    network.compile()
    compiled = run()
    for a, b in zip(plain, compiled, strict=True):
        assert torch.allclose(a, b, rtol=1e-3, atol=1e-4)
