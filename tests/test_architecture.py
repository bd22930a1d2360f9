"""Which room of the package knows of which (docs/architecture.md): arrows point one way."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import fast_nst

ROOT = Path(fast_nst.__file__).parent
# Small modules at the root that every room may use; of the package's own `__init__`, its version.
BASE = {"", "card", "contract", "errors", "files", "hub", "lists", "parity", "shipped", "stop"}
RUNTIME = {"machine", "pictures", "runtime"}
TRAINING = {"config", "data", "export", "losses", "machine", "networks", "pictures"}
ARROWS: dict[str, set[str]] = {
    "machine": set(),
    "pictures": set(),
    "networks": set(),
    "data": {"pictures"},
    "losses": {"networks"},
    "export": {"networks"},
    "old_weights": {"arguments", "export", "networks"},
    "config": {"data", "losses", "networks"},
    "training": TRAINING,
    "per_image": {*TRAINING, "training"},
    "backbone": {*TRAINING, "training"},
    "runtime": {"machine", "pictures"},
    "runtime.tiled": RUNTIME,
    "runtime.video": RUNTIME,
    "runtime.batch": {*RUNTIME, "runtime.tiled", "runtime.video"},
    "runtime.demo": {*RUNTIME, "runtime.video"},
    "runtime.live": {*RUNTIME, "runtime.video"},
    "runtime.serve": RUNTIME,
    "benchmark": {*TRAINING, "training", "runtime"},
    "twins": {"arguments", "data", "export", "runtime"},
    "evaluation": {*TRAINING, "training", "per_image", "benchmark", "runtime"},
    "arguments": set(),
    "terminal": set(),
    "outcome": {"terminal"},
    "live_command": {"runtime", "runtime.live", "terminal"},
    "stylize_command": {"pictures", "runtime.batch", "runtime.video", "terminal"},
}


def modules() -> dict[str, Path]:
    """Every module's dotted name below `fast_nst`, and its file."""
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path, known: set[str]) -> Iterator[str]:
    """The modules of `fast_nst` that a file imports, at its top, in functions and for type checkers."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = (alias.name for alias in node.names)
            yield from (name.removeprefix("fast_nst.") for name in names if name.startswith("fast_nst."))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "fast_nst":
            module = (node.module or "").removeprefix("fast_nst").lstrip(".")
            inner = (f"{module}.{alias.name}".lstrip(".") for alias in node.names)
            yield from (name if name in known else module for name in inner)


def room_of(module: str) -> str:
    """The folder that a module lies in, or its own name at the root."""
    first, *more = module.split(".")
    inner = ".".join((first, *more[:1]))
    return inner if inner in ARROWS else first


def test_rooms_know_only_of_rooms_below_them() -> None:
    known = modules()
    assert set(map(room_of, known)) == {*ARROWS, *BASE, "cli"}, "a new room: say in ARROWS what it may use"
    wrong = [
        f"{module} -> {used}"
        for module, path in known.items()
        for used in imports(path, set(known))
        if room_of(module) not in ("cli", "")
        and room_of(used) not in {room_of(module), *BASE, *ARROWS.get(room_of(module), set())}
    ]
    assert not wrong
    TopologicalSorter(ARROWS).prepare()  # raises on a circle


def test_no_module_needs_itself() -> None:
    """Not by way of others either, with the imports that stand in functions counted."""
    known = modules()
    graph = {module: {*imports(path, set(known))} - {""} for module, path in known.items() if module}
    TopologicalSorter(graph).prepare()  # raises on a circle, and names it
