"""The card of a network of one style or many: what it makes of photographs, and what was measured.

    python scripts/gallery_cards.py checkpoints/styles/NAME.onnx --styles DIR --heldout DIR [--flow DIR]

Writes NAME.md, NAME.json, NAME.jpg (every style on one photograph) and NAME/STYLE.jpg into
checkpoints/cards. DIR of --styles holds the pictures it was trained on, DIR of --heldout photographs it has
not seen. Interrupted, the same command goes on with the styles that are left.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fast_nst import Stylizer
from fast_nst.benchmark.networks import BenchmarkOptions, benchmark
from fast_nst.contract import StyleInfo, read_styles
from fast_nst.errors import UserError, user_errors_end
from fast_nst.evaluation.evaluate import evaluate
from fast_nst.evaluation.options import EvaluateOptions
from fast_nst.evaluation.quality import summary
from fast_nst.evaluation.scorecard import to_height
from fast_nst.machine.description import in_words
from fast_nst.networks.transform import config_of
from fast_nst.pictures import encode_picture, find_pictures
from fast_nst.pictures.tiles import tiles
from fast_nst.runtime.listing import describe_model
from fast_nst.runtime.models import find_model, short_name
from fast_nst.training.report import describe
from fast_nst.training.styles import style_path

HEIGHT = 256  # of a strip
COLUMNS = 6  # of the sheet of all styles


def style_pictures(folder: Path, styles: list[StyleInfo]) -> dict[str, Path]:
    """The style pictures by name, each the very file the network was trained on.

    Raises:
        UserError: one is missing.
    """
    files = [style_path("strokes"), *(find_pictures(folder) if folder.is_dir() else [])]
    by_hash = {hashlib.sha256(file.read_bytes()).hexdigest(): file for file in files}
    missing = [style.name for style in styles if style.picture_sha256 not in by_hash]
    if missing:
        raise UserError(f"--styles {folder} lacks what these were trained on: {', '.join(missing)}")
    return {style.name: by_hash[style.picture_sha256] for style in styles}


def measure(model: str, picture: Path, judged: EvaluateOptions, flow: Path | None) -> dict[str, Any]:
    """Median losses and sharpness on held-out photographs, stability and artefacts of FILE:STYLE."""
    judged.style = str(picture)
    photograph, painted = evaluate([model], judged).methods.values()
    losses = {name: round(painted.median(name), 3) for name in ("content", "style", "tv", "total")}
    losses["style of the photographs"] = round(photograph.median("style"), 3)
    detail = float(painted.sharpness[0] / photograph.sharpness[0])
    return {"losses": losses, "detail at 2-4 px": round(detail, 2), **summary(model, flow)}


def speed(model: str) -> dict[str, Any]:
    """Milliseconds per picture, what `fast-nst benchmark --sizes 512 --rounds 3 --seconds 0.5` gives."""
    report = benchmark([model], BenchmarkOptions(3, 0.5, sizes=512))
    return {"ms at 512x512": round(1000 * report.cells[0].median, 1), "machine": in_words(report.machine)}


def strip(picture: Path, stylizer: Stylizer) -> np.ndarray:
    """The style, then scikit-image's photographs (CC0, public domain), each before what becomes of it."""
    from skimage import data

    parts = [to_height(np.asarray(Image.open(picture).convert("RGB")), HEIGHT)]
    for photograph in (data.chelsea(), data.astronaut(), data.coffee()):
        before = to_height(photograph, HEIGHT)
        parts += [before, stylizer(before)]
    return np.concatenate(parts, 1)


def sheet_cell(picture: Path, stylizer: Stylizer) -> np.ndarray:
    """One photograph after a style, the style picture in a corner; uint8 [300, 300, 3]."""
    from skimage import data

    cell = Image.fromarray(stylizer(np.ascontiguousarray(data.chelsea()[:, 60:360])))
    corner = Image.open(picture).convert("RGB")
    corner.thumbnail((90, 90), Image.Resampling.LANCZOS)
    cell.paste(Image.new("RGB", (corner.width + 4, corner.height + 4), "white"), (0, 0))
    cell.paste(corner, (2, 2))
    return np.asarray(cell)


def as_markdown(name: str, told: dict[str, Any]) -> str:
    """The card: the network, a table of all styles, a strip of each."""
    heads = ["", "content", "style", "of the photographs'", "detail", "1 px", "noise"]
    heads += ["lattice", "border ratio", "frame", "blobs", "stripes"]
    rows = [heads, ["---"] * len(heads)]
    strips = []
    for style, found in told["styles"].items():
        losses, still, clean = found["losses"], found["stability"], found["artefacts"]
        share = losses["style"] / max(losses["style of the photographs"], 1e-9)
        cells = [losses["content"], losses["style"], f"{share:.0%}", found["detail at 2-4 px"]]
        cells += [still["shift_1px"], still["noise"], clean["lattice"], clean["border_ratio"]]
        cells += [clean["frame"], clean["blobs"], clean["stripes"]]
        rows.append([f"[{style}](#{style})", *map(str, cells)])
        origin = ". ".join(text for text in (found["attribution"], f"License: {found['license']}") if text)
        strips.append(f"## {style}\n\n{origin}.\n\n![the style, photographs, paintings]({name}/{style}.jpg)")
    count = len(told["styles"])
    about = [
        f"{f'{count} styles in one network' if count > 1 else 'A network of one style'}: {told['network']},"
        f" {told['size_bytes'] / 1e6:.1f} MB.",
        f"Trained {told['training']}.",
        f"A picture of 512x512 takes {told['speed']['ms at 512x512']} ms ({told['speed']['machine']}).",
    ]
    notes = (
        f"Losses: medians over {told['photographs']} held-out photographs at {told['size']} px under vgg16,"
        " and the share of the photographs' own style loss that is left. Detail: luma at periods of 2 to 4 px"
        " against the photographs'; below 1 is softer. The others: [docs/quality.md](../../docs/quality.md)."
    )
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    what = "every style" if count > 1 else "the style"
    top = [f"# {name}", f"![{what} on one photograph]({name}.jpg)", " ".join(about), table, notes]
    return "\n\n".join([*top, *strips]) + "\n"


def describe_training(about: dict[str, str]) -> str:
    """The recipe in a few words, from what the file says of itself."""
    config = json.loads(about["config"])
    crops = f"{config['steps']} steps of {config['data']['batch']} crops at {config['data']['size']} px"
    return f"{crops}, under {about['loss_network']}"


def main() -> None:
    """Measure every style, then write the card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", type=Path, help="ONNX file, or a run")
    parser.add_argument("--styles", type=Path, required=True, help="folder of the style pictures")
    parser.add_argument("--heldout", type=Path, required=True, help="folder of photographs")
    parser.add_argument("--flow", type=Path, help="optical-flow sequences for e_stab")
    parser.add_argument("--count", type=int, default=10, help="photographs to judge on")
    parser.add_argument("--size", type=int, default=512, help="their longer side")
    parser.add_argument("--output", type=Path, default=Path("checkpoints/cards"))
    options = parser.parse_args()

    described = describe_model(find_model(options.model))
    file, about = described["path"], described["metadata"]
    styles, name = read_styles(about), short_name(file)
    pictures = style_pictures(options.styles, styles)
    judged = EvaluateOptions(
        style="strokes", content=options.heldout, count=options.count, size=options.size, baseline=0
    )
    settings = {"sha256": hashlib.sha256(file.read_bytes()).hexdigest(), "size": judged.size}
    settings |= {"photographs": judged.count}
    card = options.output / f"{name}.json"
    told: dict[str, Any] = json.loads(card.read_text(encoding="utf-8")) if card.exists() else {}
    if any(told.get(key) != value for key, value in settings.items()):
        told = {**settings, "styles": {}}
    (options.output / name).mkdir(parents=True, exist_ok=True)
    cells = []
    for style in styles:
        picture, model = pictures[style.name], f"{file}:{style.name}"
        if style.name not in told["styles"]:
            told["styles"][style.name] = asdict(style) | measure(model, picture, judged, options.flow)
            card.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        stylizer = Stylizer(file, style.name)
        encode_picture(options.output / name / f"{style.name}.jpg", strip(picture, stylizer), quality=85)
        cells.append(sheet_cell(picture, stylizer))
    told |= {"network": describe(config_of(about)), "training": describe_training(about)}
    told["speed"] = speed(f"{file}:{styles[0].name}")
    told["size_bytes"] = file.stat().st_size
    card.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    encode_picture(options.output / f"{name}.jpg", tiles(cells, min(COLUMNS, len(cells))), quality=85)
    (options.output / f"{name}.md").write_text(as_markdown(name, told), encoding="utf-8")


if __name__ == "__main__":
    with user_errors_end("gallery_cards"):
        main()
