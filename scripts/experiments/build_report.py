"""The experiments behind docs/report.md, and the report itself, rebuilt by one command.

python scripts/experiments/build_report.py [--cifar10 FILE --cifar10-test FILE --caltech101 FILE]

Without any options it runs on what comes with the project and what torchvision can download. Finished parts
are kept in --runs and not computed again. Small settings, about an hour on two CPU cores; --scale 4
and a GPU are for patience.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))  # the other files of this folder
import backbones
import per_image
import report

from fast_nst.data.builtin import heldout_photographs
from fast_nst.pictures import encode_picture
from fast_nst.training.styles import style_path


def parse() -> argparse.Namespace:
    """The command's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--photograph", type=Path, help="content picture (default: one of scikit-image's)")
    parser.add_argument("--style", default="strokes", help="style picture")
    parser.add_argument("--cifar10", default="cifar10", help="parquet file of training pictures, or cifar10")
    parser.add_argument("--cifar10-test", help="parquet file of test pictures")
    parser.add_argument("--caltech101", default="caltech101", help="parquet file, or caltech101")
    parser.add_argument(
        "--network",
        nargs="*",
        default=[],
        metavar="NAME=PATH",
        help="more loss networks; a file called squeezenet... is the Caffe one",
    )
    parser.add_argument("--judge", default="vgg16", help="loss network that judges all pictures")
    parser.add_argument("--size", type=int, default=224, help="longer side of the stylized pictures")
    parser.add_argument("--scale", type=float, default=1.0, help="times the epochs and iterations")
    parser.add_argument("--runs", type=Path, default=Path("runs/experiments"))
    parser.add_argument("--output", type=Path, default=Path("docs"))
    return parser.parse_args()


def cached(runs: Path, name: str, settings: dict[str, Any], compute: Any) -> Any:
    """Figures and pictures from ``compute``, or from the disk where they are there for these settings."""
    folder = runs / name
    file = folder / "figures.json"
    settings = json.loads(json.dumps(settings, default=str))
    saved = json.loads(file.read_text()) if file.exists() else {}
    if saved.get("settings") != settings:
        folder.mkdir(parents=True, exist_ok=True)
        figures, pictures = compute(**settings)
        names = {f"{index:02d}.png": label for index, label in enumerate(pictures)}
        for file_name, label in names.items():
            encode_picture(folder / file_name, pictures[label])
        saved = {"settings": settings, "figures": figures, "pictures": names}
        file.write_text(json.dumps(saved, indent=1))
    pictures = {label: np.asarray(Image.open(folder / name)) for name, label in saved["pictures"].items()}
    return saved["figures"], pictures


def times(number: int, scale: float) -> int:
    """``number`` scaled, at least 1."""
    return max(1, round(number * scale))


def main() -> None:
    """Train the backbones, stylize with every loss network, write the report."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options = parse()
    runs = options.runs
    runs.mkdir(parents=True, exist_ok=True)
    photograph = options.photograph
    if photograph is None:
        photograph = runs / "photograph.png"
        encode_picture(photograph, heldout_photographs()[0][1])
    style = style_path(options.style)

    test = ["--data.test", options.cifar10_test] if options.cifar10_test else []
    cifar = [*("--config", "configs/backbone-cpu.yaml", "--data.source", options.cifar10), *test]
    cifar += ["--epochs", str(times(5, options.scale))]
    caltech = ["--config", "configs/backbone-cpu.yaml", "--data.source", options.caltech101]
    caltech += ["--data.size", "64", "--data.batch", "64", "--epochs", str(times(8, options.scale))]
    trained = {
        "CIFAR-10": backbones.train(runs / "cifar10", cifar),
        "Caltech101": backbones.train(runs / "caltech101", caltech),
    }
    variants: dict[str, Any] = {}
    if Path(options.cifar10).is_file():
        few = backbones.few_pictures(options.cifar10, times(4000, options.scale), runs / "few.parquet")
        variants = backbones.compare_variants(few, runs, times(5, options.scale))
    else:
        print("training improvements are left out: they need --cifar10 FILE, a parquet file", file=sys.stderr)

    networks = {
        "VGG16": "vgg16",
        **dict(pair.split("=", 1) for pair in options.network),
        "custom VGG19, CIFAR-10": str(runs / "cifar10" / "model.safetensors"),
        "custom VGG19, Caltech101": str(runs / "caltech101" / "model.safetensors"),
        "VGG19, random": "vgg19-random",
        "ResNet50, random": "resnet50-random",
    }
    common = {"photograph": photograph, "style": style, "size": options.size}
    compared = cached(
        runs,
        "networks",
        {**common, "networks": networks, "judge": options.judge, "iterations": times(60, options.scale)},
        per_image.compare_networks,
    )
    optimizers = cached(
        runs,
        "optimizers",
        {**common, "network": options.judge, "iterations": times(300, options.scale)},
        per_image.compare_optimizers,
    )
    report.write(options.output, trained, variants, compared, optimizers, style, options)


if __name__ == "__main__":
    main()
