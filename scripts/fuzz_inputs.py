#!/usr/bin/env python3
"""Bad files through the command line: whatever a file holds, it ends in one clear line.

    python scripts/fuzz_inputs.py                     # 1,000 mutated pictures, videos and ONNX files
    python scripts/fuzz_inputs.py --seed 7 --count 5000
    python scripts/fuzz_inputs.py --seed 7 --only 4711   # one case again, with what it said

The seeds are small files made here; a case depends on --seed and its number alone. Each goes through
`fast-nst stylize` or `fast-nst models` in a process of its own. It must end within a minute, in 2 GiB, with
exit code 0, 1 or 2, say what is wrong in one line that names the file, and leave nothing behind but
results that decode. A case that breaks this is made smaller, and kept below --keep with its command.

Exit code 1 if any did. POSIX with /proc (Linux).
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fuzzing.cases import Case, lay_out, make_case
from fuzzing.checks import wrongs
from fuzzing.mutations import smaller
from fuzzing.seeds import make_seeds
from tqdm import tqdm

from fast_nst.errors import printable

SECONDS, BYTES = 60, 2 * 2**30


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, nargs="+", help="numbers of the cases to run")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-failures"), help="for files that fail")
    options = parser.parse_args()
    seeds = make_seeds()
    by_name = {seed.name: seed.data for seed in seeds}
    good = {"still.png": by_name["palette.png"], "clip.gif": by_name["moving.gif"]}
    good["negative.onnx"] = by_name["negative.onnx"]
    numbers = options.only or range(options.count)
    counts: Counter[tuple[str, str]] = Counter()
    failures = 0
    slowest, largest = (0.0, ""), (0.0, "")
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder, runner(Path(folder), good) as run:
        for number in tqdm(numbers, unit="case", disable=None):
            case = make_case(seeds, options.seed, number)
            result, found = run(case, case.data)
            code = result["signal"] or result["killed"] or f"exit {result['code']}"
            counts[case.kind, code] += 1
            slowest = max(slowest, (result["seconds"], str(case)))
            largest = max(largest, (result["bytes"] / 2**20, str(case)))
            if options.only:
                show(case, result, Path(folder))
            if found:
                failures += 1
                report(case, found, options.keep, good, run)
    took = time.perf_counter() - begun
    print(f"{len(numbers)} cases of seed {options.seed} in {took:.0f} s, {failures} wrong")
    codes = sorted({code for _, code in counts})
    for kind in ("picture", "video", "model", "other"):
        print(f"  {kind:8}", *(f"{code}: {counts[kind, code]:4}  " for code in codes))
    print(f"slowest {slowest[0]:.1f} s, {slowest[1]}")
    print(f"most memory {largest[0]:.0f} MiB, {largest[1]}")
    return int(failures > 0)


@contextmanager
def runner(folder: Path, good: dict[str, bytes]) -> Iterator[Any]:
    """A function that runs a case with some bytes, and gives its result and what was wrong about it."""
    command = [sys.executable, str(Path(__file__).parent / "fuzzing" / "worker.py")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONFAULTHANDLER": "1"}
    worker = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )
    assert worker.stdin is not None
    assert worker.stdout is not None

    def run(case: Case, data: bytes) -> tuple[dict[str, Any], list[str]]:
        arguments, bad = lay_out(case, data, folder / "case", good)
        request = {"arguments": arguments, "folder": str(folder / "case"), "seconds": SECONDS, "bytes": BYTES}
        print(json.dumps(request), file=worker.stdin, flush=True)
        result = json.loads(worker.stdout.readline())
        found = wrongs(case, result, folder / "case")
        if bad.read_bytes() != data:
            found.append("the input was changed")
        return result, found

    try:
        yield run
    finally:
        worker.stdin.close()
        worker.wait()


def report(case: Case, found: list[str], keep: Path, good: dict[str, bytes], run: Any) -> None:
    """Print what was wrong, with a smaller file that goes wrong the same way."""
    kinds = {reason[:25] for reason in found}

    def as_wrong(data: bytes) -> bool:
        return bool(kinds & {reason[:25] for reason in run(case, data)[1]})

    data = smaller(case.data, case.seed.data, as_wrong)
    folder = keep / str(case.index)
    arguments, bad = lay_out(case, data, folder, good)
    print(case)
    for reason in found:
        print(f"  {reason}")
    print(printable(f"  fast-nst {shlex.join(arguments)}   # {bad}: {len(data)} bytes"), flush=True)


def show(case: Case, result: dict[str, Any], folder: Path) -> None:
    """Print what a command said."""
    print(case, f"{len(case.data)} bytes", result, sep="\n  ")
    for name in ("stdout", "stderr"):
        print(f"  {name}: {(folder / 'case' / name).read_text(errors='surrogateescape')!r}")


if __name__ == "__main__":
    sys.exit(main())
