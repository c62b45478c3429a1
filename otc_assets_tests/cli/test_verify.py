"""`otc verify`: it writes nothing, and its exit code says whether all is equal."""

import csv
import hashlib
import io
import json
import shutil
from pathlib import Path

import pytest

from otc_assets_tests.cli.conftest import Otc


def files_of(folder: Path) -> dict[str, str]:
    """Return the hash of every file, except for what SQLite keeps beside a file that is read."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix not in (".db-shm", ".db-wal")
    }


@pytest.fixture
def home(filled_home: Path, tmp_path: Path) -> Path:
    """A copy of the home, that may be changed."""
    return Path(shutil.copytree(filled_home, tmp_path / "home"))


def test_an_equal_store_exits_with_0_and_is_left_as_it_is(otc_process: Otc, home: Path):
    before = files_of(home)
    done = otc_process("verify", "--sample", "1", "--seed", "7", OTC_HOME=str(home))
    assert done.returncode == 0, done.stderr
    assert "ats: 1 of 4 slices, drawn with --seed 7" in done.stderr
    assert "2 slices, 18 tables" in done.stderr
    assert "all are what the archive gives" in done.stderr
    assert done.stdout == "dataset,tier,week_ending,table,key,column,stored,recomputed,cause\n"
    assert files_of(home) == before


def test_a_changed_byte_of_the_archive_exits_with_1_and_names_the_file(otc: Otc, home: Path):
    kept = [p for p in (home / "archive").rglob("*.csv") if "/otc/2025-05-16/" in p.as_posix()]
    path = next(p for p in kept if "non_ats" not in p.as_posix())
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    only = ("--tier", "OTC", "--week", "2025-05-16", "--dataset", "ats")
    done = otc("verify", *only, OTC_HOME=str(home))
    assert done.returncode == 1
    row = next(csv.DictReader(io.StringIO(done.stdout)))
    assert (row["table"], row["column"]) == ("archive", "sha256")
    assert row["key"] == str(path.relative_to(home / "archive"))
    assert row["recomputed"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert "1 of them differ" in done.stderr


def test_where_nothing_is_verified_nothing_is_said_to_be_equal(otc: Otc, filled_home: Path):
    done = otc("verify", "--week", "2030-01-04", "--json", OTC_HOME=str(filled_home))
    assert (done.returncode, json.loads(done.stdout)) == (1, [])
    assert otc("verify", "--all", "--sample", "2", OTC_HOME=str(filled_home)).returncode == 2
