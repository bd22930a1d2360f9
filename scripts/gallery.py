"""Makes the gallery of styles: recipes, trainings, cards.

    python scripts/gallery.py recipes                                  # writes configs/gallery/*.yaml
    python scripts/gallery.py train --styles DIR --content DIR         # trains what runs/gallery has not yet
    python scripts/gallery.py publish --styles DIR --heldout DIR       # copies networks, writes the cards

DIR of --styles holds the paintings under the names below (strokes.jpg ships with the package). Other options
of train go to every `fast-nst train`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from fast_nst.errors import UserError, user_errors_end

RECIPES = Path("configs/gallery")
RUNS = Path("runs/gallery")


@dataclass(frozen=True)
class Style:
    """A style picture."""

    title: str
    origin: str


PAINTINGS = {
    "strokes": Style("Strokes", "made by scripts/make_style_picture.py of this project (MIT)"),
    "starry_night": Style("The Starry Night", "Vincent van Gogh, 1889 (public domain)"),
    "great_wave": Style("The Great Wave off Kanagawa", "Katsushika Hokusai, 1831 (public domain)"),
    "the_scream": Style("The Scream", "Edvard Munch, 1893 (public domain)"),
    "composition_vii": Style("Composition VII", "Wassily Kandinsky, 1913 (public domain)"),
    "udnie": Style("Udnie", "Francis Picabia, 1913 (public domain)"),
    "edtaonisl": Style("Edtaonisl", "Francis Picabia, 1913 (public domain)"),
    "shipwreck": Style("The Shipwreck of the Minotaur", "J. M. W. Turner, about 1810 (public domain)"),
    "night_cafe": Style("The Night Café", "Vincent van Gogh, 1888 (public domain)"),
    "woman_with_hat": Style("Woman with a Hat", "Henri Matisse, 1905 (public domain)"),
}


@dataclass(frozen=True)
class Tier:
    """One of the networks a style has."""

    about: str
    base: str
    steps: int
    network: str
    loss: str
    size: int = 256
    more: str = ""


STILL = "  stability: 5\n"
TIERS = {  # by the end of the network's name, in the order of training
    "-fast": Tier("fast", "base-fast", 250, "  kind: fast\n  width: 32\n", STILL),
    "-tiny": Tier("smallest", "base-tiny", 300, "  kind: fast\n  width: 16\n  blocks: 3\n", STILL),
    # Left alone, a johnson network hatches flat areas; the fast one, which cannot, shows it another way.
    "": Tier(
        "standard",
        "base-antialiased",
        200,
        "  width: 16\n  antialias: true\n",
        "  teacher: runs/gallery/{name}-fast\n  imitation: 2\n",
        size=192,
        more="mixed_precision: bf16\n",
    ),
}
COMMON = """
loss:
  network: vgg19-compact
  content_tap: relu2_1
  downscale: 2
  style_size: 256
{loss}  weights:
    style: 8

data:
  size: {size}
  batch: 4

optimizer:
  lr: 2.0e-3
  warmup: 10
  ema: 0.98

log:
  validate: 50
"""


def recipe(name: str, ending: str) -> str:
    """The YAML that trains one network of the gallery."""
    style, tier, stem = PAINTINGS[name], TIERS[ending], f"{name}{ending}"
    picture = "strokes" if name == "strokes" else f"{name}.jpg"
    train = f"#   fast-nst train --style {picture} --content PHOTOGRAPHS --config configs/gallery"
    commands = f"{train}/{stem}.yaml\n"
    if "teacher" in tier.loss:
        commands = f"{train}/{name}-fast.yaml --output runs/gallery/{name}-fast\n{commands}"
    return (
        f"# {style.title}, {style.origin}: the {tier.about} network of the gallery.\n#\n{commands}\n"
        f"style: {picture}\ncontent: builtin\nlicense: MIT\nattribution: {style.title}, {style.origin}\n"
        f"init_from: {tier.base}\nsteps: {tier.steps}\n{tier.more}\nnetwork:\n{tier.network}"
        + COMMON.format(loss=tier.loss.format(name=name), size=tier.size)
    )


def write_recipes() -> None:
    """A file for each network."""
    RECIPES.mkdir(parents=True, exist_ok=True)
    for name in PAINTINGS:
        for ending in TIERS:
            (RECIPES / f"{name}{ending}.yaml").write_text(recipe(name, ending), encoding="utf-8")


def picture_of(name: str, styles: Path) -> str:
    """The style picture as `fast-nst train` takes it."""
    return "strokes" if name == "strokes" else str(styles / f"{name}.jpg")


def train(styles: Path, content: Path, more: list[str]) -> None:
    """All runs that are not finished, a tier after the other.

    Raises UserError for one that fails.
    """
    for ending, name in product(TIERS, PAINTINGS):
        path, run = RECIPES / f"{name}{ending}.yaml", RUNS / f"{name}{ending}"
        if (run / "model.onnx").exists():
            continue
        picture = picture_of(name, styles)
        command = [sys.executable, "-m", "fast_nst.cli", "train", "--config", str(path), "--style", picture]
        command += ["--content", str(content), "--output", str(run), "--resume", *more]
        if code := subprocess.run(command).returncode:
            raise UserError(f"the training of {run.name} ended with code {code}; once mended, train goes on")


def trained() -> dict[str, list[Path]]:
    """The finished runs of every style that has one, the standard one first."""
    runs = {name: [RUNS / f"{name}{ending}" for ending in sorted(TIERS)] for name in PAINTINGS}
    finished = {name: [run for run in of if (run / "model.onnx").exists()] for name, of in runs.items()}
    return {name: of for name, of in finished.items() if of}


def publish(styles: Path, heldout: Path, flow: Path | None) -> None:
    """Copies of what is trained into checkpoints/, with a card for each style.

    Raises UserError where nothing is trained, or a style picture or ``heldout`` is missing.
    """
    finished = trained()
    if not finished:
        raise UserError(f"{RUNS} holds no trained network; run the step train first")
    pictures = [Path(picture_of(name, styles)) for name in finished if name != "strokes"]
    missing = [picture for picture in pictures if not picture.is_file()]
    if missing:
        raise UserError(f"--styles: there is no {missing[0]}")
    from gallery_cards import (
        contact_sheet,
        loss_curve,
        measure,
        publish_strip,
        strip,
        write_card,
        write_index,
    )

    cards, shipped = Path("checkpoints/cards"), Path("checkpoints/styles")
    cards.mkdir(parents=True, exist_ok=True)
    shown, painters = {}, {}
    for name, runs in finished.items():
        style, picture = PAINTINGS[name], picture_of(name, styles)
        models = [Path(shutil.copy(run / "model.onnx", shipped / f"{run.name}.onnx")) for run in runs]
        publish_strip(cards / f"{name}.jpg", strip(picture, models))
        loss_curve(runs, cards / f"{name}-loss.png")
        earlier = cards / f"{name}.json"
        before = json.loads(earlier.read_text(encoding="utf-8")) if earlier.exists() else {}
        measured = measure(picture, models, heldout, flow, before)
        write_card(cards / f"{name}.md", style.title, style.origin, measured, runs)
        shown[name], painters[name] = picture, min(models, key=lambda model: not model.stem.endswith("-fast"))
    write_index(cards, {name: PAINTINGS[name].title for name in shown})
    publish_strip(Path("docs/pictures/gallery.jpg"), contact_sheet(shown, painters))


def main() -> None:
    """One of the three steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("step", choices=["recipes", "train", "publish"])
    parser.add_argument("--styles", type=Path, default=Path("styles"))
    parser.add_argument("--content", type=Path, default=Path("photographs"))
    parser.add_argument("--heldout", type=Path, default=Path("heldout"))
    parser.add_argument("--flow", type=Path, help="optical-flow sequences for e_stab")
    options, more = parser.parse_known_args()
    if more and options.step != "train":
        raise UserError(f"{options.step} knows no {more[0]}")
    if options.step == "recipes":
        write_recipes()
    elif options.step == "train":
        train(options.styles, options.content, more)
    else:
        publish(options.styles, options.heldout, options.flow)


if __name__ == "__main__":
    with user_errors_end("gallery"):
        main()
