"""Spearman correlation of a student's losses with its teacher's, on held-out photographs.

python scripts/measure_fidelity.py --teacher DIR --photographs DIR --paintings DIR --model ONNX
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from fast_nst.crops import center_crop, load_image, to_float
from fast_nst.networks.features import load_loss_network
from fast_nst.pictures import find_pictures
from fast_nst.runtime.stylizer import Stylizer
from fast_nst.training.fidelity import make_pairs, measure_fidelity

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--teacher", required=True, help="loss network that is imitated")
parser.add_argument("--student", default="vgg19-compact", help="loss network that imitates")
parser.add_argument("--photographs", type=Path, required=True, help="50 photographs make 200 pairs")
parser.add_argument("--paintings", type=Path, required=True)
parser.add_argument("--model", help="ONNX file for the stylized pairs; without: a posterized picture")
parser.add_argument("--size", type=int, default=256, help="side of the square pictures in pixels")
options = parser.parse_args()


def squares(folder: Path) -> list[torch.Tensor]:
    pictures = [load_image(path, options.size)[0] for path in find_pictures(folder)]
    whole = [(picture.permute(1, 2, 0) * 255).round().byte().numpy() for picture in pictures]
    return [to_float(center_crop(pixels, options.size))[None] for pixels in whole]


def stylize(image: torch.Tensor) -> torch.Tensor:
    if stylizer is None:
        return (image * 4).round() / 4
    pixels = (image[0].permute(1, 2, 0) * 255).round().byte().numpy()
    result = np.ascontiguousarray(stylizer(pixels).transpose(2, 0, 1))
    return to_float(torch.from_numpy(result))[None]


stylizer = Stylizer(options.model) if options.model else None
pairs = make_pairs(squares(options.photographs), squares(options.paintings), stylize)
teacher = load_loss_network(options.teacher)
student = load_loss_network(options.student)
print(json.dumps(asdict(measure_fidelity(teacher, student, pairs)), indent=1))
