"""A model as a repository on the Hugging Face Hub: ONNX file, weights, config, and the card as its page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import yaml

from fast_nst.card import card
from fast_nst.errors import UserError, printable
from fast_nst.hub import FILE, SCHEME, HubName, hub_errors, hub_name
from fast_nst.pictures import decode_picture, picture_bytes, resize_longer_side
from fast_nst.runtime.models import find_model
from fast_nst.runtime.stylizer import Stylizer
from fast_nst.shipped import SAMPLE

PREVIEW = "preview.jpg"
_SHOWN, _LONGER_SIDE = 3, 384  # styles of many in the preview, and its pictures in pixels
# Those of the Hub's identifiers that networks and pictures come under; it refuses what it does not know.
_LICENSES = frozenset(
    {
        *("apache-2.0", "mit", "bsd", "bsd-2-clause", "bsd-3-clause", "unlicense", "wtfpl", "mpl-2.0"),
        *("gpl-2.0", "gpl-3.0", "agpl-3.0", "lgpl-3.0", "openrail", "cc0-1.0", "cc-by-3.0", "cc-by-4.0"),
        *("cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0"),
        *("cc-by-nd-4.0", "cc-by-nc-nd-4.0"),
    }
)
_USE = """
## Use it

    pip install 'fast-nst[hub]'
    fast-nst stylize photo.jpg --model {name}

`model.onnx` takes and gives pixels, uint8 RGB `[N, H, W, 3]` of any size, wherever ONNX Runtime runs.
`fast-nst models {name}` shows what it says of itself.
"""


@dataclass
class PushOptions:
    """What the repository is like."""

    private: bool = False
    """Make a new repository a private one; one that is there stays as it is."""


def push(source: str, target: str, options: PushOptions) -> str:
    """Put a model on the Hub, in one commit, in a new repository where there is none; returns its page's URL.

    Args:
        source: a run's folder or anything else `find_model` takes, but for one style of many.
        target: OWNER/NAME.

    Raises:
        UserError: no such model, no token, or the Hub cannot be reached or refuses it.
        ModuleNotFoundError: huggingface_hub is not installed.
    """
    from huggingface_hub import CommitOperationAdd, HfApi, get_token, hf_hub_url

    name = hub_name(target if target.startswith(SCHEME) else f"{SCHEME}{target}")
    if name != HubName(name.repository):
        raise UserError(f"push to OWNER/NAME, without a revision or a style, not to {target}")
    if get_token() is None:
        raise UserError("push needs a token of the Hugging Face Hub: log in (hf auth login) or set HF_TOKEN")
    api = HfApi()
    with hub_errors(name):
        thumbnail = hf_hub_url(name.repository, PREVIEW)
    files = repository_files(source, name.repository, thumbnail)
    with hub_errors(name):
        page = api.create_repo(name.repository, private=options.private or None, exist_ok=True)
        added = [CommitOperationAdd(path, content) for path, content in files.items()]
        api.create_commit(name.repository, added, commit_message="Pushed by fast-nst")
    return str(page)


def repository_files(source: str, repository: str, thumbnail: str) -> dict[str, bytes]:
    """What a repository holds: path -> content.

    Args:
        source: as `push` takes it. Of a run's folder weights, card and preview are taken; card and preview
            are made where there are none.
        repository: OWNER/NAME, for the card.
        thumbnail: URL of the preview, for the card.

    Raises:
        UserError: no such model, or a style of one.
    """
    model = find_model(source)
    if model.style is not None:
        raise UserError(f"{source} is a style of a file: write it as one with fast-nst export, and push that")
    stylizer = Stylizer(model.path, providers=["cpu"])
    about = stylizer.metadata
    weights, page, preview = (
        path.read_bytes() if model.path.name == FILE and path.is_file() else None
        for path in map(model.path.with_name, ("model.safetensors", "card.md", PREVIEW))
    )
    text = page.decode(errors="replace") if page else card(about)
    if PREVIEW not in text:
        text += f"\n![a photograph and what becomes of it]({PREVIEW})\n"
    files = {
        "README.md": (front_matter(about, thumbnail) + text + _USE.format(name=SCHEME + repository)).encode(),
        FILE: model.path.read_bytes(),
        PREVIEW: preview or picture_bytes(painted_sample(stylizer), "jpg", quality=88),
    }
    if weights is not None:
        files["model.safetensors"] = weights
    if "config" in about:  # not the run's own file, which names folders of this machine
        try:
            files["config.yaml"] = yaml.safe_dump(json.loads(about["config"]), sort_keys=False).encode()
        except ValueError as error:
            raise UserError(f"{source} is damaged: its config is not JSON") from error
    return files


def front_matter(about: Mapping[str, str], thumbnail: str) -> str:
    """The metadata of a card on the Hub: license, tags, library, thumbnail.

    Args:
        about: the ONNX file's metadata.
        thumbnail: URL of a picture.
    """
    values: dict[str, Any] = {
        **_license(about.get("license", "unspecified")),
        "library_name": "fast-nst",
        "pipeline_tag": "image-to-image",
        "tags": ["style-transfer", "neural-style-transfer", "onnx", "fast-nst"],
        "thumbnail": thumbnail,
    }
    return f"---\n{yaml.safe_dump(values, sort_keys=False, allow_unicode=True)}---\n\n"


def _license(text: str) -> dict[str, str]:
    """A license as the Hub wants it: by its identifier, or as another with a name."""
    name = "-".join(printable(text).lower().split())
    if name == "unspecified":
        return {"license": "unknown"}
    return {"license": name} if name in _LICENSES else {"license": "other", "license_name": name}


def painted_sample(stylizer: Stylizer) -> np.ndarray:
    """The bundled photograph and what the first styles make of it, side by side; uint8 [H, W, 3]."""
    sample = resize_longer_side(decode_picture(SAMPLE).pixels, _LONGER_SIDE)
    painted = [stylizer(sample, style=name) for name in stylizer.style_names[:_SHOWN]]
    return np.concatenate([sample, *painted], axis=1)
