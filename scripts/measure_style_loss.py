"""Style loss of stylized pictures as a share of their photographs' own, under any loss network.

python scripts/measure_style_loss.py --style strokes --before DIR --after DIR --network FILE-OR-FOLDER
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from fast_nst.crops import load_image
from fast_nst.losses import gram_matrix, style_loss
from fast_nst.networks.features import STYLE_TAPS, LossNetwork, load_loss_network
from fast_nst.pictures import find_pictures
from fast_nst.training.styles import style_path


@torch.no_grad()
def measure(network: LossNetwork, picture: Path, style: torch.Tensor) -> float:
    """Mean over the style taps of the dimensionless style loss of ``picture`` at its own size."""
    got, wanted = network(load_image(picture), STYLE_TAPS), network(style, STYLE_TAPS)
    losses = [style_loss(gram_matrix(got[tap]), gram_matrix(wanted[tap])) for tap in STYLE_TAPS]
    return float(torch.stack(losses).mean())


def main() -> None:
    """One line a picture: its name, the loss before and after, the share."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--style", required=True, help="the style picture, or strokes")
    parser.add_argument("--style-size", type=int, default=256, help="its shorter side, as in training")
    parser.add_argument("--before", type=Path, required=True, help="folder of photographs")
    parser.add_argument("--after", type=Path, required=True, help="folder of the results, same names")
    parser.add_argument("--network", default="vgg19-compact", help="loss network")
    options = parser.parse_args()
    for folder in (options.before, options.after):
        if not folder.is_dir():
            parser.error(f"{folder} is not a folder")

    network = load_loss_network(options.network, STYLE_TAPS)
    style = load_image(style_path(options.style), options.style_size)
    print("picture\tbefore\tafter\tshare")
    for before in find_pictures(options.before):
        after = options.after / before.relative_to(options.before)
        if after.exists():
            first, second = (measure(network, path, style) for path in (before, after))
            print(f"{before.name}\t{first:.4f}\t{second:.4f}\t{second / first:.1%}")


if __name__ == "__main__":
    main()
