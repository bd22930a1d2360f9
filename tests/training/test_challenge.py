"""Challengers find what pleases a network, and hand over pictures with the photographs they came from."""

from __future__ import annotations

import torch

from fast_nst.losses import LossWeights, gram_matrix, style_loss
from fast_nst.networks.features import CONTENT_TAP, STYLE_TAPS, load_loss_network
from fast_nst.training.challenge import LIFE, UPDATES, Challenger


def test_a_challenger_gets_better_at_pleasing_the_student() -> None:
    torch.manual_seed(0)
    network = load_loss_network("vgg19-compact")
    painting = torch.rand(1, 3, 48, 48).round()
    photographs = torch.rand(3, 3, 8, 8).repeat_interleave(6, 2).repeat_interleave(6, 3)

    def features(images: torch.Tensor) -> dict[str, torch.Tensor]:
        return network(images, {*STYLE_TAPS, CONTENT_TAP})

    def loss(pictures: torch.Tensor) -> float:
        got, wanted = features(pictures), features(painting)
        return sum(float(style_loss(gram_matrix(got[t]), gram_matrix(wanted[t]))) for t in STYLE_TAPS)

    challenger = Challenger(painting, LossWeights())
    first = challenger.challenge(features, photographs)
    for _ in range(LIFE // UPDATES - 2):
        last = challenger.challenge(features, photographs)
    assert first.pictures.shape == first.photographs.shape == photographs.shape
    assert 0 <= last.pictures.min() <= last.pictures.max() <= 1
    assert loss(last.pictures[:-1]) < 0.8 * loss(first.pictures[:-1])  # the network's
    assert loss(last.pictures[-1:]) < 0.8 * loss(first.pictures[-1:])  # the pixels'
    assert not any(parameter.grad is not None for parameter in network.parameters())


def test_a_picture_goes_with_the_photograph_it_began_with() -> None:
    torch.manual_seed(0)
    network = load_loss_network("vgg19-compact")
    challenger = Challenger(torch.rand(1, 3, 32, 32), LossWeights())

    def turn(photographs: torch.Tensor) -> torch.Tensor:
        return challenger.challenge(lambda x: network(x, {*STYLE_TAPS, CONTENT_TAP}), photographs).photographs

    a, b = torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32)
    assert torch.equal(turn(a)[-1], a[-1])
    shown = turn(b)
    assert torch.equal(shown[0], b[0])
    assert torch.equal(shown[-1], a[-1])
