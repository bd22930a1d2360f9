"""Quality against time: the losses and the speed of networks of one style, beside each other.

    python scripts/frontier.py --style PAINTING --content HELDOUT MODEL...

The first model is what the others are compared with. Losses are medians of `fast-nst evaluate` on photographs
that no network was trained on; detail is luma at periods of 2 to 4 px against the photographs'; times are
those of `fast-nst benchmark`, in turns. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from fast_nst.benchmark.networks import BenchmarkOptions, benchmark
from fast_nst.benchmark.rounds import base_of, ratio
from fast_nst.data.crops import load_image
from fast_nst.errors import UserError, user_errors_end
from fast_nst.evaluation.evaluate import evaluate
from fast_nst.evaluation.options import EvaluateOptions
from fast_nst.evaluation.quality import UNCHANGED, named_models, summary
from fast_nst.machine.description import in_words
from fast_nst.pictures import find_pictures
from fast_nst.training.styles import style_path


def main() -> None:
    """Measure, and print a table as Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", help="ONNX files, runs or names")
    parser.add_argument("--style", required=True)
    parser.add_argument("--content", type=Path, required=True, help="folder of held-out photographs")
    parser.add_argument("--sizes", default="256,512,720p")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=1.0)
    options = parser.parse_args()
    timed = BenchmarkOptions(options.rounds, options.seconds, sizes=options.sizes, threads=options.threads)
    judged = EvaluateOptions(style=options.style, content=options.content, baseline=0)
    check(options.models, options.style, options.content)
    times = benchmark(options.models, timed)
    losses = evaluate(options.models, judged)
    methods = dict(losses.methods)
    photograph = methods.pop(UNCHANGED)
    names = list(dict.fromkeys(cell.name for cell in times.cells))
    conditions = list(dict.fromkeys(_where(cell.condition) for cell in times.cells))
    heads = ["", "content", "style", "total", "detail", "1 px shift", *conditions]
    print(f"{in_words(times.machine)}. Milliseconds per picture; in brackets the share of {names[0]}.\n")
    print("| " + " | ".join(heads) + " |", "|---" * len(heads) + "|", sep="\n")
    for name, method, model in zip(names, methods.values(), options.models, strict=True):
        still = summary(model)["stability"]["shift_1px"]
        detail = float(method.sharpness[0] / photograph.sharpness[0])
        row = [name, *(f"{method.median(term):.3f}" for term in ("content", "style", "total"))]
        row += [f"{detail:.2f}", f"{still:.3f}"]
        for cell in (cell for cell in times.cells if cell.name == name):
            share = ratio(cell, base_of(cell, times.cells))
            row.append(f"{1000 * cell.median:.1f} ({share.median:.3f})" if share else "failed")
        print("| " + " | ".join(row) + " |")


def check(models: list[str], style: str, content: Path) -> None:
    """Raise UserError now for what would be found wrong only after all rounds of the benchmark."""
    if len(named_models(models)) < len(models):
        raise UserError("a model is named twice")
    load_image(style_path(style))
    if not content.is_dir():
        raise UserError(f"--content {content} is not a folder")
    if not find_pictures(content):
        raise UserError(f"--content {content} holds no pictures")


def _where(condition: dict[str, Any]) -> str:
    return "{width}x{height}, threads: {threads}".format(**condition)


if __name__ == "__main__":
    with user_errors_end("frontier"):
        main()
