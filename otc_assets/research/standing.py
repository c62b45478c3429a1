"""How the slices of a dataset stand, as frames: what lacks, how it was judged, what was published.

What the page tells of the same is in `facts`.
"""

from datetime import date
from typing import Any

import pandas as pd

from otc_assets.domain.calendar import today
from otc_assets.domain.gaps import dropped, gaps
from otc_assets.domain.grains import AnySlice
from otc_assets.domain.tables import QUALITY_CHECKS, REVISIONS, ColumnType, Table
from otc_assets.domain.weeks import WeekKey
from otc_assets.research.arguments import Names, Weeks, asked_of
from otc_assets.research.knowledge import OURS, plain_store, store_of
from otc_assets.warehouse.store import Store

GAP_COLUMNS = ("dataset", "tier", "week_ending", "expected", "days_late", "severity")


def lacking(
    day: date | None = None, *, dataset: str = "ats", database_url: str | None = None
) -> pd.DataFrame:
    """Return each week that FINRA has published by its calendar and that the store lacks.

    Weeks that FINRA no longer offers are not among them (`no_longer_offered`). One row per week and
    tier: dataset, tier, week_ending, expected (when FINRA was to publish it), days_late and
    severity.

    Args:
        day: judge what is due as of this day (default: today in New York).
        dataset: ats or non_ats.
        database_url: the store (default: OTC_DATABASE_URL).

    Raises:
        StoreError: there is no store, or it is of another version.
        ValueError: there is no such dataset.

    """
    return gaps_in(plain_store(dataset, database_url), day or today())


def gaps_in(store: Store, day: date) -> pd.DataFrame:
    """Return the same of any dataset's store; ``week_ending`` is the period of its grain."""
    with store.read() as reader:
        loaded, offers = reader.loaded_slices(), reader.offers()
    rows = [
        {
            "dataset": store.dataset.name,
            "tier": str(gap.week.section),
            "week_ending": gap.week.period,
            "expected": gap.expected_publication_date,
            "days_late": gap.days_late,
            "severity": str(gap.severity),
        }
        for gap in gaps(store.dataset, loaded, day, offers)
    ]
    return pd.DataFrame(rows, columns=list(GAP_COLUMNS))


def no_longer_offered(
    day: date | None = None, *, dataset: str = "ats", database_url: str | None = None
) -> list[WeekKey]:
    """Return each week that the store lacks and that FINRA has dropped, by week and tier.

    Such a week can only come from files. Arguments and errors are those of `lacking`.
    """
    return dropped_from(plain_store(dataset, database_url), day or today())


def dropped_from(store: Store, day: date) -> list[AnySlice]:
    """Return the same of any dataset's store."""
    with store.read() as reader:
        return dropped(store.dataset, reader.loaded_slices(), day, reader.offers())


def quality(
    tiers: Names = None,
    weeks: Weeks = None,
    *,
    dataset: str = "ats",
    database_url: str | None = None,
) -> pd.DataFrame:
    """Return the newest verdict of every rule: one row per (tier, week, table, rule).

    Columns are those of quality_checks (docs/tables.md) without our run ids. Arguments and errors
    are those of `as_of`.
    """
    return _records(QUALITY_CHECKS, tiers, weeks, store_of(dataset, database_url))


def revisions(
    tiers: Names = None,
    weeks: Weeks = None,
    *,
    dataset: str = "ats",
    database_url: str | None = None,
) -> pd.DataFrame:
    """Return each content that FINRA has published: one row per (tier, week, source_revision).

    Columns are those of revisions (docs/tables.md) without our run ids. Arguments and errors are
    those of `as_of`.
    """
    return _records(REVISIONS, tiers, weeks, store_of(dataset, database_url))


def _records(table: Table, tiers: Names, weeks: Weeks, store: Store) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    with store.read() as reader:
        for week in asked_of(reader.slices(), tiers, weeks):
            rows += reader.records(table.name, week)
    columns = [column for column in table.columns if column.name not in OURS]
    found = pd.DataFrame(rows, columns=[column.name for column in columns])
    for column in columns:
        if column.type is ColumnType.TIMESTAMP:
            found[column.name] = pd.to_datetime(found[column.name], utc=True)
        if column.type is ColumnType.DATE:
            found[column.name] = pd.to_datetime(found[column.name]).astype("datetime64[s]")
    return found
