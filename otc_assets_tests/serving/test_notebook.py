"""The notebook over HTTP gives what it is printed as giving, without a kernel."""

from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import httpx
import nbformat
import pytest

from otc_assets_tests.conftest import REPOSITORY

ADDRESS = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def cells() -> list[Any]:
    """The cells of code."""
    notebook = nbformat.read(REPOSITORY / "docs/migration.ipynb", as_version=4)
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def printed(cells: list[Any], server: str) -> Iterator[str]:
    """Run the cells, one after the other, against another server; give what each prints."""
    names: dict[str, Any] = {}
    for cell in cells:
        written = StringIO()
        with redirect_stdout(written):
            exec(cell.source.replace(ADDRESS, server), names)
        yield written.getvalue()


def test_it_gives_what_is_printed(cells: list[Any], sqlite_api: httpx.Client):
    server = str(sqlite_api.base_url).rstrip("/")
    assert list(printed(cells, server)) == [
        "".join(output.text for output in cell.outputs) for cell in cells
    ]
