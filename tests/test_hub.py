"""Models go to the Hugging Face Hub and come from there; the Hub is a server of ours with its HTTP API."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
import yaml
from fake_hub import TOKEN, FakeHub, fake_hub
from PIL import Image

from fast_nst.runtime.stylizer import Stylizer

pytest.importorskip("huggingface_hub")


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with fake_hub() as running:
        yield running


@pytest.fixture
def run_folder(tiny_model: Path, tmp_path: Path) -> Path:
    """A finished training's folder, as far as it is pushed."""
    folder = tmp_path / "runs" / "waves"
    folder.mkdir(parents=True)
    model = onnx.load(tiny_model)
    config = {"style": "waves.jpg", "steps": 3, "network": {"width": 8}}
    about = {"style": "waves", "license": "CC BY 4.0", "attribution": "Hokusai", "config": json.dumps(config)}
    onnx.helper.set_model_props(model, about)
    onnx.save(model, folder / "model.onnx")
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "card.md").write_text("# waves\n\n![what it paints](preview.jpg)\n")
    (folder / "preview.jpg").write_bytes(b"preview")
    (folder / "config.yaml").write_text("style: /home/somebody/waves.jpg\n")
    return folder


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)).save(path)
    return path


LAUNCH = "import sys; from fast_nst.cli import main; sys.exit(main(sys.argv[1:]))"


def run(
    hub: FakeHub, cache: Path, *arguments: object, code: str = LAUNCH, **environment: str
) -> subprocess.CompletedProcess[str]:
    """`fast-nst` for the Hub of the test: huggingface_hub reads its environment once, when it is imported."""
    ours = {name: text for name, text in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    ours |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(cache), "NO_PROXY": "127.0.0.1", **environment}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=ours, timeout=120)


def parts_of(card: bytes) -> tuple[dict[str, object], str]:
    """The metadata of a card and its text."""
    _, metadata, text = card.decode().split("---\n", 2)
    return yaml.safe_load(metadata), text


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_a_run_is_pushed_and_painted_with_offline_too(
    hub: FakeHub, run_folder: Path, picture: Path, tmp_path: Path
) -> None:
    done = run(hub, tmp_path / "cache", "push", run_folder, "me/waves", "--private", HF_TOKEN=TOKEN)
    assert (done.returncode, done.stdout) == (0, f"{hub.url}/me/waves\n"), done.stderr
    assert [asked["visibility"] for asked in hub.created] == ["private"]
    files = dict(hub.files("me/waves"))
    for name in ("model.onnx", "model.safetensors", "preview.jpg"):
        assert files.pop(name) == (run_folder / name).read_bytes()
    metadata, text = parts_of(files.pop("README.md"))
    assert metadata["license"] == "cc-by-4.0"
    assert metadata["library_name"] == "fast-nst"
    assert {"style-transfer", "onnx"} <= set(metadata["tags"])  # type: ignore[call-overload]
    assert metadata["thumbnail"] == f"{hub.url}/me/waves/resolve/main/preview.jpg"
    assert text.count("(preview.jpg)") == 1
    assert "--model hf://me/waves" in text
    config = files.pop("config.yaml")
    assert yaml.safe_load(config) == {"style": "waves.jpg", "steps": 3, "network": {"width": 8}}
    assert not files

    def painted(name: str, **environment: str) -> np.ndarray:
        output = tmp_path / f"{name}.png"
        arguments = ("stylize", picture, "--model", "hf://me/waves", "--output", output)
        done = run(hub, tmp_path / "cache", *arguments, **environment)
        assert (done.returncode, done.stderr) == (0, "")
        return pixels(output)

    expected = Stylizer(run_folder / "model.onnx")(pixels(picture))
    assert np.array_equal(painted("fetched"), expected)
    assert np.array_equal(painted("offline", HF_HUB_OFFLINE="1"), expected)
    hub.url = "http://127.0.0.1:9"  # nobody listens there
    assert np.array_equal(painted("unreachable"), expected)


def test_a_bare_file_of_many_styles_gets_a_card_and_a_preview(
    hub: FakeHub, gallery_model: Path, picture: Path, tmp_path: Path
) -> None:
    assert run(hub, tmp_path, "push", gallery_model, "hf://me/many", HF_TOKEN=TOKEN).returncode == 0
    files = hub.files("me/many")
    assert set(files) == {"README.md", "model.onnx", "preview.jpg"}
    metadata, text = parts_of(files["README.md"])
    assert (metadata["license"], metadata["license_name"]) == ("other", "mixed")
    for said in ("| scream | CC-BY-4.0 | Munch |", "fast, width 8", "(preview.jpg)"):
        assert said in text
    preview = np.asarray(Image.open(io.BytesIO(files["preview.jpg"])))
    sample, *painted = np.split(preview, 4, axis=1)  # the photograph and three styles
    assert min(np.abs(sample.astype(int) - other).mean() for other in painted) > 10
    output = tmp_path / "out.png"
    arguments = ("stylize", picture, "--model", "hf://me/many:waves:3+udnie", "--output", output)
    assert run(hub, tmp_path, *arguments).returncode == 0
    expected = Stylizer(gallery_model, "waves:3,udnie")(pixels(picture))
    assert np.abs(pixels(output).astype(int) - expected).max() <= 1


def test_a_revision_is_the_file_as_it_was_then(hub: FakeHub, tiny_model: Path, tmp_path: Path) -> None:
    model = onnx.load(tiny_model)
    commits = []
    for style in ("first", "second"):
        onnx.helper.set_model_props(model, {"style": style})
        commits.append(hub.commit("me/waves", {"model.onnx": model.SerializeToString()}))
    done = run(hub, tmp_path, "models", "hf://me/waves", *(f"hf://me/waves@{commit}" for commit in commits))
    styles = [line.strip() for line in done.stdout.splitlines() if "style:" in line]
    assert styles == ["style: second", "style: first", "style: second"]


def test_pushing_again_replaces_what_is_there(hub: FakeHub, tiny_model: Path, tmp_path: Path) -> None:
    hub.commit("me/waves", {"model.onnx": b"former", "notes.txt": b"kept"})
    assert run(hub, tmp_path, "push", tiny_model, "me/waves", HF_TOKEN=TOKEN).returncode == 0
    files = hub.files("me/waves")
    assert (files["model.onnx"], files["notes.txt"]) == (tiny_model.read_bytes(), b"kept")
    assert parts_of(files["README.md"])[0]["license"] == "unknown"


OFFLINE, LOGGED_IN = {"HF_HUB_OFFLINE": "1"}, {"HF_TOKEN": TOKEN}
MISTAKES = {
    "no such repository": (["models", "hf://me/nothing"], {}, "hf://me/nothing is not on the Hub"),
    "no such revision": (["models", "hf://me/empty@v2"], {}, "hf://me/empty has no revision v2"),
    "no model in it": (["models", "hf://me/empty"], {}, "hf://me/empty holds no model.onnx"),
    "offline and not in the cache": (["models", "hf://me/waves"], OFFLINE, "offline mode is enabled"),
    "no name": (["models", "hf://waves"], {}, "hf://OWNER/NAME"),
    "an impossible name": (["models", "hf://me/wa ves"], {}, "hf://me/wa ves: Repo id must"),
    "no token": (["push", "{model}", "me/waves"], {}, "push needs a token"),
    "a wrong token": (["push", "{model}", "me/waves"], {"HF_TOKEN": "hf_wrong"}, "Invalid credentials"),
    "another's": (["push", "{model}", "you/waves"], LOGGED_IN, "hf://you/waves: You don't have the rights"),
    "pushing offline": (["push", "{model}", "me/waves"], OFFLINE | LOGGED_IN, "offline mode is enabled"),
    "pushing to nobody": (
        *(["push", "{model}", "me/waves"], LOGGED_IN | {"HF_ENDPOINT": "http://127.0.0.1:9"}),
        "hf://me/waves: ",
    ),
    "pushing nothing": (["push", "no/such/run", "me/waves"], LOGGED_IN, "no/such/run"),
    "pushing a revision": (["push", "{model}", "me/waves@v2"], LOGGED_IN, "me/waves@v2"),
    "pushing a style": (["push", "{gallery}:waves", "me/waves"], LOGGED_IN, "fast-nst export"),
    "nowhere to push": (["push", "{model}"], LOGGED_IN, "OWNER/NAME"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_clear_line(
    name: str, hub: FakeHub, tiny_model: Path, gallery_model: Path, tmp_path: Path
) -> None:
    hub.commit("me/empty", {"README.md": b""})
    arguments, environment, named = MISTAKES[name]
    arguments = [argument.format(model=tiny_model, gallery=gallery_model) for argument in arguments]
    done = run(hub, tmp_path, *arguments, **environment)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("fast-nst: ")
    assert named in line
    assert TOKEN not in line
    assert "me/waves" not in hub.repositories


@pytest.mark.parametrize("arguments", [["models", "hf://me/waves"], ["push", "{model}", "me/waves"]])
def test_without_its_package_the_install_is_named(
    arguments: list[str], hub: FakeHub, tiny_model: Path, tmp_path: Path
) -> None:
    """That nothing else needs it: `test_runtime_works_where_the_extras_are_not_installed`."""
    code = f"import sys; sys.modules['huggingface_hub'] = None\n{LAUNCH}"
    done = run(hub, tmp_path, *(part.format(model=tiny_model) for part in arguments), code=code)
    assert done.returncode == 2
    assert done.stderr == f"fast-nst: {arguments[0]} needs huggingface_hub: pip install 'fast-nst[hub]'\n"


# --- a training that starts from one -------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("pushed", ["a run", "a file of many styles"])
def test_a_training_starts_from_a_repository(
    pushed: str, hub: FakeHub, gallery_model: Path, quick: list[str], tmp_path: Path
) -> None:
    import torch

    from fast_nst.networks.transform import TransformConfig, TransformNetwork, load_transform, save_transform

    if pushed == "a run":
        network = TransformNetwork(TransformConfig(4, 1))
        source = tmp_path / "weights.safetensors"
        save_transform(network, source, {})
        # Nothing is taken of the ONNX file beside it: one of a single style holds no weights to train on.
        hub.commit("me/waves", {"model.safetensors": source.read_bytes(), "model.onnx": b""})
    else:
        source = gallery_model
        hub.commit("me/waves", {"model.onnx": source.read_bytes()})
        quick = [*quick, "--network.width", "8", "--network.kind", "fast"]
    more = ("--steps", "1", "--optimizer.lr", "1e-9", "--output", tmp_path / "run")
    done = run(hub, tmp_path, "train", *quick, "--init-from", "hf://me/waves", *more)
    assert done.returncode == 0, done.stderr
    begun, theirs = (
        {key: value for key, value in load_transform(path)[0].state_dict().items() if value.ndim == 4}
        for path in (tmp_path / "run" / "model.safetensors", source)
    )
    assert begun.keys() == theirs.keys()
    assert all(torch.allclose(begun[key], theirs[key], atol=1e-5) for key in theirs)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "environment", "said"),
    [
        ("hf://me/nothing", {}, "hf://me/nothing is not on the Hub, or your token"),
        ("hf://me/empty", {}, "hf://me/empty holds no model.onnx"),
        ("hf://me/empty", OFFLINE, "hf://me/empty is not in the cache"),
        ("hf://me/empty:waves", {}, "takes the whole network: leave out :waves"),
    ],
)
def test_a_repository_that_a_training_cannot_start_from_is_one_clear_line(
    source: str, environment: dict[str, str], said: str, hub: FakeHub, quick: list[str], tmp_path: Path
) -> None:
    hub.commit("me/empty", {"README.md": b""})
    run_folder = tmp_path / "run"
    done = run(hub, tmp_path, "train", *quick, "--init-from", source, "--output", run_folder, **environment)
    assert done.returncode == 2
    assert said in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not run_folder.exists()
