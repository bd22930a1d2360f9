#!/usr/bin/env bash
# From a bare clone to stylized pictures: installs into .venv, trains the style `strokes`, exports it
# to ONNX and stylizes two photographs. Run it again after an interruption: it goes on where it was.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/setup.sh

run=runs/quickstart
echo "1/3 installing into .venv (some minutes: PyTorch is large)"
setup train
export PATH="$PWD/.venv/bin:$PATH"

echo "2/3 training the style of fast_nst/assets/strokes.jpg"
started=$SECONDS
if ! [ -f "$run/card.md" ]; then
    fast-nst train --config configs/quickstart.yaml --output "$run" --resume >/dev/null
fi
echo "    $((SECONDS - started)) s"

echo "3/3 stylizing photographs that come with scikit-image"
python scripts/heldout_photographs.py "$run/photographs"
fast-nst stylize "$run/photographs" --model "$run" --output "$run/stylized" >/dev/null

echo
echo "style        fast_nst/assets/strokes.jpg"
echo "photographs  $run/photographs/"
echo "stylized     $run/stylized/"
echo "the network  $run/model.onnx    (its card: $run/card.md)"
echo
echo "Your own:    .venv/bin/fast-nst stylize PICTURE --model $run"
