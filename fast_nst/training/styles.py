"""The styles a network learns: their pictures, what is known of them, and the weights they start from."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

import numpy as np
import torch
import yaml
from torch import Tensor

from fast_nst.config import TrainConfig
from fast_nst.contract import StyleInfo, read_styles
from fast_nst.errors import UserError, one_line
from fast_nst.export import weights_file
from fast_nst.hub import SCHEME, fetch_weights, hub_name
from fast_nst.losses.perceptual import PerceptualLoss
from fast_nst.networks.transform import TransformConfig, TransformNetwork, load_transform
from fast_nst.pictures import find_pictures
from fast_nst.shipped import list_models
from fast_nst.training.folder import averaged_network

logger = logging.getLogger("fast_nst")

ABOUT = "styles.yaml"  # in a folder of styles: who made the pictures, and the licenses
JUDGED_ON = 2  # pictures, to find the nearest style: enough for an order


@dataclass(frozen=True)
class Style:
    """A style picture and what the exported file will say of it."""

    file: Path
    info: StyleInfo


def find_styles(config: TrainConfig) -> list[Style]:
    """The styles that ``config.style`` names, those of a folder sorted by name.

    Raises:
        UserError: none given, no such file, an empty folder, two pictures of one name, a damaged styles.yaml.
    """
    if config.style is None:
        raise UserError(
            "--style is missing: give a picture, a folder of pictures, or 'strokes', the one that ships"
        )
    source = Path(config.style)
    if not source.is_dir():
        file = style_path(config.style)
        info = StyleInfo(config.style_name, config.license, config.attribution, _sha256(file))
        return [Style(file, info)]
    files = sorted(find_pictures(source), key=lambda file: file.stem)
    if not files:
        raise UserError(f"--style {source} is a folder without pictures")
    twice = [name for name, count in Counter(file.stem for file in files).items() if count > 1]
    if twice:
        raise UserError(f"--style {source} holds more than one picture called {twice[0]}: rename one")
    about = _about_styles(source / ABOUT)
    return [
        Style(
            file,
            StyleInfo(
                file.stem,
                about.get(file.stem, {}).get("license", config.license),
                about.get(file.stem, {}).get("attribution", config.attribution),
                _sha256(file),
            ),
        )
        for file in files
    ]


def style_path(style: str) -> Path:
    """The style picture's file; 'strokes' is the one that ships."""
    if style == "strokes":
        return Path(str(resources.files("fast_nst") / "assets" / "strokes.jpg"))
    return Path(style)


def _sha256(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f"--style {file} cannot be read: {error.strerror or error}") from error


def _about_styles(file: Path) -> dict[str, dict[str, str]]:
    if not file.is_file():
        return {}
    try:
        about = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
        return {str(name): {k: str(v) for k, v in values.items()} for name, values in about.items()}
    except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError) as error:
        raise UserError(f"{file} must map NAME to attribution and license: {one_line(error)}") from error


def draw_styles(seed: int, first: int, count: int, styles: int) -> Tensor:
    """Style numbers [count] of the training pictures from number ``first`` on.

    Every style is drawn once before any is drawn again, in a new order each time.
    """
    drawn = []
    for position in range(first, first + count):
        round_, index = divmod(position, styles)
        drawn.append(int(np.random.default_rng((seed, 9, round_)).permutation(styles)[index]))
    return torch.tensor(drawn)


def start_network(
    config: TrainConfig, checkpoint: Path | None
) -> tuple[TrainConfig, TransformNetwork | None, dict[str, str]]:
    """The config with the architecture of ``init_from``, that network, and what its file says.

    A run that goes on from its ``checkpoint`` has its own network from there.

    Raises:
        UserError: nothing to start from there, or --network asks for another architecture.
    """
    source = config.init_from
    if source is None:
        return config, None if checkpoint is None else averaged_network(checkpoint), {}
    about: dict[str, str] = {}
    if checkpoint is not None:
        network = averaged_network(checkpoint)
    else:
        network, about = load_transform(_weights_of(source))
    theirs, asked = network.config, config.network
    if asked not in (TransformConfig(), theirs, replace(theirs, antialias=asked.antialias)):
        head = f" --network.head {theirs.head}" if theirs.head != asked.head else ""
        raise UserError(
            f"--init-from {source} has another architecture: leave out --network, or give --network.kind"
            f" {theirs.kind} --network.width {theirs.width} --network.blocks {theirs.blocks}{head}"
        )
    if asked != TransformConfig() and asked != theirs:  # antialiasing adds no weights
        state = network.state_dict()
        network = TransformNetwork(asked, network.styles, network.mixing)
        network.load_state_dict(state)
    return replace(config, network=network.config), network, about


def _weights_of(source: str) -> Path:
    """The file that --init-from names."""
    if source.startswith(SCHEME):
        name = hub_name(source)
        if name.style is not None:
            raise UserError(f"--init-from {source} takes the whole network: leave out :{name.style}")
        return fetch_weights(name)
    shipped = list_models()
    if Path(source).exists():
        return weights_file(Path(source))
    if source in shipped:
        return shipped[source]
    raise UserError(
        f"--init-from {source}: no such run or weights file, nor one that ships ({', '.join(shipped)})"
    )


@torch.no_grad()
def adopt_styles(
    network: TransformNetwork,
    about: dict[str, str],
    styles: Sequence[Style],
    loss: PerceptualLoss,
    pictures: Tensor,
) -> TransformNetwork:
    """``network`` with ``styles`` in place of its own, each starting from the norms that suit it best.

    A picture it was trained on keeps its own norms. Any other takes those under which ``pictures``
    [N, 3, H, W] in [0, 1] come nearest to it, by the style loss.
    """
    known = {info.picture_sha256: number for number, info in enumerate(read_styles(about))}
    rows = [known.get(style.info.picture_sha256, -1) for style in styles]
    unknown = [number for number, row in enumerate(rows) if row < 0]
    if unknown:
        judged = torch.zeros(network.styles, len(styles))
        few = pictures[:JUDGED_ON]
        for row in range(network.styles):
            painted = network(few, torch.eye(network.styles, device=few.device)[row : row + 1])
            raw = loss.network(painted, loss.style_taps)
            for number in unknown:
                same = torch.full((len(few),), number, device=few.device)
                judged[row, number] = sum(map(float, loss.style_terms(loss.smooth(raw, same), same).values()))
        names = [info.name for info in read_styles(about)]
        for number in unknown:
            rows[number] = int(judged[:, number].argmin())
            logger.info("%s starts from %s", styles[number].info.name, names[rows[number]])
    return network.with_styles(torch.eye(network.styles)[rows])
