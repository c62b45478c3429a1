"""`otc retain` and `otc restore`: nothing goes unless it is asked for, and all of it comes back."""

import csv
import io
import shutil
from pathlib import Path

import pytest

from otc_assets_tests.cli.conftest import Otc

POLICY = {"OTC_RETAIN_RAW_WEEKS": "1", "OTC_RETAIN_VENUE_VOLUME_WEEKS": "forever"}


@pytest.fixture
def home(filled_home: Path, tmp_path: Path) -> Path:
    """A copy of the home, that may be changed."""
    return Path(shutil.copytree(filled_home, tmp_path / "home"))


def exported(otc: Otc, home: Path, table: str) -> str:
    done = otc("export", "-", "--table", table, "--format", "csv", OTC_HOME=str(home))
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_rows_go_only_when_that_is_asked_for_and_come_back(otc: Otc, home: Path):
    settings = POLICY | {"OTC_HOME": str(home)}
    before = exported(otc, home, "raw")
    told = otc("retain", **settings)
    assert told.returncode == 0, told.stderr
    rows = list(csv.DictReader(io.StringIO(told.stdout)))
    assert {row["table"] for row in rows} == {"raw", "rejects"}
    assert "Nothing was removed. `otc retain --apply` removes these rows." in told.stderr
    assert "about" in told.stderr
    nothing = otc("restore", "--all", **settings)
    assert (nothing.returncode, "no such rows" in nothing.stderr) == (1, True)

    removed = otc("retain", "--apply", **settings)
    assert removed.returncode == 0, removed.stderr
    assert removed.stdout == told.stdout
    assert "VACUUM" in removed.stderr
    again = otc("retain", "--apply", **settings)
    assert (again.returncode, again.stdout.count("\n")) == (0, 1)
    assert exported(otc, home, "raw") == before
    assert "archived" in otc("status", "--day", "2025-06-10", **settings).stdout

    some = otc("restore", "--week", "2025-05-16", "--tier", "OTC", "--dataset", "ats", **settings)
    assert some.returncode == 0, some.stderr
    assert {row["week_ending"] for row in csv.DictReader(io.StringIO(some.stdout))} == {
        "2025-05-16"
    }
    assert otc("restore", "--all", **settings).returncode == 0
    assert exported(otc, home, "raw") == before
    assert otc("verify", "--all", **settings).returncode == 0


def test_a_week_that_the_archive_does_not_give_exits_with_1(otc: Otc, home: Path):
    settings = POLICY | {"OTC_HOME": str(home)}
    for path in (home / "archive").rglob("*2025-05-16*/*/*/*"):
        path.unlink()
    left = otc("retain", "--apply", **settings)
    assert left.returncode == 1
    assert "was left as it is" in left.stderr
    assert otc("restore", **settings).returncode == 2
