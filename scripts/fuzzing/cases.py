"""One case: a bad file, where it lies, and the command it is given to."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from random import Random

from fuzzing.mutations import mutate, mutate_graph
from fuzzing.seeds import Seed

_SUFFIXES = (
    *("jpg", "png", "webp", "tif", "bmp", "gif", "avif", "ppm", "jp2", "qoi", "heic"),
    *("mp4", "mov", "mkv", "webm", "avi", "ts", "mpg", "flv", "wmv", "y4m", "onnx", "txt"),
)
_NAMES = ("two\nlines", "\x1b[31mred", "caf\udce9", "ünïcode", "-dash", "a:b", "100%d", "[x]*?", " space ")
_OPTIONS = (
    *([], [], [], ["--size", "24"], ["--strength", "0.5"], ["--preserve-color"]),
    *(["--max-pixels", "100000"], ["--no-overwrite"]),
)


@dataclass(frozen=True)
class Case:
    """A mutated file and what is done with it."""

    index: int
    kind: str
    """Of the seed: picture, video, model, other."""
    seed: Seed
    how: str
    """Names of the mutations."""
    name: str
    """The file's."""
    data: bytes
    form: str
    """Where it stands in the command: alone, beside (good files), single (output), frames, model, models."""
    options: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"case {self.index}: {self.seed.name}, {self.how}, as {self.name!r}, {self.form}"


def make_case(seeds: list[Seed], seed: int, index: int) -> Case:
    """Case `index` of a run; it depends on `seed` and `index` alone."""
    rng = Random(f"{seed} {index}")
    kind = rng.choices(("picture", "video", "model", "other"), (8, 7, 4, 1))[0]
    chosen = rng.choice([one for one in seeds if one.kind == kind])
    data, how = chosen.data, ["as it is"]
    if kind == "model" and data and rng.random() < 0.5:
        data, how = mutate_graph(rng, data), ["graph"]
    elif rng.random() < 0.92:
        data, how = mutate(rng, data, rng.choice(seeds).data)
    suffix = chosen.name.rsplit(".", 1)[1]
    if rng.random() < 0.15 or how == ["as it is"]:
        suffix = rng.choice(_SUFFIXES)
        how.append("renamed")
    stem = rng.choice(_NAMES) if rng.random() < 0.05 else f"bad{index}"
    forms = {"model": ("model", "model", "model", "models", "film")}
    form = rng.choice(forms.get(kind, ("alone", "alone", "alone", "beside", "single", "frames", "model")))
    options = rng.choice(_OPTIONS) if form not in ("models",) else []
    return Case(index, kind, chosen, " + ".join(how), f"{stem}.{suffix}", data, form, tuple(options))


def lay_out(case: Case, data: bytes, folder: Path, good: dict[str, bytes]) -> tuple[list[str], Path]:
    """Put the case's files below an empty folder; the command line, and the path of the bad file."""
    shutil.rmtree(folder, ignore_errors=True)
    source, out = folder / "in", folder / "out"
    for path in (source, out, folder / "tmp"):
        path.mkdir(parents=True)
    bad = source / case.name
    bad.write_bytes(data)
    for name in ("negative.onnx", "still.png", "clip.gif"):
        (folder / name).write_bytes(good[name])
    given, model, target = [str(bad)], str(folder / "negative.onnx"), str(out)
    options = list(case.options)
    if case.form == "models":
        return ["models", f"{bad}"], bad
    if case.form in ("model", "film"):
        given, model = [str(folder / ("still.png" if case.form == "model" else "clip.gif"))], str(bad)
    elif case.form == "beside":
        given = [str(source)]
        (source / "1.png").write_bytes(good["still.png"])
        (source / "9.gif").write_bytes(good["clip.gif"])
    elif case.form == "single":
        target = str(out / ("result.mp4" if case.kind == "video" else "result.jpg"))
    elif case.form == "frames" and case.kind == "video":
        options += ["--format", "png"]
    elif case.form == "frames":
        given, target = [str(source)], str(out / "film.mp4")
        (source / "a.png").write_bytes(good["still.png"])
        (source / "z.png").write_bytes(good["still.png"])
        options += ["--fps", "5"]
    return ["stylize", *given, "--model", model, "--output", target, "--threads", "1", *options], bad
