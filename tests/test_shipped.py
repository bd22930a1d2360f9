"""What ships trained keeps the promises made for it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from fast_nst.builtin import heldout_photographs
from fast_nst.networks.transform import TransformConfig, load_transform
from fast_nst.quality import summary
from fast_nst.runtime.stylizer import Stylizer
from fast_nst.shipped import checkpoints_dir, list_models

STYLES = list_models()


def test_a_style_and_a_base_ship() -> None:
    assert "strokes" in STYLES
    for base, config in {
        "base": TransformConfig(16),
        "base-antialiased": TransformConfig(16, antialias=True),
        "base-fast": TransformConfig(32, kind="fast"),
        "base-tiny": TransformConfig(16, 3, kind="fast"),
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


# About a sixth above the worst that ships, by kind of network; docs/quality.md tells what each means.
STABILITY = {
    "johnson": {
        "shift_1px": 0.032,
        "shift_2px": 0.044,
        "shift_4px": 0.009,
        "noise": 0.013,
        "brightness": 0.004,
    },
    "fast": {
        "shift_1px": 0.027,
        "shift_2px": 0.033,
        "shift_4px": 0.017,
        "noise": 0.0055,
        "brightness": 0.003,
    },
}
E_STAB = {
    "johnson": {"sintel_alley_1": 0.043, "sintel_cave_2": 0.073},
    "fast": {"sintel_alley_1": 0.047, "sintel_cave_2": 0.092},
}
ARTEFACTS = {
    "johnson": {"lattice": 1.7, "lattice_share": 0.02, "stripes": 0.5, "weave": 0.65},
    "fast": {"lattice": 1.5, "lattice_share": 0.8, "stripes": 1.2, "weave": 1.9},
}
BORDERS_AND_BLOBS = {"border_ratio": 3.1, "frame": 31.0, "blobs": 8.0}


@pytest.mark.parametrize("path", STYLES.values(), ids=STYLES)
def test_every_style_is_as_still_and_as_clean_as_promised(path: Path) -> None:
    """By its card, which was measured of this very file."""
    told, model = on_card(path), Stylizer(path)
    assert told["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    kind = model.metadata["network"]
    most = STABILITY[kind] | E_STAB[kind] | ARTEFACTS[kind] | BORDERS_AND_BLOBS
    found = told["stability"] | told["stability"]["e_stab"] | told["artefacts"]
    assert {name: found[name] for name, value in most.items() if found[name] > value} == {}


@pytest.mark.parametrize("name", ["starry_night", "udnie-fast", "great_wave-tiny"])
def test_what_cards_tell_is_so(name: str) -> None:
    told, found = on_card(STYLES[name]), summary(name)
    for group, rounding in {"stability": 0.0003, "artefacts": 0.02}.items():
        for what, value in found[group].items():
            assert told[group][what] == pytest.approx(value, rel=0.05, abs=rounding), what


def on_card(path: Path) -> dict[str, Any]:
    """What a style's card says of one of its networks."""
    cards = checkpoints_dir() / "cards"
    return json.loads((cards / f"{path.stem.split('-')[0]}.json").read_text(encoding="utf-8"))[path.stem]


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
    cards = checkpoints_dir() / "cards"
    assert f"`{path.stem}`" in (cards / f"{path.stem.split('-')[0]}.md").read_text(encoding="utf-8")
    assert {"losses", "speed", "stability", "artefacts"} <= set(on_card(path))
    recipes = Path(__file__).parents[1] / "configs" / "gallery"
    assert yaml.safe_load((recipes / f"{path.stem}.yaml").read_text(encoding="utf-8"))["license"] == "MIT"


def test_ten_styles_ship_in_three_sizes() -> None:
    names = {name.split("-")[0] for name in STYLES}
    assert len(names) == 10
    assert set(STYLES) == {f"{name}{ending}" for name in names for ending in ("", "-fast", "-tiny")}
    everything = [path for path in checkpoints_dir().rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in everything) < 60e6
