"""scripts/compare_runtimes.py: how far other runtimes are from ONNX Runtime."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from fast_nst.arguments import ExportOptions
from fast_nst.shipped import list_models
from fast_nst.twins.export import export_file

SCRIPT = Path(__file__).parents[2] / "scripts" / "compare_runtimes.py"


def test_it_names_each_file_and_what_other_styles_differ_by(tmp_path: Path) -> None:
    plain = list_models()["strokes"]
    other, _ = export_file("gallery", ExportOptions(tmp_path / "other.onnx", style="udnie"))
    same, _ = export_file(str(plain), ExportOptions(tmp_path / "same.onnx", form="float", size="40x30"))
    done = subprocess.run(
        [sys.executable, SCRIPT, plain, same, other], capture_output=True, text=True, check=True
    )
    worst = {
        line.split()[0]: int(line.split()[3].rstrip(","))
        for line in done.stdout.splitlines()
        if line.split()[1] == "onnxruntime"
    }
    assert worst[plain.name] == 0
    assert worst["same.onnx"] <= 1
    assert worst[other.name] > 20
