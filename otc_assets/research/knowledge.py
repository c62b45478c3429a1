"""Point-in-time answers from `research_snapshot`, which keeps what was known from each day on.

A row that FINRA published on a day is known at the end of that day in New York, and not before. A
correction counts from its own day on; what it took out is gone from then on, and still there for
whoever asks about an earlier day. When our store was filled has no part in it: a backfill of 2019
answers questions about 2019.
"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import sqlalchemy as sa

from otc_assets.calculations.research_snapshot import research_snapshot
from otc_assets.domain.datasets import DATASETS, Dataset
from otc_assets.domain.shares import to_shares
from otc_assets.domain.tables import EXACT, ColumnType
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import validated_week_ending
from otc_assets.settings import setting
from otc_assets.warehouse.bulk import select_frame
from otc_assets.warehouse.store import Warehouse

NEW_YORK = ZoneInfo("America/New_York")
FOREVER = date.max
SNAPSHOT = research_snapshot.table
OURS = ("execution_id", "batch_id", "correlation_id", "computed_at", "calc_name", "calc_version")
"""Who wrote a row: of no use to a researcher, and not the same after a rebuild."""
IDENTITY = ["week_ending", "tier", "symbol"]

Names = str | Iterable[str] | None
Weeks = str | date | Iterable[str | date] | None


def as_of(
    day: str | date | datetime,
    symbols: Names = None,
    tiers: Names = None,
    weeks: Weeks = None,
    *,
    dataset: str = "ats",
    database_url: str | None = None,
) -> pd.DataFrame:
    """Return what was known at the end of a day: one row per (week, tier, symbol).

    Args:
        day: a date (or ISO text), whose end in New York counts; or a moment, with a time zone:
            then what was public by the end of the last day that had ended in New York.
        symbols: one or more, as FINRA writes them (default: all).
        tiers: one or more of NMS Tier 1, NMS Tier 2 and OTC (default: all).
        weeks: one or more weeks by their Friday (default: all).
        dataset: ats or non_ats.
        database_url: the store (default: OTC_DATABASE_URL).

    Returns:
        The columns of research_snapshot (docs/tables.md) without our run ids, in the order of
        tier, week and symbol. Volumes are in shares and notional in dollars, as floats;
        percentages 0 to 100; ``week_ending`` and ``as_of_date`` are datetime64. ``as_of_date`` is
        the day on which the newest of what a row rests on became public.

    Raises:
        ValueError: no date, a moment without a time zone, a week that is no Friday, or an unknown
            tier or dataset.

    """
    known_on = _day_known(day)
    frame = _newest(known_on, symbols, tiers, weeks, dataset, database_url)
    return frame.drop(columns="is_removed")


def latest(
    symbols: Names = None,
    tiers: Names = None,
    weeks: Weeks = None,
    *,
    dataset: str = "ats",
    database_url: str | None = None,
) -> pd.DataFrame:
    """Return what is known now, as `as_of` does; in SQL it is the view ``research_latest``."""
    frame = _newest(FOREVER, symbols, tiers, weeks, dataset, database_url)
    return frame.drop(columns="is_removed")


def history(
    symbol: str,
    tiers: Names = None,
    weeks: Weeks = None,
    *,
    dataset: str = "ats",
    database_url: str | None = None,
) -> pd.DataFrame:
    """Return everything that was ever known of a symbol: one row per week, tier and ``as_of_date``.

    Arguments are those of `as_of`. Of each week the first row is its first publication, the others
    are the days on which a correction of it, or of one of the five weeks before, changed it.
    ``changed`` lists the columns that differ from the row before (empty for the first);
    ``is_removed`` marks a day from which on the symbol is gone from the week.
    """
    warehouse = warehouse_of(dataset, database_url)
    snapshot = warehouse.sql_table(SNAPSHOT.name)
    where = conditions(snapshot, symbol, tiers, weeks)
    rows = _select(warehouse, snapshot, where, [*IDENTITY, "as_of_date"])
    measured = [c for c in rows if c not in (*IDENTITY, "as_of_date", "as_of_source")]
    before = rows.groupby(["tier", "week_ending"])[measured].shift()
    same = (rows[measured] == before) | (rows[measured].isna() & before.isna())
    first = ~rows.duplicated(["tier", "week_ending"])
    differs = ~same.fillna(False).to_numpy() & ~first.to_numpy()[:, None]
    changed = [[measured[at] for at in row.nonzero()[0]] for row in differs]
    return rows.assign(changed=pd.Series(changed, rows.index, dtype=object))


def known_from(day: date) -> datetime:
    """Return the moment from which on what was published on a day is known: its end, New York."""
    following = day + timedelta(days=1)
    return datetime(following.year, following.month, following.day, tzinfo=NEW_YORK)


def dataset_named(name: str) -> Dataset:
    """Return a dataset by its name (ValueError, with those that there are, if it has none)."""
    names = {dataset.name: dataset for dataset in DATASETS}
    if name not in names:
        raise ValueError(f"no dataset {name!r}; there are {', '.join(names)}")
    return names[name]


def _day_known(day: str | date | datetime) -> date:
    """Return the last day whose publications are known."""
    if isinstance(day, str):
        day = (
            datetime.fromisoformat(day) if len(day) > len("2025-01-15") else date.fromisoformat(day)
        )
    if not isinstance(day, datetime):
        return day
    if day.tzinfo is None:
        raise ValueError(f"{day} has no time zone: give a date, or a moment with its zone")
    return day.astimezone(NEW_YORK).date() - timedelta(days=1)


@cache
def _store(database_url: str, dataset: Dataset) -> Warehouse:
    return Warehouse(database_url, dataset)


def warehouse_of(dataset: str, database_url: str | None) -> Warehouse:
    """Return the store of a dataset by its name, at a URL or where OTC_DATABASE_URL says."""
    return _store(database_url or setting("OTC_DATABASE_URL"), dataset_named(dataset))


def _newest(
    day: date,
    symbols: Names,
    tiers: Names,
    weeks: Weeks,
    dataset: str,
    database_url: str | None,
) -> pd.DataFrame:
    warehouse = warehouse_of(dataset, database_url)
    snapshot = warehouse.sql_table(SNAPSHOT.name)
    newest = sa.func.row_number().over(
        partition_by=[snapshot.c[name] for name in IDENTITY],
        order_by=snapshot.c.as_of_date.desc(),
    )
    known = sa.select(*snapshot.c, newest.label("newest")).where(
        snapshot.c.as_of_date <= day, *conditions(snapshot, symbols, tiers, weeks)
    )
    rows = known.subquery()
    alive = [rows.c.newest == 1, sa.not_(rows.c.is_removed)]
    return _select(warehouse, rows, alive, ["tier", "week_ending", "symbol"])


def conditions(snapshot: Any, symbols: Names, tiers: Names, weeks: Weeks) -> list[Any]:
    """Return what rows of a table must be, to be those that a caller asks for."""
    where = []
    if symbols is not None:
        where.append(snapshot.c.symbol.in_([symbols] if isinstance(symbols, str) else [*symbols]))
    if tiers is not None:
        named = [tiers] if isinstance(tiers, str) else [*tiers]
        where.append(snapshot.c.tier.in_([Tier(tier).value for tier in named]))
    if weeks is not None:
        days = [weeks] if isinstance(weeks, str | date) else [*weeks]
        fridays = [date.fromisoformat(day) if isinstance(day, str) else day for day in days]
        where.append(snapshot.c.week_ending.in_([validated_week_ending(day) for day in fridays]))
    return where


def _select(warehouse: Warehouse, rows: Any, where: list[Any], order_by: list[str]) -> pd.DataFrame:
    columns = [column for column in SNAPSHOT.columns if column.name not in OURS]
    with warehouse.read() as reader:
        frame = select_frame(
            reader.connection, SNAPSHOT, rows, [c.name for c in columns], *where, order_by=order_by
        )
    for column in columns:
        if column.type in EXACT:
            frame[column.name] = to_shares(frame[column.name].astype("Float64")).astype("float64")
        if column.type is ColumnType.DATE:
            frame[column.name] = pd.to_datetime(frame[column.name]).astype("datetime64[s]")
    return frame
