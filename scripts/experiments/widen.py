"""Twice the width for a trained network of any kind, with the same answers.

    python scripts/experiments/widen.py SOURCE TARGET.safetensors

Every channel is doubled and what reads it halved (Net2Net, Chen et al. 2016); a little noise parts the twins.
For comparisons with a width that takes too long to train from random weights on a CPU.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from fast_nst.errors import UserError, one_line, user_errors_end
from fast_nst.export import weights_file
from fast_nst.networks.transform import TransformNetwork, load_transform, save_transform

NOISE = 0.02  # of a weight's own size


def widen(network: TransformNetwork, noise: float = NOISE) -> TransformNetwork:
    """A network of twice the width that answers as ``network`` does, but for the ``noise``."""
    wide = TransformNetwork(replace(network.config, width=2 * network.config.width))
    state = {}
    for name, weight in network.state_dict().items():
        doubled = weight
        if not name.startswith("head"):
            doubled = doubled.repeat_interleave(2, 0)
        if weight.ndim == 4 and not name.startswith("down.0"):
            doubled = doubled.repeat_interleave(2, 1) / 2
        if weight.ndim == 4:
            doubled = doubled * (1 + noise * torch.randn_like(doubled))
        state[name] = doubled
    wide.load_state_dict(state)
    return wide


def main() -> None:
    """Write the wide network with what the narrow one's header says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, help="model.safetensors, a run or a checkpoint")
    parser.add_argument("target", type=Path, help="the safetensors file to write")
    options = parser.parse_args()
    torch.manual_seed(0)
    narrow, about = load_transform(weights_file(options.source))
    try:
        save_transform(widen(narrow), options.target, about)
    except OSError as error:
        raise UserError(f"cannot write {options.target}: {error.strerror or one_line(error)}") from error


if __name__ == "__main__":
    with user_errors_end("widen"):
        main()
