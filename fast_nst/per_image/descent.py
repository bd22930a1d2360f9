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


class _Clip(torch.autograd.Function):
    """Clip to [0, 1]; the gradient passes inside, and outside where a step against it leads back in.

    Johnson et al. 2016, section 4.1, project the pixels after every iteration. Under L-BFGS that moves them
    from under the curvature it has learned: as low a loss took 2.7 times the evaluations.
    """

    @staticmethod
    def forward(ctx: Any, pixels: Tensor) -> Tensor:
        ctx.save_for_backward(pixels)
        return pixels.clamp(0, 1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (pixels,) = ctx.saved_tensors
        stays = ((pixels >= 0) | (gradient < 0)) & ((pixels <= 1) | (gradient > 0))
        return gradient * stays


class Descent:
    """Pixels [1, 3, H, W] on their way down a loss, by L-BFGS with strong Wolfe steps or by Adam.

    The loss is that of `picture`, the pixels clipped to [0, 1]: what is measured can be shown.
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

    @property
    def picture(self) -> Tensor:
        """The picture [1, 3, H, W] in [0, 1] as it is."""
        return self.pixels.detach().clamp(0, 1)

    def step(self) -> None:
        """One iteration: one evaluation of the loss under Adam, seldom more under L-BFGS."""
        self.optimizer.step(lambda: self._evaluate()[0])  # type: ignore[arg-type,return-value]
        self._seen = [entry for entry in self._seen if torch.equal(entry[0], self.pixels)]

    def _evaluate(self) -> tuple[Tensor, Terms]:
        """Loss and terms here, with the gradient in place; what was computed for these pixels is kept."""
        for pixels, gradient, terms in self._seen:
            if torch.equal(pixels, self.pixels):
                self.pixels.grad = gradient.clone()
                return terms["total"], terms
        self.pixels.grad = None
        terms = self.loss(_Clip.apply(self.pixels))
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
