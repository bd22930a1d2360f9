"""Turn another project's loss weights into fast_nst's dimensionless ones, for one style picture.

python scripts/convert_weights.py --style strokes --project pytorch-examples --content 1e5 --weight 1e10

See docs/losses.md. The answer depends on the style picture: that is why fast_nst divides by it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import torch

from fast_nst.builtin import heldout_photographs
from fast_nst.crops import load_image, to_float, to_tensor
from fast_nst.losses import gram_matrix
from fast_nst.networks.features import CONTENT_TAP, STYLE_TAPS, load_loss_network
from fast_nst.training.styles import style_path

TO_255 = 255 * 0.226  # mean-subtracted 0-255 pixels over ImageNet-normalized ones


@dataclass(frozen=True)
class Convention:
    """How a project scales pixels and errors, against this one's."""

    pixels: float
    content: float
    style: Callable[[int], float]  # by the number of channels


CONVENTIONS = {
    "pytorch-examples": Convention(1, 1, lambda channels: 1 / channels**2),
    "jcjohnson": Convention(TO_255, 1, lambda channels: 1 / channels**2),
    # Its 2 * tf.nn.l2_loss(x) / size is a mean: l2_loss halves.
    "lengstrom": Convention(TO_255, 1, lambda channels: 1 / channels**2),
}


def convert(
    convention: Convention,
    content_weight: float,
    style_weight: float,
    variance: float,
    energies: dict[int, float],
) -> float:
    """The style weight beside a content weight of 1.

    Args:
        variance: of the content features.
        energies: squared norm of the style's Gram matrix by the tap's number of channels.
    """
    content = content_weight * convention.content * variance * convention.pixels**2
    style = sum(convention.style(channels) * energy for channels, energy in energies.items())
    return style_weight * style * convention.pixels**4 / content


def main() -> None:
    """Measure the style's Gram energies and photographs' feature variance, then print the weight."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--style", required=True, help="a picture, or strokes")
    parser.add_argument("--project", choices=CONVENTIONS, required=True)
    parser.add_argument("--content", type=float, required=True, help="its content weight")
    parser.add_argument("--weight", type=float, required=True, help="its style weight")
    parser.add_argument("--network", default="vgg19", help="vgg19, or a file with its weights")
    options = parser.parse_args()
    if options.network == "vgg19-compact":
        parser.error("the weights were chosen for VGG's own features: --network vgg19")

    network = load_loss_network(options.network)
    style = load_image(style_path(options.style), 256)
    with torch.no_grad():
        grams = [gram_matrix(features) for features in network(style, STYLE_TAPS).values()]
        contents = [to_float(to_tensor(pixels))[None] for _, pixels in heldout_photographs()]
        variance = sum(float(network(c, [CONTENT_TAP])[CONTENT_TAP].var()) for c in contents) / len(contents)
    energies: dict[int, float] = {}
    for gram in grams:
        channels = gram.shape[1]
        energies[channels] = energies.get(channels, 0.0) + float(gram.square().sum())
    weight = convert(CONVENTIONS[options.project], options.content, options.weight, variance, energies)
    print(f"--loss.weights.content 1 --loss.weights.style {weight:.3g}")


if __name__ == "__main__":
    main()
