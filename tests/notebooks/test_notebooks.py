"""The notebooks run from their first cell to their last, and are kept without outputs."""

from __future__ import annotations

from pathlib import Path

import nbclient
import nbformat
import pytest

from lc_data.corpus.run import RunFolder
from lc_data.stages.chain import run_chain
from tests.small_corpus import small_recipe, write_small_corpus

SAYS = {"explore_run.ipynb": "packs of 1,024 tokens", "plan_mixture.ipynb": "cannot be had"}
"""What the outputs of each notebook hold when it has done its work."""

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("explored")
    write_small_corpus(folder / "corpus")
    list(run_chain(small_recipe(folder / "corpus"), RunFolder(str(folder / "run")), "pack"))
    return str(folder / "run")


def test_there_are_notebooks():
    assert [path.name for path in NOTEBOOKS] == sorted(SAYS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_it_runs(path, run, tmp_path, monkeypatch):
    monkeypatch.setenv("LC_DATA_RUN", run)
    monkeypatch.setenv("PYTHONPATH", str(path.parents[1]))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(notebook, timeout=240, kernel_name="python3")
    client.execute(cwd=str(tmp_path))
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    assert SAYS[path.name] in "".join(str(cell.outputs) for cell in code)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_it_is_kept_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code)
