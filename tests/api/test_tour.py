"""The notebook runs from its beginning to its end, and its outputs are in the repository."""

from __future__ import annotations

import nbformat
from nbclient import NotebookClient

from conftest import ROOT

TOUR = ROOT / "docs/tour.ipynb"


def texts(notebook) -> list[str]:
    """What its cells print and return."""
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return [output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs]


def test_the_tour_runs_and_its_networks_keep_their_accuracy(tmp_path):
    notebook = nbformat.read(TOUR, as_version=4)
    NotebookClient(
        notebook, timeout=500, startup_timeout=300, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    printed = "".join(texts(notebook))  # a busy kernel sends what is printed at once in several parts
    rows = [
        line for line in printed.splitlines() if line.startswith(("| dense", "| pruned", "| int8")) and "%" in line
    ]
    top1 = [float(line.split("|")[-3].strip().rstrip(" %")) for line in rows]
    assert len(top1) == 3 and min(top1) > 90


def test_the_tour_is_shown_with_its_outputs_and_without_paths_of_a_machine():
    notebook = nbformat.read(TOUR, as_version=4)
    assert any("as the first" in text for text in texts(notebook))
    assert any("image/png" in output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", []))
    assert not any("/tmp" in text or str(ROOT) in text for text in texts(notebook))
