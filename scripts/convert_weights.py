"""Turn another project's loss weights into fast_nst's dimensionless ones, for one style picture.

python scripts/convert_weights.py --style strokes --project jcjohnson --content 1 --weight 5

See docs/losses.md. The answer depends on the style picture: that is why fast_nst divides by it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import torch

from fast_nst.data.builtin import heldout_photographs
from fast_nst.data.crops import load_image, to_float, to_tensor
from fast_nst.losses.terms import gram_matrix
from fast_nst.networks.features import STYLE_TAPS, load_loss_network
from fast_nst.training.styles import style_path

JOHNSON_TAPS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")
NORMALIZED = 1 / (255 * 0.226)  # ImageNet-normalized pixels over mean-subtracted 0-255 ones


@dataclass(frozen=True)
class Convention:
    """What a project compares, and how it scales pixels and errors."""

    network: str
    content_tap: str
    style_taps: tuple[str, ...]
    pixels: float  # over 0 to 255
    content: float
    style: Callable[[int], float]  # by the number of channels


def mean_over_gram(channels: int) -> float:
    """Of a squared error that is averaged over a Gram matrix."""
    return 1 / channels**2


CONVENTIONS = {
    "pytorch-examples": Convention("vgg16", "relu2_2", JOHNSON_TAPS, NORMALIZED, 1, mean_over_gram),
    "jcjohnson": Convention("vgg16", "relu3_3", JOHNSON_TAPS, 1, 1, mean_over_gram),
    # Its 2 * tf.nn.l2_loss(x) / size is a mean: l2_loss halves.
    "lengstrom": Convention("vgg19", "relu4_2", STYLE_TAPS, 1, 1, mean_over_gram),
}


def convert(
    convention: Convention,
    content_weight: float,
    style_weight: float,
    variance: float,
    energies: list[tuple[int, float]],
    pixels: float = 1,
) -> float:
    """The style weight beside a content weight of 1.

    Args:
        variance: of the content features.
        energies: of each tap its number of channels and the squared norm of the style's Gram matrix.
        pixels: over 0 to 255, of the network that both were measured with.
    """
    scale = convention.pixels / pixels
    content = content_weight * convention.content * variance * scale**2
    style = sum(convention.style(channels) * energy for channels, energy in energies)
    return style_weight * style * scale**4 / content


def main() -> None:
    """Measure the style's Gram energies and photographs' feature variance, then print the weight."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--style", required=True, help="a picture, or strokes")
    parser.add_argument("--project", choices=CONVENTIONS, required=True)
    parser.add_argument("--content", type=float, required=True, help="its content weight")
    parser.add_argument("--weight", type=float, required=True, help="its style weight")
    parser.add_argument("--network", help="file of the project's own loss network; default: vgg16 or vgg19")
    options = parser.parse_args()

    convention = CONVENTIONS[options.project]
    taps, content_tap = convention.style_taps, convention.content_tap
    network = load_loss_network(options.network or convention.network, (*taps, content_tap))
    style = load_image(style_path(options.style), 256)
    with torch.no_grad():
        grams = [gram_matrix(features) for features in network(style, taps).values()]
        contents = [to_float(to_tensor(pixels))[None] for _, pixels in heldout_photographs()]
        variance = sum(float(network(c, [content_tap])[content_tap].var()) for c in contents) / len(contents)
    energies = [(gram.shape[1], float(gram.square().sum())) for gram in grams]
    pixels = 1 / (255 * sum(network.info.std) / 3)
    weight = convert(convention, options.content, options.weight, variance, energies, pixels)
    loss = f"--loss.network {network.info.name} --loss.content-tap {content_tap}"
    print(f"{loss} --loss.style-taps '[{', '.join(taps)}]' --loss.weights.style {weight:.3g}")


if __name__ == "__main__":
    main()
