"""Killed at any moment, or run by several processes at once: the rows of one quiet run."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import op

from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.warehouse.events import select_events
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests.conftest import FIXTURES
from otc_assets_tests.forked import exit_codes
from otc_assets_tests.pipeline import content, kill_at, run, weeks

SLICES = weeks([Tier.OTC], "2025-05-23", "2025-06-06")
TWO = SLICES[:2]


KILLED = -signal.SIGKILL


def work(
    url: str, archive: Path, slices: list[WeekKey], kill_at_statement: int | None = None
) -> None:
    """Do a range of the fixtures; be killed at a statement, if one is given."""
    store = Warehouse(url)
    if kill_at_statement:
        kill_at(store.engine, kill_at_statement)
    run(store, FIXTURES, archive, slices)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[int, str]:
    """The content of a store after a quiet run of two weeks, and of all three."""
    folder = tmp_path_factory.mktemp("undisturbed")
    store = Warehouse(f"sqlite:///{folder / 'otc.db'}")
    run(store, FIXTURES, folder / "archive", TWO)
    two = content(store)
    run(store, FIXTURES, folder / "archive", SLICES[2:])
    return {2: two, 3: content(store)}


@pytest.fixture
def settled(warehouse: Warehouse) -> Warehouse:
    """A store whose migrations have run, so that kills fall into the work."""
    assert warehouse.engine
    return warehouse


@pytest.mark.parametrize("statement", [4, 60, 130, 290])
def test_killed_at_any_moment_and_run_again(
    settled: Warehouse,
    database_url: str,
    tmp_path: Path,
    undisturbed: dict[int, str],
    statement: int,
):
    assert exit_codes(work, (database_url, tmp_path, TWO, statement)) == [KILLED]
    events_and_rows_agree(settled)
    run(settled, FIXTURES, tmp_path, TWO)
    assert content(settled) == undisturbed[2]
    events_and_rows_agree(settled)


def events_and_rows_agree(warehouse: Warehouse) -> None:
    """No event without its rows, no rows without their event."""
    told, stored = set(), set()
    with warehouse.read() as reader:
        for event in select_events(reader.connection):
            if event.event_type == "RAW_RECORDS_INGESTED":
                kind = "raw", str(event.payload["source_revision"])
            elif event.event_type == "CALCULATION_COMPLETED":
                kind = event.payload["table"], event.payload["calc_version"]
            else:
                continue
            told.add((event.aggregate_id, *kind, event.payload["rows"]))
        lineage = reader.sql_table("lineage").c
        version = sa.func.coalesce(
            lineage.calc_version, sa.cast(lineage.source_revision, sa.Text())
        )
        parts = lineage.tier, lineage.week_ending, lineage.table_name, version
        query = sa.select(*parts, sa.func.sum(lineage.row_count)).group_by(*parts)
        rows = reader.connection.execute(query.where(lineage.table_name != "rejects"))
        stored = {(f"ats {t}:{w}", name, v, int(n)) for t, w, name, v, n in rows}
    assert told >= stored  # an earlier calculation of a later week has told of other rows
    assert {each[:3] for each in told} == {each[:3] for each in stored}


@pytest.mark.unmigrated
def test_killed_during_the_first_migration(
    database_url: str, tmp_path: Path, undisturbed: dict[int, str]
):
    assert exit_codes(die_in_the_first_migration, (database_url,)) == [KILLED]
    store = Warehouse(database_url)
    run(store, FIXTURES, tmp_path, TWO)
    assert content(store) == undisturbed[2]


def die_in_the_first_migration(url: str) -> None:
    create = op.create_table

    def die_at_the_fifth(name: str, *columns: Any, **how: Any) -> Any:
        if name == "quality_checks":
            os.kill(os.getpid(), signal.SIGKILL)
        return create(name, *columns, **how)

    op.create_table = die_at_the_fifth
    assert Warehouse(url).engine


def test_two_processes_on_the_same_slices(
    settled: Warehouse, database_url: str, tmp_path: Path, undisturbed: dict[int, str]
):
    assert exit_codes(work, *[(database_url, tmp_path, TWO)] * 2) == [0, 0]
    assert content(settled) == undisturbed[2]


def test_processes_on_neighbouring_slices(
    settled: Warehouse, database_url: str, tmp_path: Path, undisturbed: dict[int, str]
):
    """Whichever comes last brings rolling windows and comparisons of later weeks up to date."""
    parts = [(database_url, tmp_path, [week]) for week in SLICES]
    assert exit_codes(work, *parts) == [0, 0, 0]
    assert content(settled) == undisturbed[3]
