"""A benchmark leaves nothing behind, prints its figures alone, and ends non-zero if it misses."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from benchmarks.__main__ import LONG, QUICK, not_held
from benchmarks.history import append, draw, stamp
from otc_assets.settings import DEFAULTS
from otc_assets_tests.conftest import REPOSITORY

NOISY = """
import os, sys, tempfile
from pathlib import Path
import dagster as dg
from benchmarks.command import materialize
from benchmarks.entry import run
from benchmarks.trivial import trivial
from otc_assets.settings import setting
from otc_assets.warehouse.store import Warehouse

def main(figures):
    print("noise"), print("noise", file=sys.stderr), os.write(1, b"noise")
    Warehouse(setting("OTC_DATABASE_URL")).engine.dispose()
    for part in ("OTC_ARCHIVE_URL", "OTC_FEATURES_URL"):
        Path(setting(part)).mkdir()
    with dg.DagsterInstance.get() as instance:
        dg.materialize([trivial], instance=instance)
        assert len(instance.get_runs()) == 1
    materialize(Path(tempfile.mkdtemp()), [], module="benchmarks.trivial", select="*")
    figures.show("P0 a stub", "1 s", 1, 2)

run(main)
"""
"""A benchmark that does each thing that a real one does, with little work."""

STUB = """
from benchmarks.entry import run

def main(figures):
    print("noise")
    {work}

run(main)
"""
HOLDS = STUB.format(work='figures.show("P1 one", "1 s", 1, 2)')
MISSES = STUB.format(work='figures.show("P2 two", "1 s", 1, 2, at_least=True)')
FAILS = STUB.format(work="raise RuntimeError('no such luck')")


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a shell in which everything that can be set leads to a home in use."""
    folder = tmp_path_factory.mktemp("used")
    for name in ("home", "tmp", "cwd"):
        (folder / name).mkdir()
    (folder / "dagster.yaml").write_text((REPOSITORY / "dagster.yaml").read_text())
    environment = {
        name: default.format(home=folder / "home")
        for name, default in DEFAULTS.items()
        if name != "OTC_HOME"
    }
    environment |= {
        "OTC_HOME": str(folder / "home"),
        "DAGSTER_HOME": str(folder),
        "DAGSTER_POSTGRES_URL": "postgresql+psycopg2://nobody@/nowhere?host=/nowhere",
        "TMPDIR": str(folder / "tmp"),
        "PYTHONPATH": str(REPOSITORY),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTC_HOME", environment["OTC_HOME"])
        with dg.DagsterInstance.from_config(str(folder)) as instance:
            dg.materialize([asset_in_use], instance=instance, partition_key="a week")
    return os.environ | environment


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["a week"]))
def asset_in_use() -> None:
    """Give the instance in use a run and a partition."""


def started(code: str, environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(environment["DAGSTER_HOME"], "cwd"),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def contents(folder: Path) -> dict[str, str]:
    """Every path, and the SHA-256 of each file."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in folder.rglob("*")
    }


def test_a_benchmark_leaves_nothing_behind_and_prints_its_figures_alone(used: dict[str, str]):
    folder = Path(used["DAGSTER_HOME"])
    before = contents(folder)
    done = started(NOISY, used)
    assert (done.stdout, done.stderr) == ("P0 a stub: 1 s, bar 2 (holds)\n", "")
    assert done.returncode == 0
    assert contents(folder) == before
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTC_HOME", used["OTC_HOME"])
        with dg.DagsterInstance.from_config(str(folder)) as instance:
            assert len(instance.get_runs()) == 1
            assert instance.get_materialized_partitions(asset_in_use.key) == {"a week"}


def test_every_benchmark_is_run_and_starts_so():
    modules = {path.stem: path for path in (REPOSITORY / "benchmarks").glob("p[0-9]*.py")}
    assert {name.split()[0] for name in QUICK + LONG} == set(modules)
    for path in modules.values():
        assert path.read_text().endswith('if __name__ == "__main__":\n    run(main)\n')


def test_a_missed_bar_is_a_non_zero_exit(used: dict[str, str]):
    done = started(MISSES, used)
    assert (done.stdout, done.stderr) == ("P2 two: 1 s, bar 2 (MISSED)\n", "")
    assert done.returncode != 0


def test_figures_are_recorded_where_that_is_asked_and_drawn(used: dict[str, str], tmp_path: Path):
    record, history, picture = (tmp_path / name for name in ("record", "history.csv", "all.png"))
    for code in (HOLDS, MISSES):
        started(code, used | {"BENCHMARK_RECORD": str(record)})
    assert record.read_text() == "P1 one,1,<=2\nP2 two,1,>=2\n"
    for _ in range(2):
        append(stamp(), [line.split(",") for line in record.read_text().splitlines()], history)
    header, *rows = history.read_text().splitlines()
    assert (header, len(rows)) == ("date,commit,machine,figure,value,bar", 4)
    assert all(row.endswith(("P1 one,1,<=2", "P2 two,1,>=2")) for row in rows)
    draw(history, picture)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_what_was_printed_is_shown_if_a_benchmark_fails(used: dict[str, str]):
    done = started(FAILS, used)
    assert done.stdout == ""
    assert done.stderr.startswith("noise\n")
    assert "no such luck" in done.stderr
    assert done.returncode != 0


def test_all_run_though_one_misses_and_another_fails_and_both_are_named(
    capfd: pytest.CaptureFixture[str],
):
    found = not_held([["-c", code] for code in (MISSES, MISSES, FAILS, HOLDS)])
    assert capfd.readouterr().out.splitlines() == [
        "P2 two: 1 s, bar 2 (MISSED)",
        "P2 two: 1 s, bar 2 (MISSED)",
        "P1 one: 1 s, bar 2 (holds)",
    ]
    assert found == f"Missed: P2. Failed: -c {FAILS}."
    assert not_held([["-c", HOLDS]]) is None
