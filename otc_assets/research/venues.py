"""Venues: which there are, what part of a tier each has, and what each traded in a symbol.

Of the newest revisions: these tables are no history of knowledge, as research_snapshot is.
"""

from functools import lru_cache
from typing import Any

import pandas as pd
import sqlalchemy as sa

from otc_assets.domain.tables import LINEAGE, MPID
from otc_assets.domain.weeks import WeekKey
from otc_assets.research.arguments import Names, Weeks, conditions, texts
from otc_assets.research.knowledge import select_rows, store_of
from otc_assets.research.state import state_of
from otc_assets.warehouse.reader import SliceReader, table_named
from otc_assets.warehouse.schema import rows_table, with_lineage
from otc_assets.warehouse.store import Store

SHARE, VOLUME = table_named("venue_share"), table_named("venue_volume")
SLICE = ["tier", "week_ending"]
VENUE = MPID.name


def venue_share(
    venues: Names = None,
    tiers: Names = None,
    weeks: Weeks = None,
    *,
    dataset: str = "ats",
    database_url: str | None = None,
) -> pd.DataFrame:
    """Return each venue's part in a tier's volume: one row per (tier, week, mpid), by rank.

    Columns are those of venue_share (docs/tables.md) without our run ids, in the units of `as_of`.

    Args:
        venues: one or more, by their mpid (default: all).
        tiers: one or more (default: all).
        weeks: one or more weeks by their Friday (default: all).
        dataset: ats or non_ats.
        database_url: the store (default: OTC_DATABASE_URL).

    Raises:
        StoreError, TypeError, ValueError: as `as_of` does.

    """
    store = store_of(dataset, database_url)
    rows = store.sql_table(SHARE.name)
    where = conditions(rows, None, tiers, weeks)
    if venues is not None:
        where.append(rows.c[VENUE].in_(texts("venues", venues)))
    return select_rows(store, SHARE, rows, where, [*SLICE, "rank"])


def venues(*, dataset: str = "ats", database_url: str | None = None) -> pd.DataFrame:
    """Return the venues of each tier's newest week: `venue_share`, and ``venue_name``.

    The name is None where the source has none, or the archive alone keeps the week's records.
    """
    store = store_of(dataset, database_url)
    with store.read() as reader:
        newest = _newest(reader)
        names = {week.tier.value: _venue_names(reader, week) for week in newest}
    asked: dict[str, Any] = {"dataset": dataset, "database_url": database_url}
    parts = [venue_share(None, week.tier.value, week.week_ending, **asked) for week in newest]
    found = pd.concat(parts, ignore_index=True) if parts else venue_share(tiers=[], **asked)
    ids = zip(found["tier"], found[VENUE], strict=True)
    named = [names[tier].get(venue) for tier, venue in ids]
    return found.assign(venue_name=pd.Series(named, dtype="str"))


def venue_volume(
    symbols: Names,
    tiers: Names = None,
    weeks: Weeks = None,
    *,
    dataset: str = "ats",
    database_url: str | None = None,
) -> pd.DataFrame:
    """Return what each venue traded in a symbol: one row per (tier, week, symbol, mpid).

    Columns are those of venue_volume (docs/tables.md) without our run ids and hashes, in the units
    of `as_of`. Weeks whose rows the archive alone keeps are left out. Arguments and errors are
    those of `as_of`.
    """
    store = store_of(dataset, database_url)
    own, lineage = rows_table(VOLUME.name, store.dataset), store.sql_table("lineage")
    shared = ("week_ending", "tier", "as_of_date", "source_revision")
    columns = [lineage.c[name] for name in shared]
    columns += [c for c in own.c if c.name not in ("slice", "lineage_number", "record_hash")]
    # Asked for in this form, SQLite finds the rows by their key, and does not read the whole table.
    written = sa.select(*(lineage.c[name] for name in LINEAGE.key))
    written = written.where(lineage.c.table_name == VOLUME.name)
    is_one = sa.tuple_(*(own.c[name] for name in LINEAGE.key)).in_(written)
    rows = sa.select(*columns).select_from(with_lineage(own, lineage))
    found = rows.where(is_one).subquery()
    where = conditions(found, symbols, tiers, weeks)
    return select_rows(store, VOLUME, found, where, [*SLICE, "symbol", VENUE])


def _newest(reader: SliceReader) -> list[WeekKey]:
    """Return the newest slice of each tier that has venues."""
    newest: dict[str, WeekKey] = {}
    for week, row in sorted(reader.manifests("row_counts").items()):
        if row["row_counts"].get(SHARE.name):
            newest[week.tier.value] = week
    return list(newest.values())


def venue_names(
    week: WeekKey, *, dataset: str = "ats", database_url: str | None = None
) -> dict[str, str]:
    """Return the name of each venue of a slice by its mpid, where the store has one."""
    store = store_of(dataset, database_url)
    return _names(store, week, state_of(store).written_of([week]))


@lru_cache(maxsize=64)
def _names(store: Store, week: WeekKey, _written: bytes) -> dict[str, str]:
    with store.read() as reader:
        return _venue_names(reader, week)


def _venue_names(reader: SliceReader, week: WeekKey) -> dict[str, str]:
    return {mpid: name for mpid, name in reader.raw_names(week, VENUE, "venue_name") if name}
