"""How much worse is a network trained on built-in content than one trained on photographs?

python scripts/compare_content.py --photographs DIR --heldout DIR --output DIR [fast-nst train options]

Both are trained for the same budget with the same options and judged on the same held-out photographs.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

TERMS = ("total", "content", "style", "tv")


def validation(run: Path) -> dict[str, float]:
    """The last validation losses of a run."""
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    return {term: float(events.Scalars(f"validation/{term}")[-1].value) for term in TERMS}


def main() -> None:
    """Train both, then print a table and the ratio of the total losses."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--photographs", required=True, help="folder to train on")
    parser.add_argument("--heldout", required=True, help="folder to judge on")
    parser.add_argument("--output", type=Path, required=True, help="folder for both runs")
    options, rest = parser.parse_known_args()
    found = {}
    for name, content in (("photographs", options.photographs), ("builtin", "builtin")):
        run = options.output / name
        # Last, or a --config among the options would set the content of both.
        arguments = ["train", *rest, "--content", content, "--data.validation-content", options.heldout]
        arguments += ["--output", str(run), "--resume"]
        subprocess.run([sys.executable, "-m", "fast_nst.cli", *arguments], check=True)
        found[name] = validation(run)
    print("content\t" + "\t".join(TERMS))
    for name, losses in found.items():
        print(name + "\t" + "\t".join(f"{losses[term]:.4f}" for term in TERMS))
    print(f"builtin / photographs: {found['builtin']['total'] / found['photographs']['total']:.3f}")


if __name__ == "__main__":
    main()
