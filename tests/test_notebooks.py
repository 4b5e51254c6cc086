"""Each notebook is a lesson that runs from nothing, on the sandbox, and is stored without what it printed."""

import re
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def cells(notebook, kind):
    return [cell for cell in notebook.cells if cell.cell_type == kind]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook__runs_from_nothing(path, tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=800,
        startup_timeout=400,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute()
    left = {path.name for path in tmp_path.iterdir()} - {"ipython", "data"}  # where a lesson keeps its stores
    assert left == set(), "a lesson leaves files beside itself"
    assert list(tmp_path.rglob("*.key")) == []
    outputs = [output for cell in cells(notebook, "code") for output in cell.outputs]
    assert outputs
    assert not [output for output in outputs if output.output_type == "error"]
    for output in outputs:
        output.get("data", {}).pop("image/png", None)  # the letters of a picture may spell anything
    printed = "".join(str(output) for output in outputs)
    assert not re.search(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}\b", printed), "an account number is shown"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook__is_stored_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in cells(notebook, "code"):
        assert (cell.outputs, cell.execution_count) == ([], None)
    assert notebook.cells[0].source.startswith(f"# {path.stem[0]} · ")


def test_notebooks__are_numbered_and_lead_to_the_next():
    assert [path.stem[0] for path in NOTEBOOKS] == [str(n + 1) for n in range(len(NOTEBOOKS))]
    for path, following in pairwise(NOTEBOOKS):
        assert f"]({following.name})" in nbformat.read(path, as_version=4).cells[-1].source
