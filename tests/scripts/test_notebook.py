"""The tour runs from its first cell to its last, and shows pictures on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def test_the_tour_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient = pytest.importorskip("nbclient")
    import nbformat

    source = Path(__file__).parents[2] / "notebooks" / "style_transfer.ipynb"
    notebook = nbformat.read(source, as_version=4)
    monkeypatch.setenv("FAST_NST_SMALL", "1")
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) >= 8
    table = notebook.cells[-1].outputs[-1]["data"]["text/markdown"]
    assert "| strokes |" in table
