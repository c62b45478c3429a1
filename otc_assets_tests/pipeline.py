"""Runs the whole pipeline on a store without Dagster.

``python -m otc_assets_tests.pipeline URL SOURCE ARCHIVE FIRST LAST TIER...`` does it as a process.
"""

import itertools
import os
import signal
import sys
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from unittest import mock

import pandas as pd
import sqlalchemy as sa

from otc_assets.calculations import derived_tables_of
from otc_assets.domain.grains import SliceKey
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.operations.derive import derive, later_weeks, refresh
from otc_assets.operations.intake import VERSIONED, ingest
from otc_assets.operations.outcome import SliceOutcome
from otc_assets.operations.recall import Recall
from otc_assets.operations.retention import expired, prune
from otc_assets.operations.revise import Treatment
from otc_assets.operations.summary import fingerprint
from otc_assets.sources.archive import Archive
from otc_assets.sources.files import FileSource
from otc_assets.warehouse.store import Warehouse
from otc_assets.warehouse.writer import RunIds

TODAY = date(2026, 1, 15)
"""The day on which the tests read: all fixture weeks are public."""
RUN = RunIds("a-run", "a-backfill")


@cache
def _files(url: str) -> FileSource:
    return FileSource(url)  # as in a process of ours: it remembers which files it has looked into


def weeks(tiers: Iterable[Tier], first: str, last: str) -> list[WeekKey]:
    """Return the slices of a rectangle of tiers and weeks."""
    start, end = date.fromisoformat(first), date.fromisoformat(last)
    days = itertools.takewhile(
        lambda day: day <= end, (start + timedelta(weeks=n) for n in itertools.count())
    )
    return [WeekKey(tier, day) for day in days for tier in tiers]


def run(
    warehouse: Warehouse,
    source: Path | str,
    archive: Path | str,
    slices: Sequence[SliceKey],
    today: date = TODAY,
    treatment: Treatment = VERSIONED,
) -> list[SliceOutcome]:
    """Do what a range run does: each table for every slice, and the later ones it reaches."""
    dataset = warehouse.dataset
    index, kept = _files(str(source)).index(today, dataset), Archive(str(archive), dataset)
    outcomes = [ingest(warehouse, kept, index, week, RUN, today, treatment) for week in slices]
    for name in (table.name for table in derived_tables_of(dataset)):
        outcomes += [derive(warehouse, name, week, RUN) for week in slices]
        for week in later_weeks(warehouse, name, slices):
            refresh(warehouse, name, week, RUN)
    return outcomes


def leave_to_archive(home: Path, kept: timedelta = timedelta(weeks=1)) -> str:
    """Remove the ATS rows of a home that its archive gives again; return its store's URL.

    Rows of weeks that ended ``kept`` before the tests' day, or later, stay.
    """
    weeks = str(kept // timedelta(weeks=1))
    few = dict.fromkeys(("OTC_RETAIN_RAW_WEEKS", "OTC_RETAIN_VENUE_VOLUME_WEEKS"), weeks)
    with mock.patch.dict(os.environ, few | {"OTC_HOME": str(home)}):
        store = Warehouse(f"sqlite:///{home / 'otc.db'}", recall=Recall())
        done = list(prune(store, expired(store, TODAY), RUN))
        assert [each for each in done if isinstance(each, Exception)] == []
        store.engine.dispose()
    return store.url


def content(warehouse: Warehouse) -> str:
    """Return the fingerprint of a store."""
    with warehouse.read() as reader:
        return fingerprint(reader)


def feature_files(home: Path) -> dict[str, pd.DataFrame]:
    """Return the rows of every feature file of a home, by its path, without when it was written."""
    files = sorted((home / "features").rglob("*.parquet"))
    return {
        str(file.relative_to(home)): pd.read_parquet(file).drop(columns="created_timestamp")
        for file in files
    }


def kill_at(engine: sa.Engine, statement_number: int) -> None:
    """Let this process kill itself at its n-th SQL statement."""
    numbers = itertools.count(1)

    @sa.event.listens_for(engine, "after_cursor_execute")
    def _count(*_args: object) -> None:
        if next(numbers) == statement_number:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    url, source, archive, first, last, *tiers = sys.argv[1:]
    run(Warehouse(url), source, archive, weeks([Tier(tier) for tier in tiers], first, last))
