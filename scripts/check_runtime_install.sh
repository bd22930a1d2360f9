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
style=$(fast-nst models | head -n 1 | cut -f 1)
fast-nst stylize "$source/fast_nst/assets/strokes.jpg" --model "$style" --output stylized.png
python - <<'PYTHON'
import time

started = time.perf_counter()
import fast_nst

print(f"import fast_nst: {time.perf_counter() - started:.3f} s")
from PIL import Image

assert Image.open("stylized.png").size == (800, 640)
PYTHON
if fast-nst train --style strokes 2>message; then exit 1; fi
grep -q "pip install 'fast-nst\[train\]'" message
echo "the runtime install works without torch"
