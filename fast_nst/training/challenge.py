"""Challengers: they look for pictures that please the student but not the teacher, so that it learns them.

A student distilled on photographs alone ranks photographs well, and yet a transformation network trained
under it finds woven patterns that the student takes for the style while the teacher does not. As in
adversarial training (Goodfellow et al. 2015), the way out is to distill on what such networks paint.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from fast_nst.losses import LossWeights, content_loss, gram_matrix, perceptual_terms
from fast_nst.networks.features import CONTENT_TAP, STYLE_TAPS
from fast_nst.networks.transform import TransformConfig, TransformNetwork

Features = Callable[[Tensor], Mapping[str, Tensor]]
UPDATES = 2  # of a challenger in each step of the student
LIFE = 40  # updates of a picture before it starts from a photograph again
NETWORK_LIFE = 300  # updates of a network before it starts from random weights again
STEP = 0.02  # of a picture's pixels in one update


@dataclass(frozen=True)
class Challenge:
    """Photographs [N, 3, H, W] and what a challenger made of them, both in [0, 1]."""

    photographs: Tensor
    pictures: Tensor


class Challenger:
    """A small transformation network, and one picture's own pixels, trained under the student."""

    def __init__(self, painting: Tensor, weights: LossWeights, network_age: int = 0) -> None:
        """``painting`` [1, 3, H, W] in [0, 1]; ``network_age``: updates its life is shortened by at first."""
        self.painting, self.weights = painting, weights
        self.picture = self.photograph = torch.empty(0)
        self.age = LIFE
        self._renew()
        self.network_age = network_age

    def _renew(self) -> None:
        """A new network: what it paints early on, weaves and grain, is what the student must know best."""
        self.network = TransformNetwork(TransformConfig(8, 3)).to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=3e-3)
        self.network_age = 0

    def challenge(self, features: Features, photographs: Tensor) -> Challenge:
        """Improve against the student's ``features``, then show the result; photographs [N, 3, H, W].

        The last photograph is the one whose pixels are optimized themselves (Gatys et al. 2016); where a
        picture's life is not over, the photograph it began with stands in for it.
        """
        if self.age >= LIFE:
            self.photograph = photographs[-1:]
            self.picture = (self.photograph + 0.1 * torch.randn_like(self.photograph)).clamp(0, 1)
            self.age = 0
        if self.network_age >= NETWORK_LIFE:
            self._renew()
        originals = torch.cat([photographs[:-1], self.photograph])
        with torch.no_grad():
            targets = features(originals)[CONTENT_TAP]
            style = features(self.painting)
            grams = {tap: gram_matrix(style[tap]) for tap in STYLE_TAPS}
        for _ in range(UPDATES):
            self._update(features, originals, targets, grams)
        with torch.no_grad():
            return Challenge(originals, torch.cat([self.network(originals[:-1]), self.picture]))

    def _update(
        self, features: Features, originals: Tensor, targets: Tensor, grams: Mapping[str, Tensor]
    ) -> None:
        picture = self.picture.detach().requires_grad_()
        made = torch.cat([self.network(originals[:-1]), picture])
        found = features(made)
        content = content_loss(found[CONTENT_TAP], targets)
        loss = perceptual_terms(found, grams, content, made, self.weights)["total"]
        parameters = list(self.network.parameters())
        *gradients, pixels = torch.autograd.grad(loss, [*parameters, picture])
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        self.optimizer.step()
        direction = F.normalize(pixels.flatten(1)).view_as(pixels) * pixels[0].numel() ** 0.5
        self.picture = (self.picture - STEP * direction).clamp(0, 1)
        self.age += 1
        self.network_age += 1

    def state_dict(self) -> dict[str, Any]:
        """Of the network and its optimizer; the picture starts anew."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "network_age": self.network_age,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """From `state_dict`."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.network_age = state["network_age"]


def make_challengers(paintings: Sequence[Tensor]) -> list[Challenger]:
    """One for each painting; every other one without total variation, free to use the finest patterns."""
    return [
        Challenger(
            painting, LossWeights(tv=30.0 if index % 2 else 0.0), index * NETWORK_LIFE // len(paintings)
        )
        for index, painting in enumerate(paintings)
    ]
