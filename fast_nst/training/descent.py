"""The optimization of a picture's own pixels (Gatys et al. 2016), one iteration at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

Terms = dict[str, Tensor]
HISTORY = 20  # curvature pairs that L-BFGS keeps; each is two pictures of memory
ADAM_LR = 0.02
LBFGS_LR = 1.0


class Descent:
    """Pixels [1, 3, H, W] in [0, 1] on their way down a loss, by L-BFGS with strong Wolfe steps or by Adam.

    After every iteration the pixels are clipped to [0, 1], as Johnson et al. 2016, section 4.1, project
    theirs: what is measured is a picture that can be shown.
    """

    def __init__(
        self,
        start: Tensor,
        loss: Callable[[Tensor], Terms],
        optimizer: Literal["lbfgs", "adam"] = "lbfgs",
        lr: float | None = None,
    ) -> None:
        """``loss`` gives the terms of a picture, "total" among them."""
        self.pixels = start.detach().clone().requires_grad_(True)
        self.loss = loss
        self.evaluations = 0
        self._seen: list[tuple[Tensor, Tensor, Terms]] = []  # pixels, gradient, terms
        if optimizer == "lbfgs":
            self.optimizer: torch.optim.Optimizer = torch.optim.LBFGS(
                [self.pixels],
                lr=LBFGS_LR if lr is None else lr,
                max_iter=1,
                max_eval=25,
                tolerance_grad=0,
                tolerance_change=0,
                history_size=HISTORY,
                line_search_fn="strong_wolfe",
            )
        else:
            self.optimizer = torch.optim.Adam([self.pixels], lr=ADAM_LR if lr is None else lr)

    def terms(self) -> Terms:
        """The loss terms of the pixels as they are."""
        return self._evaluate()[1]

    def step(self) -> None:
        """One iteration: several evaluations of the loss under L-BFGS, one under Adam."""
        self.optimizer.step(lambda: self._evaluate()[0])  # type: ignore[arg-type,return-value]
        with torch.no_grad():
            self.pixels.clamp_(0, 1)
        self._seen = [entry for entry in self._seen if torch.equal(entry[0], self.pixels)]

    def _evaluate(self) -> tuple[Tensor, Terms]:
        """Loss and terms here, with the gradient in place; what was computed for these pixels is kept."""
        for pixels, gradient, terms in self._seen:
            if torch.equal(pixels, self.pixels):
                self.pixels.grad = gradient.clone()
                return terms["total"], terms
        self.pixels.grad = None
        terms = self.loss(self.pixels)
        terms["total"].backward()
        self.evaluations += 1
        terms = {name: value.detach() for name, value in terms.items()}
        assert self.pixels.grad is not None
        self._seen.append((self.pixels.detach().clone(), self.pixels.grad.clone(), terms))
        return terms["total"], terms

    def state_dict(self) -> dict[str, Any]:
        """Pixels and optimizer: what `load_state_dict` goes on from."""
        return {"pixels": self.pixels.detach(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from where another descent of the same size was."""
        with torch.no_grad():
            self.pixels.copy_(state["pixels"])
        self.optimizer.load_state_dict(state["optimizer"])
        self._seen = []
