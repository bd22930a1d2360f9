"""Many styles in one transformation network: conditional instance norm (Dumoulin et al. 2017)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call

from fast_nst.networks.transform import TransformConfig, TransformNetwork


class MultiStyleNetwork(nn.Module):
    """Convolutions that all styles share, and each style's own scale and shift at every norm."""

    def __init__(self, config: TransformConfig, styles: int) -> None:
        super().__init__()
        self.shared = TransformNetwork(config)
        norms = [
            name for name, module in self.shared.named_modules() if isinstance(module, nn.InstanceNorm2d)
        ]
        self.names = [f"{norm}.{part}" for norm in norms for part in ("weight", "bias")]
        self.own = nn.ParameterList(
            self.shared.get_parameter(name).detach().expand(styles, -1).clone() for name in self.names
        )
        for name in self.names:  # stand-ins, replaced in every pass
            self.shared.get_parameter(name).requires_grad_(False)

    def load_shared(self, network: TransformNetwork) -> None:
        """Start every style from one trained network of the same architecture."""
        self.shared.load_state_dict(network.state_dict())
        with torch.no_grad():
            for name, own in zip(self.names, self.own, strict=True):
                own.copy_(self.shared.get_parameter(name).expand_as(own))

    def forward(self, x: Tensor, style: int) -> Tensor:
        """[N, 3, H, W] in [0, 1] to the same, painted after style number ``style``."""
        own = {name: values[style] for name, values in zip(self.names, self.own, strict=True)}
        return functional_call(self.shared, own, (x,))

    def single(self, style: int | None) -> TransformNetwork:
        """The network of one style; None for the mean of all, from which a new style starts."""
        network = TransformNetwork(self.shared.config)
        network.load_state_dict(self.shared.state_dict())
        with torch.no_grad():
            for name, own in zip(self.names, self.own, strict=True):
                network.get_parameter(name).copy_(own.mean(0) if style is None else own[style])
        return network
