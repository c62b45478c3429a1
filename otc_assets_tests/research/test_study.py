"""The study in docs runs from nothing, and says what it is printed as saying."""

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from otc_assets_tests.conftest import REPOSITORY

STUDY = REPOSITORY / "docs" / "study.ipynb"


def printed(notebook: Any) -> list[str]:
    """Return the text of every output, in order."""
    return [
        output.get("text") or output["data"]["text/plain"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
    ]


def test_the_study_runs_and_gives_what_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Its own assertions hold, too: what the naive join finds is gone point in time."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    committed = nbformat.read(STUDY, as_version=4)
    executed = nbformat.read(STUDY, as_version=4)
    for cell in executed.cells:
        cell["outputs"] = []
    folder = {"metadata": {"path": str(STUDY.parent)}}
    NotebookClient(executed, timeout=300, kernel_name="python3", resources=folder).execute()
    assert printed(executed) == printed(committed)
    assert len(printed(committed)) == 5
