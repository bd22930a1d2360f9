"""The losses: dimensionless, independent of size, finite in every precision."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fast_nst.losses.perceptual import PEAK, LossWeights, PerceptualLoss
from fast_nst.losses.terms import (
    content_loss,
    gram_matrix,
    smooth_activations,
    style_loss,
    total_variation,
)
from fast_nst.networks.features import load_loss_network


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_gram_matrix_is_the_mean_product_of_channels() -> None:
    features = noise(2, 3, 4, 5)
    gram = gram_matrix(features)
    by_hand = (features[1, 0] * features[1, 2]).sum() / (3 * 4 * 5)
    assert gram.shape == (2, 3, 3)
    assert torch.allclose(gram[1, 0, 2], by_hand)
    assert torch.allclose(gram, gram.transpose(1, 2))


def test_the_gradient_of_the_gram_matrix_is_that_of_its_definition() -> None:
    features, weights = noise(2, 3, 4, 5).requires_grad_(), noise(2, 3, 3, seed=1)
    (gram_matrix(features) * weights).sum().backward()
    again = features.detach().clone().requires_grad_()
    flat = again.reshape(2, 3, 20)
    (flat @ flat.transpose(1, 2) / 60 * weights).sum().backward()
    assert features.grad is not None
    assert torch.allclose(features.grad, again.grad, atol=1e-6)


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_features_of_half_precision_get_the_gradient_of_the_full_ones(precision: torch.dtype) -> None:
    features = noise(2, 8, 16, 16).to(precision).requires_grad_()
    full = features.detach().float().requires_grad_()
    for taken in (features, full):  # as small as a loss of many Gram entries makes it
        (gram_matrix(taken) * noise(2, 8, 8, seed=1) * 1e-3).sum().backward()
    assert features.grad is not None
    assert full.grad is not None
    assert features.grad.dtype == precision
    assert (features.grad.float() - full.grad).norm() < 0.01 * full.grad.norm()


@given(scale=st.floats(0.1, 1e3), channels=st.integers(1, 8), side=st.integers(2, 9))
@settings(max_examples=40, deadline=None)
def test_losses_do_not_depend_on_the_scale_of_the_features(scale: float, channels: int, side: int) -> None:
    a, b = noise(2, channels, side, side), noise(2, channels, side, side, seed=1)
    plain = content_loss(a, b)
    assert torch.allclose(content_loss(a * scale, b * scale), plain, rtol=0.02)
    target = gram_matrix(b[:1])
    plain = style_loss(gram_matrix(a), target)
    scaled = style_loss(gram_matrix(a * scale), gram_matrix(b[:1] * scale))
    assert torch.allclose(scaled, plain, rtol=0.02)


def test_a_loss_of_one_is_as_wrong_as_nothing_at_all() -> None:
    target = noise(3, 8, 16, 16)
    mean = target.flatten(1).mean(1).view(3, 1, 1, 1).expand_as(target)
    assert content_loss(mean, target) == pytest.approx(1, abs=1e-4)
    gram = gram_matrix(target[:1])
    assert style_loss(torch.zeros_like(gram), gram) == pytest.approx(1, abs=1e-4)
    assert content_loss(target, target) == 0
    assert style_loss(gram, gram) == 0


def test_style_loss_hardly_depends_on_the_size_of_the_picture() -> None:
    tile = noise(1, 6, 16, 16)
    target = gram_matrix(noise(1, 6, 16, 16, seed=1))
    small, large = gram_matrix(tile), gram_matrix(tile.repeat(1, 1, 3, 2))
    assert torch.allclose(style_loss(small, target), style_loss(large, target), rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_gram_at_1024_px_is_finite_and_right_in_half_precision(dtype: torch.dtype) -> None:
    # Features of VGG19 reach some hundreds; their plain sum of products over 1024 x 1024 overflows fp16.
    features = (300 * noise(1, 8, 1024, 1024).abs()).to(dtype)
    assert not torch.isfinite((features.flatten(2)[0] @ features.flatten(2)[0].T).half()).all()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        gram = gram_matrix(features)
    assert gram.dtype == torch.float32
    assert torch.isfinite(gram).all()
    exact = gram_matrix(features.double().float())
    assert torch.allclose(gram, exact, rtol=1e-4)


def test_constant_pictures_give_finite_losses_and_gradients() -> None:
    network = load_loss_network("vgg16")
    gray = torch.full((1, 3, 32, 32), 0.5)
    loss = PerceptualLoss(network, [gray], network.info.style_taps, network.info.content_tap, LossWeights())
    stylized = gray.clone().requires_grad_()
    terms = loss(stylized, gray)
    terms["total"].backward()
    assert all(torch.isfinite(value) for value in terms.values())
    assert stylized.grad is not None
    assert torch.isfinite(stylized.grad).all()


def test_smoothing_takes_the_gram_matrix_away_from_a_single_large_activation() -> None:
    """What makes a ResNet a poor loss network (Wang et al. 2021): one peak outweighs all of the texture."""
    texture = noise(1, 8, 16, 16).abs()
    peaked = texture.clone()
    peaked[0, 3, 5, 5] = 60
    plain = style_loss(gram_matrix(peaked), gram_matrix(texture))
    scale = peaked.max() / PEAK
    smooth = style_loss(
        gram_matrix(smooth_activations(peaked, scale)), gram_matrix(smooth_activations(texture, scale))
    )
    assert plain > 3
    assert smooth < 0.1 * plain


@given(height=st.integers(1, 9), width=st.integers(1, 9), size=st.floats(0.01, 1e4))
@settings(max_examples=30, deadline=None)
def test_smoothed_activations_are_finite_and_one_in_the_mean(height: int, width: int, size: float) -> None:
    smoothed = smooth_activations(size * noise(2, 3, height, width))
    assert torch.isfinite(smoothed).all()
    assert torch.allclose(smoothed.mean((1, 2, 3)), torch.ones(2), rtol=1e-4)


def test_smoothing_is_blind_to_the_scale_of_a_networks_activations() -> None:
    network = load_loss_network("vgg16")
    generator = torch.Generator().manual_seed(0)
    style, content, stylized = (torch.rand(1, 3, 48, 48, generator=generator) for _ in range(3))
    arguments = ([style], ["relu1_1"], "relu1_2", LossWeights())
    before = PerceptualLoss(network, *arguments, smoothing=True)(stylized, content)
    with torch.no_grad():
        network.layers.conv1_1.weight.mul_(50)
        network.layers.conv1_1.bias.mul_(50)
        network.layers.conv1_2.bias.mul_(50)
    after = PerceptualLoss(network, *arguments, smoothing=True)(stylized, content)
    for name, value in before.items():
        assert torch.allclose(value, after[name], rtol=1e-3), name


def test_total_variation_is_zero_on_flat_and_one_on_stripes() -> None:
    flat = torch.full((2, 3, 8, 8), 0.3)
    assert total_variation(flat) == 0
    stripes = torch.zeros(1, 3, 8, 8)
    stripes[..., ::2] = 1
    assert total_variation(stripes) == pytest.approx(1)


@pytest.mark.parametrize("shape", [(1, 7), (7, 1), (1, 1)])
def test_total_variation_of_a_single_line_is_a_number(shape: tuple[int, int]) -> None:
    """It was the mean of no differences at all, and the whole loss with it."""
    assert total_variation(torch.full((1, 3, *shape), 0.3)) == 0


def test_no_gradient_flows_into_the_content_and_the_terms_add_up() -> None:
    network = load_loss_network("vgg16")
    generator = torch.Generator().manual_seed(0)
    style, content, stylized = (torch.rand(1, 3, 48, 48, generator=generator) for _ in range(3))
    content.requires_grad_()
    stylized.requires_grad_()
    taps = network.info.style_taps
    weights = LossWeights(2, 3, 4)
    terms = PerceptualLoss(network, [style], taps, network.info.content_tap, weights)(stylized, content)
    by_hand = 2 * terms["content"] + 3 * terms["style"] + 4 * terms["tv"]
    assert torch.allclose(terms["total"], by_hand)
    layers = torch.stack([terms[f"style/{tap}"] for tap in taps])
    assert torch.allclose(layers.mean(), terms["style"])
    terms["total"].backward()
    assert content.grad is None
    assert stylized.grad is not None


@pytest.mark.parametrize("smoothing", [False, True])
def test_every_picture_of_a_batch_is_compared_with_its_own_style(smoothing: bool) -> None:
    network = load_loss_network("vgg16")
    generator = torch.Generator().manual_seed(0)
    styles = [torch.rand(1, 3, 40 + 8 * i, 48, generator=generator) ** (i + 1) for i in range(3)]
    stylized, content = (torch.rand(4, 3, 48, 48, generator=generator) for _ in range(2))
    taps = (network.info.style_taps, network.info.content_tap)
    together = PerceptualLoss(network, styles, *taps, LossWeights(), smoothing)
    numbers = torch.tensor([2, 0, 1, 0])
    terms = together(stylized, content, numbers)
    alone = []
    for i, number in enumerate(numbers):
        loss = PerceptualLoss(network, [styles[number]], *taps, LossWeights(), smoothing)
        alone.append(loss(stylized[i : i + 1], content[i : i + 1]))
    for name, value in terms.items():
        mean = torch.stack([one[name] for one in alone]).mean()
        assert torch.allclose(value, mean, rtol=1e-3), name
