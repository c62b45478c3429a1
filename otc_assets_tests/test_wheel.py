"""A wheel, installed where nothing of this repository is, materializes a slice.

It installs every dependency, which takes minutes: `make test-wheel` runs it, and CI does.
"""

import os
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from otc_assets_tests.conftest import FIXTURES, REPOSITORY

pytestmark = pytest.mark.skipif(
    not os.environ.get("OTC_TEST_WHEEL"), reason="installs every dependency anew: make test-wheel"
)

PARTITION = "NMS Tier 1|2025-05-16"
FILE = "finra_otc_weekly_tier1_20250602.csv"
ROWS = len((FIXTURES / FILE).read_text().splitlines()) - 1
BUILD_INPUTS = ("pyproject.toml", "README.md", "LICENSE", "otc_assets")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy, so that nothing is left in the repository."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in BUILD_INPUTS:
        path = REPOSITORY / name
        copy = shutil.copytree if path.is_dir() else shutil.copy
        copy(path, folder / name)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", "dist", "."],
        cwd=folder,
        check=True,
    )
    return next((folder / "dist").glob("*.whl"))


def test_the_wheel_has_every_file_of_the_package_and_no_test(wheel: Path):
    package = REPOSITORY / "otc_assets"
    files = {
        str(path.relative_to(REPOSITORY))
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert packed == files
    assert {Path(name).suffix for name in packed} >= {".py", ".mako", ".jinja", ".typed"}


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands of an environment that has the wheel and what it requires, and nothing else."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    subprocess.run(
        [folder / "bin/pip", "install", "-q", "-c", REPOSITORY / "constraints.txt", wheel],
        check=True,
    )
    return folder / "bin"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A working folder outside the repository, with one file in its source."""
    (tmp_path / "source").mkdir()
    shutil.copy(FIXTURES / FILE, tmp_path / "source")
    return tmp_path


def _materialize(commands: Path, place: Path) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTC_")}
    for name in ("PYTHONPATH", "DAGSTER_HOME"):
        kept.pop(name, None)
    settings = {"OTC_HOME": "."}
    asked = ["--select", "tag:grain=week", "--partition", PARTITION]
    return subprocess.run(
        [commands / "dagster", "asset", "materialize", "-m", "otc_assets.definitions", *asked],
        cwd=place,
        env=kept | settings,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_slice_is_materialized_from_the_wheel_alone(environment: Path, place: Path):
    result = _materialize(environment, place)
    assert result.returncode == 0, result.stderr[-4000:]
    with sqlite3.connect(place / "otc.db") as connection:
        (rows,) = connection.execute("SELECT count(*) FROM raw").fetchone()
        (snapshot,) = connection.execute("SELECT count(*) FROM research_snapshot").fetchone()
    assert rows == ROWS
    assert snapshot > 0
    assert list(place.glob("features/*/*/features.parquet"))
    assert (place / "research.html").exists()  # its template is in the wheel
    told = subprocess.run(
        [environment / "otc", "as-of", "2025-07-01", "--tier", "NMS Tier 1"],
        cwd=place,
        env=os.environ | {"OTC_HOME": "."},
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(told.stdout.splitlines()) > 1


def test_a_slice_that_cannot_be_taken_in_ends_the_command_non_zero(environment: Path, place: Path):
    file = place / "source" / FILE
    file.write_bytes(file.read_bytes()[:-30])
    result = _materialize(environment, place)
    assert result.returncode != 0
    assert PARTITION in result.stderr
    assert FILE in result.stderr
