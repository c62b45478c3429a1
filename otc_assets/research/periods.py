"""Tables of months and days, as they were known on a day."""

from datetime import date, datetime
from typing import Any

import pandas as pd

from otc_assets.domain.calendar import today
from otc_assets.domain.datasets import Dataset, every_dataset
from otc_assets.domain.grains import oldest_first
from otc_assets.domain.shares import floats_in_shares
from otc_assets.domain.tables import CALC_VERSION, DERIVED_LINEAGE, EXACT, ColumnType
from otc_assets.operations.frames import Knowledge
from otc_assets.operations.recall import Recall, store_to_read
from otc_assets.research.arguments import day_known
from otc_assets.warehouse.store import Store

UNSEEN = tuple(column for column in DERIVED_LINEAGE if column is not CALC_VERSION)
"""Columns that say who computed a row, and from what."""


def periods(
    dataset: str,
    table: str,
    day: str | date | datetime | None = None,
    *,
    first: date = date.min,
    last: date = date.max,
    database_url: str | None = None,
) -> pd.DataFrame:
    """Return the rows that a table had at the end of a day: of months, days or weeks.

    A row per row of the table, oldest period first: the period (`month`, `trade_date`), tier, then
    the table's own columns. Quantities are floats, in shares or dollars. A period that was not
    public yet is left out. Where a correction has replaced what was known then, it is computed
    again.

        >>> from otc_assets.research.periods import periods
        >>> periods("ats_blocks", "block_summary", "2025-08-01")

    Args:
        dataset: its name, such as ats_blocks.
        table: one of its derived tables.
        day: the day (default: today in New York).
        first: the first period that is wanted.
        last: the last one.
        database_url: the store (default: OTC_DATABASE_URL).

    Raises:
        StoreError: there is no store, or it is of another version.
        ValueError: there is no such dataset, or it has no such table.

    """
    store, known_on = _store_of(dataset, database_url), day_known(day or today())
    period = store.dataset.grain.column.name
    found = []
    with store.read() as reader:
        try:
            described = reader.table(table)
        except KeyError:
            raise ValueError(f"{dataset} has no table {table!r}") from None
        wanted = [key for key in reader.loaded_slices() if first <= key.period <= last]
        for key in oldest_first(wanted):
            known = Knowledge(reader, key, known_on)
            if key in known.revisions and table in (reader.manifest(key) or {})["row_counts"]:
                place: dict[str, Any] = {period: pd.Timestamp(key.period), "tier": str(key.section)}
                found.append(known[table].assign(**place))
    columns = [c for c in described.columns if c not in UNSEEN and c.type is not ColumnType.HASH]
    rows = pd.concat(found, ignore_index=True) if found else pd.DataFrame()
    rows = rows.reindex(columns=[column.name for column in columns])
    for column in columns:
        if column.type in EXACT:
            rows[column.name] = floats_in_shares(rows[column.name])
        if column.type is ColumnType.NUMBER:
            rows[column.name] = rows[column.name].astype("float64")
    return rows


def _store_of(name: str, database_url: str | None) -> Store:
    names: dict[str, Dataset] = {dataset.name: dataset for dataset in every_dataset()}
    if name not in names:
        raise ValueError(f"no dataset {name!r}; there are {', '.join(names)}")
    if database_url is None:
        return store_to_read(names[name])
    return Store(database_url, names[name], Recall())
