"""The stability loss: none for a network that moves with the scene, some for one that does not."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from fast_nst.losses.temporal import MARGIN, MOST_SHIFT, perturbation, stability_loss
from fast_nst.networks.transform import TransformConfig, TransformNetwork


def pictures() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.nn.functional.interpolate(
        torch.rand(2, 3, 12, 12, generator=generator), 96, mode="bicubic"
    ).clamp(0, 1)


@pytest.mark.parametrize("seed", range(6))
def test_a_painting_that_moves_with_the_scene_costs_nothing(seed: int) -> None:
    """The painting is the negative, found from the picture before the light changed."""
    images = pictures()
    move, light = perturbation((seed,))
    shown = []

    def negative(x: Tensor) -> Tensor:
        shown.append(x)
        return 1 - move(images)

    assert stability_loss(negative, images, 1 - images, (seed,)) < 1e-9
    assert torch.equal(shown[0], light(move(images)))
    assert not torch.equal(shown[0], images)


def test_a_pattern_that_stays_while_the_scene_moves_is_punished() -> None:
    images = pictures()
    columns = ((torch.arange(96) // 2) % 2).float() * 0.5

    def curtain(x: Tensor) -> Tensor:
        return x * 0.5 + columns

    def moving(x: Tensor) -> Tensor:
        return x * 0.5

    still, follows = (
        sum(float(stability_loss(paint, images, paint(images), (seed,))) for seed in range(6))
        for paint in (curtain, moving)
    )
    assert still > 10 * follows, (still, follows)


def test_motions_stay_below_the_most_and_repeat_by_seed() -> None:
    images = pictures()
    for seed in range(20):
        first, again = perturbation((seed, 1)), perturbation((seed, 1))
        assert torch.equal(first[0](images), again[0](images))
        assert torch.equal(first[1](images), again[1](images))
        assert first[1](images).min() >= 0
        assert first[1](images).max() <= 1
    assert MOST_SHIFT < MARGIN


def test_the_gradient_reaches_the_network() -> None:
    torch.manual_seed(0)
    network = TransformNetwork(TransformConfig(4, 1, "fast"))
    images = pictures()
    stability_loss(network, images, network(images), (1,)).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_half_of_the_motions_are_shifts_by_whole_pixels_and_the_others_zoom_as_well() -> None:
    images = pictures()
    span = range(-MOST_SHIFT, MOST_SHIFT + 1)
    rolled = {(down, right): torch.roll(images, (down, right), (2, 3)) for down in span for right in span}
    found = [
        [shift for shift, expected in rolled.items() if torch.equal(moved, expected)]
        for moved in (perturbation((seed,))[0](images) for seed in range(40))
    ]
    assert len({shift for shifts in found for shift in shifts} - {(0, 0)}) >= 8
    assert 10 <= found.count([]) <= 30
