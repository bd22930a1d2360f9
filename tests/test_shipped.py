"""What ships trained keeps the promises made for it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import yaml

from fast_nst.artefacts import artefacts
from fast_nst.builtin import heldout_photographs
from fast_nst.networks.transform import TransformConfig, load_transform
from fast_nst.quality import builtin_pictures
from fast_nst.runtime.models import checkpoints_dir, list_models
from fast_nst.runtime.stylizer import Stylizer
from fast_nst.stability import stability

STYLES = list_models()


def test_a_style_and_a_base_ship() -> None:
    assert "strokes" in STYLES
    for base, config in {
        "base": TransformConfig(16),
        "base-antialiased": TransformConfig(16, antialias=True),
        "base-fast": TransformConfig(32, kind="fast"),
    }.items():
        network, header = load_transform(checkpoints_dir() / f"{base}.safetensors")
        assert network.config == config
        assert header["license"] == "MIT"


@pytest.mark.parametrize("path", STYLES.values(), ids=STYLES)
def test_every_style_says_where_it_comes_from(path: Path) -> None:
    metadata = Stylizer(path).metadata
    for key in ("style", "license", "attribution", "loss_network_sha256", "style_sha256", "config"):
        assert metadata[key], key
    assert metadata["license"] != "unspecified"
    assert json.loads(metadata["parity"])["worst_grey_levels"] <= 1


# About a fifth above the worst that ships, by kind of network; docs/quality.md tells what each means.
STABILITY = {
    "johnson": {"shift_1px": 0.07, "shift_2px": 0.09, "shift_4px": 0.008, "noise": 0.04, "brightness": 0.01},
    "fast": {"shift_1px": 0.023, "shift_2px": 0.029, "shift_4px": 0.018, "noise": 0.006, "brightness": 0.003},
}
ARTEFACTS = {
    "johnson": {"lattice": 1.2, "lattice_share": 0.02, "stripes": 3.0, "weave": 9.5},
    "fast": {"lattice": 1.2, "lattice_share": 0.8, "stripes": 0.9, "weave": 1.6},
}
BORDERS_AND_BLOBS = {"border_ratio": 3.7, "frame": 28.0, "blobs": 8.0}


@pytest.mark.parametrize("path", STYLES.values(), ids=STYLES)
def test_every_style_is_as_still_and_as_clean_as_promised(path: Path) -> None:
    """On the first built-in picture alone: the tables in docs/quality.md are over four."""
    model, picture = Stylizer(path), builtin_pictures()[0]
    still, clean = stability(model, [picture]), asdict(artefacts(model, [picture]))
    errors = {f"shift_{by}px": error for by, error in still.shift.items()}
    errors |= {"noise": still.noise, "brightness": still.brightness}
    kind = model.metadata["network"]
    most = STABILITY[kind] | ARTEFACTS[kind] | BORDERS_AND_BLOBS
    assert {name: value for name, value in (errors | clean).items() if value > most[name]} == {}


@pytest.mark.parametrize("path", STYLES.values(), ids=STYLES)
def test_a_style_is_no_color_filter(path: Path) -> None:
    """Pixels of one color come out in many: it paints strokes."""
    stylizer = Stylizer(path)
    for _, pixels in heldout_photographs():
        result = stylizer(pixels)
        grey = pixels.mean(2).round().astype(int)
        level = np.bincount(grey.ravel()).argmax()
        assert result[grey == level].mean(1).std() > 10


@pytest.mark.parametrize("path", STYLES.values(), ids=STYLES)
def test_every_gallery_style_has_a_card_and_a_recipe(path: Path) -> None:
    if path.stem == "strokes":
        return  # the quickstart's; its card is in checkpoints/README.md
    name = path.stem.removesuffix("-fast")
    cards = checkpoints_dir() / "cards"
    assert f"`{path.stem}`" in (cards / f"{name}.md").read_text(encoding="utf-8")
    measured = json.loads((cards / f"{name}.json").read_text(encoding="utf-8"))
    assert {"losses", "stability", "artefacts"} <= set(measured[path.stem])
    recipes = Path(__file__).parents[1] / "configs" / "gallery"
    assert yaml.safe_load((recipes / f"{path.stem}.yaml").read_text(encoding="utf-8"))["license"] == "MIT"
