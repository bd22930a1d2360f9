#!/usr/bin/env bash
# Installs the package alone, without torch, into a fresh environment and stylizes a picture with it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/setup.sh

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"$(find_python)" -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check .
source=$PWD
cd "$place" # so that the installed package is used, not the clone
PATH="$place/venv/bin:$PATH"

if python -c "import torch" 2>/dev/null; then
    echo "torch got installed with the runtime" >&2
    exit 1
fi
style=$(fast-nst models | awk 'END {print $1}')
fast-nst stylize "$source/fast_nst/assets/strokes.jpg" --model "$style" --output stylized.png
fast-nst stylize - - --model "$style" <"$source/fast_nst/assets/strokes.jpg" >piped.jpg
fast-nst sheet "$source/fast_nst/assets/strokes.jpg" --output sheet.jpg
fast-nst benchmark "$style" --sizes 64 --rounds 1 --seconds 0.1
python - <<'PYTHON'
import av
import numpy as np

with av.open("clip.mkv", "w") as clip:
    stream = clip.add_stream("ffv1", rate=25, width=64, height=48)
    for _ in range(3):
        clip.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8))))
    clip.mux(stream.encode(None))
PYTHON
fast-nst stylize clip.mkv --model "$style" --output stylized.mp4
python - <<'PYTHON'
import subprocess
import sys
import time

from PIL import Image

assert Image.open("stylized.png").size == Image.open("piped.jpg").size == (800, 640)
assert min(Image.open("sheet.jpg").size) > 1000


def seconds() -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import fast_nst"], check=True)
    return time.perf_counter() - started


best = min(seconds() for _ in range(5))
print(f'python -c "import fast_nst": {best:.3f} s')
assert best < 0.5
PYTHON
if fast-nst train --style strokes 2>message; then exit 1; fi
grep -q "pip install 'fast-nst\[train\]'" message
if fast-nst demo 2>message; then exit 1; fi
grep -q "pip install 'fast-nst\[demo\]'" message
python - <<'PYTHON'
from importlib.resources import files

page = files("fast_nst") / "runtime" / "demo" / "static"
assert {"index.html", "main.js", "style.css"} <= {item.name for item in page.iterdir()}
assert (files("fast_nst") / "assets" / "chelsea.jpg").is_file()
PYTHON
echo "the runtime install works without torch"
