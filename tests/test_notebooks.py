"""The notebooks run from top to bottom, with the test set and without, and are committed without outputs."""

from __future__ import annotations

import json
import os
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import qnn_pynq


def folder() -> Path:
    """Notebooks of the installed package, or of the checkout."""
    try:
        return Path(next(iter(import_module("qnn_pynq.notebooks").__path__)))
    except ImportError:
        return Path(qnn_pynq.__file__).resolve().parent.parent / "notebooks"


NOTEBOOKS = sorted(folder().glob("*.ipynb"))

# What each says of its pictures, with the test set and without, and how many plots it draws.
SAYS = {
    "lfc_fashion_mnist": ("10000 pictures from", "100 pictures from the demo pictures (no test set here)", 4),
    "when_the_fpga_hangs": ("10000 pictures from", "100 pictures from the demo pictures (no test set here)", 2),
    "dorefa_imagenette": ("3925 pictures from", "5 pictures from this notebook (no test set here)", 4),
}

def test_there_is_a_notebook() -> None:
    assert {path.stem for path in NOTEBOOKS} == set(SAYS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_outputs_are_committed(path: Path) -> None:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None


def execute(path: Path, tmp_path: Path) -> list[Any]:
    """Run a notebook in an empty folder; returns its code cells with outputs."""
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    pytest.importorskip("matplotlib")
    notebook = nbformat.read(str(path), as_version=4)
    client = nbclient.NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def text(cells: list[Any]) -> str:
    return json.dumps([cell["outputs"] for cell in cells])


@pytest.fixture(autouse=True)
def _kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel imports the package that is under test."""
    paths = [str(Path(qnn_pynq.__file__).resolve().parent.parent), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in paths if path))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")


@pytest.mark.notebook
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_on_the_test_set(
    path: Path, tmp_path: Path, shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QNN_PYNQ_DATA", str(shared_data))
    cells = execute(path, tmp_path)
    shown = text(cells)
    with_test_set, _, plots = SAYS[path.stem]
    assert with_test_set in shown and "modelled" in shown
    assert shown.count("image/png") >= plots
    assert not [output for cell in cells for output in cell["outputs"] if output.get("name") == "stderr"]


@pytest.mark.notebook
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_without_the_test_set(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QNN_PYNQ_DATA", raising=False)
    cells = execute(path, tmp_path)
    assert SAYS[path.stem][1] in text(cells)
