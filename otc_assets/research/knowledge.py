"""Point-in-time answers from `research_snapshot`, which keeps what was known from each day on.

A row that FINRA published on a day is known at the end of that day in New York, and not before. A
correction counts from its own day on; what it took out is gone from then on, and still there for
whoever asks about an earlier day. When our store was filled has no part in it: a backfill of 2019
answers questions about 2019.
"""

import warnings
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa

from otc_assets.calculations.research_snapshot import research_snapshot
from otc_assets.domain.calendar import NEW_YORK
from otc_assets.domain.datasets import Dataset
from otc_assets.domain.shares import to_shares
from otc_assets.domain.tables import EXACT, ColumnType, Table
from otc_assets.operations.recall import Recall
from otc_assets.research.arguments import (
    Names,
    Weeks,
    conditions,
    dataset_named,
    day_known,
    texts,
)
from otc_assets.settings import setting
from otc_assets.warehouse.bulk import select_columns
from otc_assets.warehouse.engine import StoreError
from otc_assets.warehouse.store import Store

FOREVER = date.max
SNAPSHOT = research_snapshot.table
OURS = ("execution_id", "batch_id", "correlation_id", "computed_at", "calc_name", "calc_version")
"""Who wrote a row: of no use to a researcher, and not the same after a rebuild."""
IDENTITY = ["week_ending", "tier", "symbol"]


class UnknownSymbol(UserWarning):
    """A symbol that was asked for and that the store has in no week."""


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
        StoreError: there is no store, it is of another version, or it has no week of the dataset.
        TypeError: a day, symbol, tier or week of another type than those above.
        ValueError: no date, a moment without a time zone, a week that is no Friday, or an unknown
            tier or dataset.

    Warns:
        UnknownSymbol: a symbol that the store has in no week; the spelling that it has is named.

    """
    known_on = day_known(day)
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
    if not isinstance(symbol, str):
        raise TypeError(f"symbol is one text, and not {symbol!r}; as_of takes several")
    store = store_of(dataset, database_url)
    snapshot = store.sql_table(SNAPSHOT.name)
    where = conditions(snapshot, symbol, tiers, weeks)
    found = select_arrays(store, SNAPSHOT, snapshot, where, [*IDENTITY, "as_of_date"])
    rows = pd.DataFrame(found | {"changed": _changed(found)})
    warn_of_unknown(store, [symbol], rows)
    return rows


def _changed(found: Mapping[str, Any]) -> "pd.Series[Any]":
    """Return for each row of a symbol the measures that differ from the row before, of its week."""
    measured = [c for c in found if c not in (*IDENTITY, "as_of_date", "as_of_source")]
    values = np.array([_objects(found[name]) for name in measured]).T
    differs = values != np.roll(values, 1, axis=0)
    slices = np.array([_objects(found[name]) for name in ("tier", "week_ending")]).T
    differs[(slices != np.roll(slices, 1, axis=0)).any(axis=1)] = False  # a week's first row
    differs[:1] = False
    changed = [[measured[at] for at in row.nonzero()[0]] for row in differs]
    return pd.Series(changed, dtype=object)


def _objects(values: Any) -> Any:
    """Return an array as Python's objects; null is None, which equals itself."""
    if not isinstance(values, np.ndarray):
        return values.to_numpy(object, na_value=None)
    plain = values.astype(object)
    if values.dtype.kind == "f":
        plain[np.isnan(values)] = None
    return plain


def known_from(day: date) -> datetime:
    """Return the moment from which on what was published on a day is known: its end, New York."""
    following = day + timedelta(days=1)
    return datetime(following.year, following.month, following.day, tzinfo=NEW_YORK)


@cache
def _store(database_url: str, dataset: Dataset) -> Store:
    return Store(database_url, dataset, Recall())


def plain_store(dataset: str, database_url: str | None) -> Store:
    """Return the same as `store_of`, also of one that has no week of the dataset."""
    return _store(database_url or setting("OTC_DATABASE_URL"), dataset_named(dataset))


def store_of(dataset: str, database_url: str | None) -> Store:
    """Return the store of a dataset by its name, to read, at a URL or where OTC_DATABASE_URL says.

    Raises:
        StoreError: there is none, it is of another version, or it has no week of the dataset.
        ValueError: there is no such dataset.

    """
    store = plain_store(dataset, database_url)
    if not store.has_content():
        raise StoreError(
            f"the store {store.address} has no week of {store.dataset.title} data: materialize "
            "one, or set OTC_HOME or OTC_DATABASE_URL to the store that is meant"
        )
    return store


def _newest(
    day: date,
    symbols: Names,
    tiers: Names,
    weeks: Weeks,
    dataset: str,
    database_url: str | None,
) -> pd.DataFrame:
    store = store_of(dataset, database_url)
    snapshot = store.sql_table(SNAPSHOT.name)
    newest = sa.func.row_number().over(
        partition_by=[snapshot.c[name] for name in IDENTITY],
        order_by=snapshot.c.as_of_date.desc(),
    )
    named = None if symbols is None else texts("symbols", symbols)
    known = sa.select(*snapshot.c, newest.label("newest")).where(
        snapshot.c.as_of_date <= day, *conditions(snapshot, named, tiers, weeks)
    )
    rows = known.subquery()
    alive = [rows.c.newest == 1, sa.not_(rows.c.is_removed)]
    found = select_rows(store, SNAPSHOT, rows, alive, ["tier", "week_ending", "symbol"])
    warn_of_unknown(store, named or (), found)
    return found


def warn_of_unknown(store: Store, symbols: Iterable[str], found: pd.DataFrame) -> None:
    """Warn of symbols that the store has in no week, and name the spelling that it has."""
    lacking = set(symbols) - set(found["symbol"])
    if not lacking:
        return
    with store.read() as reader:
        there = reader.symbols()
    for symbol in sorted(lacking - set(there)):
        message = f"the store {store.address} has {no_symbol(symbol, there)}"
        warnings.warn(message, UnknownSymbol, stacklevel=4)


def no_symbol(symbol: str, there: Iterable[str]) -> str:
    """Say that a symbol is not among those that are there, and which are spelled alike."""
    alike = sorted(name for name in there if spelling(name) == spelling(symbol))
    hint = f"; it has {', '.join(alike)}" if alike else ""
    return f"no symbol {symbol!r} in any week{hint}"


def spelling(symbol: str) -> str:
    """Return what the spellings of a symbol share: for a hint alone, symbols are never changed."""
    return "".join(letter for letter in symbol.casefold() if letter.isalnum())


def select_rows(
    store: Store, table: Table, rows: Any, where: list[Any], order_by: list[str]
) -> pd.DataFrame:
    """Return rows of a table as answers have them: without our run ids, in shares and dollars.

    ``rows`` is where they are selected from, which may lack some of the table's columns.
    """
    return pd.DataFrame(select_arrays(store, table, rows, where, order_by))


def select_arrays(
    store: Store, table: Table, rows: Any, where: list[Any], order_by: list[str]
) -> dict[str, Any]:
    """Return the same as an array for each column."""
    columns = [c for c in table.columns if c.name not in OURS and c.name in rows.c]
    with store.read() as reader:
        found = select_columns(
            reader.connection, table, rows, [c.name for c in columns], *where, order_by=order_by
        )
    for column in columns:
        values = found[column.name]
        if column.type in EXACT:
            if not isinstance(values, np.ndarray):
                values = values.to_numpy("float64", na_value=float("nan"))
            found[column.name] = to_shares(values)
        if column.type is ColumnType.DATE:
            found[column.name] = values.to_numpy().astype("datetime64[s]")
    return found
