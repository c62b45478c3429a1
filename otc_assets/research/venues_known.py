"""Venues as they were known on a day: what each traded in a symbol, and its part in a tier.

The tables of venues hold the newest revisions. Of a slice that was corrected after the day the
older revision is read from raw, which has every one. Belongs here: choosing the revision. Does not
belong here: what is known now (`venues`).
"""

import threading
from collections.abc import Container, Iterable
from dataclasses import dataclass
from datetime import date
from functools import cached_property, lru_cache
from typing import Any

import pandas as pd
import sqlalchemy as sa

from otc_assets.domain.revisions import Revision, newest
from otc_assets.domain.shares import floats_in_shares
from otc_assets.domain.tables import RAW
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.operations.frames import Knowledge
from otc_assets.research.knowledge import plain_store, select_rows, store_of
from otc_assets.research.state import State, state_of
from otc_assets.research.venues import SLICE, VENUE, venue_share, venue_volume
from otc_assets.warehouse.schema import rows_table, with_lineage
from otc_assets.warehouse.store import Store

MEASURES = ["share_volume", "trade_count", "notional"]
SHARES = ["total_volume", "total_trades", "total_notional", "symbol_count", "market_share_pct"]
_reading = threading.Lock()
"""Held while a whole slice is computed again, which may read the archive."""


@dataclass(frozen=True)
class VenuesKnown:
    """What each venue traded in a symbol, and the slices of which that cannot be told."""

    rows: pd.DataFrame
    """One row per tier, week_ending and mpid: share_volume (shares), trade_count, notional
    (dollars, NaN if the source has none), source_revision."""
    archived: list[WeekKey]
    """Slices whose rows the archive alone keeps; the symbol may be in them or not."""

    @cached_property
    def volumes(self) -> list[tuple[WeekKey, str, float]]:
        """Slice, mpid and shares of each row."""
        columns = (slices_in(self.rows), self.rows[VENUE], self.rows["share_volume"])
        return list(zip(*columns, strict=True))


def symbol_venues(
    symbol: str, day: date | None = None, *, dataset: str = "ats", database_url: str | None = None
) -> VenuesKnown:
    """Return what each venue traded in a symbol, as known at the end of a day (default: now).

    Raises:
        StoreError, ValueError: as `as_of` does.

    """
    store = plain_store(dataset, database_url)
    state = state_of(store)
    now = _known_now(store, symbol, state.written_of(state.slices))
    if day is None:
        return now
    known = revisions_known(store, state, day)
    current = {week for week, (then, newest_one) in known.items() if then == newest_one}
    older = {w: r.source_revision for w, (r, newest_one) in known.items() if r and r != newest_one}
    parts = [of_slices(now.rows, current), _of_revisions(store, symbol, older)]
    rows = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    return VenuesKnown(rows.sort_values([*SLICE, VENUE]), _archived(store, state, known))


@lru_cache(maxsize=128)
def _known_now(store: Store, symbol: str, _written: bytes) -> VenuesKnown:
    state = state_of(store)
    known = revisions_known(store, state, None)
    if not known:
        return VenuesKnown(pd.DataFrame(columns=[*SLICE, VENUE, *MEASURES]), [])
    rows = venue_volume(symbol, dataset=store.dataset.name, database_url=store.url)
    shown = rows[[*SLICE, VENUE, *MEASURES, "source_revision"]]
    return VenuesKnown(shown, _archived(store, state, known))


def slices_in(rows: pd.DataFrame) -> list[WeekKey]:
    """Return the slice of each row."""
    pairs = zip(rows["tier"], rows["week_ending"], strict=True)
    return [WeekKey(Tier(tier), week.date()) for tier, week in pairs]


def of_slices(rows: pd.DataFrame, slices: Container[WeekKey]) -> pd.DataFrame:
    """Return the rows that are of some slices."""
    there = [week in slices for week in slices_in(rows)]
    return rows[pd.Series(there, rows.index, dtype=bool)]


def revisions_known(
    store: Store, state: State, day: date | None
) -> dict[WeekKey, tuple[Revision | None, Revision]]:
    """Return of each slice the revision that was known at the end of a day, and the newest one."""
    every = _revisions(store, state.content)
    return {week: (newest(each, day), now) for week, each in every.items() if (now := newest(each))}


@lru_cache(maxsize=4)
def _revisions(store: Store, _content: bytes) -> dict[WeekKey, list[Revision]]:
    weeks = state_of(store).slices
    found: dict[WeekKey, list[Revision]] = {}
    with store.read() as reader:
        for tier in Tier:
            if mine := [week for week in weeks if week.tier == tier]:
                found |= reader.revisions(mine)
    return found


def _of_revisions(store: Store, symbol: str, wanted: dict[WeekKey, int]) -> pd.DataFrame:
    """Return a symbol's rows of some revisions, added up by venue as venue_volume does."""
    if not wanted:
        return pd.DataFrame()
    own, lineage = rows_table(RAW.name, store.dataset), store.sql_table("lineage")
    columns = [lineage.c[name] for name in SLICE]
    columns += [own.c[name] for name in (VENUE, *MEASURES)]
    rows = (
        sa.select(*columns, lineage.c.source_revision)
        .select_from(with_lineage(own, lineage))
        .where(lineage.c.table_name == RAW.name, own.c.symbol == symbol)
        .where(own.c.slice.in_([week.number for week in wanted]))
        .subquery()
    )
    found = select_rows(store, RAW, rows, [], [*SLICE, VENUE])
    numbers = pd.Series([wanted[week] for week in slices_in(found)], found.index, dtype="int64")
    found = found[found["source_revision"] == numbers]
    if not found.duplicated([*SLICE, VENUE]).any():
        return found
    by_venue = found.groupby([*SLICE, VENUE, "source_revision"])[MEASURES]
    # Without its notional a record has an unknown part in the sum.
    added = by_venue.sum()
    return added.where(by_venue.count().eq(by_venue.size(), axis="index")).reset_index()


def _archived(
    store: Store, state: State, known: dict[WeekKey, tuple[Revision | None, Revision]]
) -> list[WeekKey]:
    """Return the slices known by then whose rows are not in the store."""
    pruned = _pruned(store, state.written_of(state.slices))
    found = []
    for week, (then, now) in known.items():
        table = "venue_volume" if then == now else RAW.name
        if then and (table, week, then.source_revision) in pruned:
            found.append(week)
    return found


@lru_cache(maxsize=4)
def _pruned(store: Store, _written: bytes) -> frozenset[tuple[str, WeekKey, int]]:
    with store.read() as reader:
        return frozenset(
            (name, week, record["source_revision"])
            for name in (RAW.name, "venue_volume")
            for week, record in reader.pruned(name)
        )


def venue_share_known(
    tiers: Iterable[str],
    weeks: Iterable[date] | None,
    day: date | None = None,
    *,
    dataset: str = "ats",
    database_url: str | None = None,
) -> pd.DataFrame:
    """Return `venue_share` of some tiers and weeks as known at the end of a day (default: now).

    One row per tier, week_ending and mpid: the measures of venue_share, and rank. A slice that was
    corrected since is computed again from the revision that was known.
    """
    store = store_of(dataset, database_url)
    names, fridays = list(tiers), None if weeks is None else list(weeks)
    rows = venue_share(None, names, fridays, dataset=dataset, database_url=database_url)
    rows = rows[[*SLICE, VENUE, *SHARES, "rank"]]
    if day is None:
        return rows
    known = revisions_known(store, state_of(store), day)
    current = {week for week, (then, now) in known.items() if then == now}
    parts = [of_slices(rows, current)]
    for week, (then, now) in known.items():
        asked = week.tier in names and (fridays is None or week.week_ending in fridays)
        if asked and then and then != now:
            parts.append(_shares_of(store, week, then.revision_date, then))
    return pd.concat(parts, ignore_index=True).sort_values([*SLICE, "rank"], ignore_index=True)


@lru_cache(maxsize=64)
def _shares_of(store: Store, week: WeekKey, day: date, _revision: Revision) -> pd.DataFrame:
    rows = table_then(store, "venue_share", week, day)
    rows = rows.assign(
        tier=week.tier.value, week_ending=pd.Timestamp(week.week_ending).as_unit("s")
    )
    return rows[[*SLICE, VENUE, *SHARES, "rank"]]


def slice_venues(
    week: WeekKey, day: date | None = None, *, dataset: str = "ats", database_url: str | None = None
) -> pd.DataFrame:
    """Return what each venue traded in each symbol of a slice, as known at the end of a day.

    One row per symbol and mpid: share_volume, trade_count, notional; empty if nothing was known.
    """
    store = store_of(dataset, database_url)
    then, now = revisions_known(store, state_of(store), day).get(week, (None, None))
    if then is None:
        return pd.DataFrame(columns=["symbol", VENUE, *MEASURES])
    moment = None if then == now else then.revision_date
    return table_then(store, "venue_volume", week, moment)[["symbol", VENUE, *MEASURES]]


def table_then(store: Store, name: str, week: WeekKey, day: date | None) -> pd.DataFrame:
    """Return a table of a slice as known at the end of a day, in shares and dollars."""
    with _reading, store.read() as reader:
        rows = Knowledge(reader, week, day)[name]
    exact: dict[str, Any] = {
        column: floats_in_shares(rows[column])
        for column in ("share_volume", "notional", "total_volume", "total_notional")
        if column in rows
    }
    return rows.assign(**exact)
