"""Which venues were seen in which weeks, under which names, as known at the end of a day.

What is there is read from venue_share, which is never pruned; names and symbols from the records.
Where only the archive keeps a slice's records, its file is parsed again, which each process does
once. Of a slice that was corrected after the day, all is read from the revision that was known.
"""

import threading
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

import pandas as pd
import sqlalchemy as sa

from otc_assets.domain.revisions import Revision
from otc_assets.domain.tables import RAW
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.operations.recall import Recall
from otc_assets.research.state import state_of
from otc_assets.research.venues import SHARE, VENUE, VOLUME
from otc_assets.research.venues_known import revisions_known
from otc_assets.warehouse.reader import SliceReader
from otc_assets.warehouse.schema import name_of, rows_table
from otc_assets.warehouse.store import Store

FIRST_LINES = 3_000
"""Lines of a slice in which names are looked for first: nearly all venues are among them, and all
lines of a year take two seconds."""
COLUMNS = ["venue", "tier", "week_ending", "name"]
_recalling = threading.Lock()
"""Held while a slice's records come from the archive: a large one takes much memory."""


@dataclass(frozen=True)
class Slices:
    """The slices of a dataset that were known at the end of a day, and their venues."""

    store: Store
    revisions: dict[WeekKey, tuple[Revision, Revision]]
    """Of each slice the revision that was known, and the newest one."""
    venues: dict[WeekKey, frozenset[str]]
    """The ``mpid`` of each venue of a slice that has any."""

    @property
    def known(self) -> pd.DataFrame:
        """The tier and week_ending of each slice that has venues."""
        rows = [(week.tier.value, week.week_ending) for week in self.venues]
        return pd.DataFrame(rows, columns=["tier", "week_ending"])

    @property
    def weeks(self) -> set[date]:
        """The weeks of which any tier is known."""
        return {week.week_ending for week in self.venues}


def slices_known(store: Store, day: date | None) -> Slices:
    """Return the slices of a store that were known at the end of a day (None: now)."""
    state = state_of(store)
    known = revisions_known(store, state, day)
    found = {week: (then, now) for week, (then, now) in known.items() if then}
    current = {week for week, (then, now) in found.items() if then == now}
    venues = {week: each for week, each in _newest(store, state.content).items() if week in current}
    for week in found.keys() - current:
        if there := _of_revision(store, week, found[week][0].source_revision):
            venues[week] = there
    return Slices(store, found, venues)


@lru_cache(maxsize=4)
def _newest(store: Store, _content: bytes) -> dict[WeekKey, frozenset[str]]:
    """Return the venues of each slice's newest revision."""
    rows = store.sql_table(SHARE.name)
    query = sa.select(rows.c.tier, rows.c.week_ending, rows.c[VENUE]).distinct()
    found: dict[tuple[str, date], set[str]] = {}
    with store.read() as reader:
        for tier, week, mpid in reader.connection.execute(query):
            found.setdefault((tier, week), set()).add(mpid)
    return {WeekKey(Tier(tier), week): frozenset(each) for (tier, week), each in found.items()}


@lru_cache(maxsize=4096)
def _of_revision(store: Store, week: WeekKey, number: int) -> frozenset[str]:
    """Return the venues of a slice's older revision, which stays as it is."""
    with store.read() as reader:
        if (lines := _lines(reader, RAW.name, week, source_revision=number)) is None:
            return frozenset(_recalled(reader, week, number, [VENUE])[VENUE])
        rows = rows_table(RAW.name, store.dataset)
        query = sa.select(rows.c[VENUE]).where(*lines).distinct()
        return frozenset(reader.connection.execute(query).scalars())


def _lines(reader: SliceReader, table: str, week: WeekKey, **equal: Any) -> list[Any] | None:
    """Return the conditions of a slice's rows, None if the archive alone keeps some of them."""
    lineage, rows = reader.lineage(table, week, **equal), rows_table(table, reader.dataset)
    if any(record["pruned_at"] for record in lineage):
        return None
    numbers = [record["lineage_number"] for record in lineage]
    return [rows.c.slice == week.number, rows.c.lineage_number.in_(numbers)]


def _recalled(
    reader: SliceReader, week: WeekKey, number: int, columns: Sequence[str]
) -> pd.DataFrame:
    """Return columns of a revision's records that the archive keeps, in the order of its lines."""
    with _recalling:  # fresh: what is read once is not to drive other frames out of memory
        return reader.frame(RAW.name, week, columns, fresh=True, source_revision=number)


def seen(slices: Slices, *, named: bool = True) -> pd.DataFrame:
    """Return one row per venue, tier and week with the venue's name: the input of `intervals`.

    A venue is an MPID; of a dealer, whose ``mpid`` is its CRD number and its name, that number.
    Names of ATSs are looked up only if ``named``, in the first tier of each week that has one.
    """
    rows: list[tuple[str, str, date, str | None]] = []
    if is_dealers(slices.store):
        for week, venues in slices.venues.items():
            for number, name in sorted(map(parts_of, venues)):
                rows.append((number, week.tier.value, week.week_ending, name))
    else:
        names = _names_by_slice(slices) if named else {}
        for week, venues in slices.venues.items():
            mine = names.get(week, {})
            rows += [(v, week.tier.value, week.week_ending, mine.get(v)) for v in venues]
    found = pd.DataFrame(rows, columns=COLUMNS)
    return found.drop_duplicates(COLUMNS[:3], keep="last", ignore_index=True)


def is_dealers(store: Store) -> bool:
    """Tell whether venues of a store's dataset have a CRD number and a name in their ``mpid``."""
    return len(store.dataset.venue_columns) > 1


def parts_of(mpid: str) -> tuple[str, str]:
    """Return the CRD number and the name of a dealer."""
    number, _, name = mpid.partition(" ")
    return number, name


def _names_by_slice(slices: Slices) -> dict[WeekKey, Mapping[str, str]]:
    named: dict[date, set[str]] = {}
    found: dict[WeekKey, Mapping[str, str]] = {}
    for week in sorted(slices.venues, key=lambda each: list(Tier).index(each.tier)):
        there = named.setdefault(week.week_ending, set())
        if lacking := slices.venues[week] - there:
            number = slices.revisions[week][0].source_revision
            written = state_of(slices.store).written_of([week])
            found[week] = _names(slices.store, week, number, frozenset(lacking), written)
            there.update(found[week])
    return found


@lru_cache(maxsize=4096)
def _names(
    store: Store, week: WeekKey, number: int, venues: AbstractSet[str], _written: bytes
) -> Mapping[str, str]:
    """Return the name that each of some venues has in its first line of a revision."""
    found: dict[str, str] = {}
    with store.read() as reader:
        if (lines := _lines(reader, RAW.name, week, source_revision=number)) is None:
            return _names_recalled(store, reader, week, number, venues)
        rows = rows_table(RAW.name, store.dataset).c
        order = rows.lineage_number, rows.line_number
        name = name_of(rows.venue_name).label("venue_name")
        query = sa.select(rows[VENUE], name, *order).where(*lines)
        found |= _first_names(reader, query.order_by(*order).limit(FIRST_LINES))
        if lacking := venues - found.keys():
            found |= _first_names(reader, query.where(rows[VENUE].in_(lacking)))
    return {mpid: name for mpid, name in found.items() if mpid in venues}


def _names_recalled(
    store: Store, reader: SliceReader, week: WeekKey, number: int, venues: AbstractSet[str]
) -> dict[str, str]:
    """Return the same from the archive: from the first lines of its file, or from all of them."""
    if isinstance(store.recall, Recall):
        first = store.recall.first_rows(reader, week, number, FIRST_LINES)
        if first is not None and venues <= (found := _named(first, venues)).keys():
            return found
    return _named(_recalled(reader, week, number, [VENUE, "venue_name"]), venues)


def _named(records: pd.DataFrame, venues: AbstractSet[str]) -> dict[str, str]:
    """Return the first name that each of some venues has in records."""
    is_named = records["venue_name"].fillna("") != ""
    first = records[is_named & records[VENUE].isin(venues)].drop_duplicates(VENUE)
    return dict(zip(first[VENUE], first["venue_name"], strict=True))


def _first_names(reader: SliceReader, lines: sa.Select[Any]) -> dict[str, str]:
    """Return the first name that each venue has in some lines."""
    rows = lines.subquery().c
    first = sa.func.min(rows.lineage_number), sa.func.min(rows.line_number)
    query = sa.select(rows[VENUE], rows.venue_name).where(rows.venue_name != "")
    found: dict[str, str] = {}
    by_name = query.group_by(rows[VENUE], rows.venue_name).order_by(*first)
    for mpid, name in reader.connection.execute(by_name):
        found.setdefault(mpid, name)
    return found


def traded(slices: Slices, venue: str, weeks: Iterable[date]) -> dict[WeekKey, set[str]]:
    """Return the symbols of a venue by slice, of each slice of some weeks that is known."""
    known = [WeekKey(tier, week) for week in weeks for tier in Tier]
    found: dict[WeekKey, set[str]] = {}
    with slices.store.read() as reader:
        for week in (each for each in known if each in slices.venues):
            mine = [m for m in slices.venues[week] if venue_of(slices.store, m) == venue]
            found[week] = _symbols(reader, week, *slices.revisions[week], mine)
    return found


def venue_of(store: Store, mpid: str) -> str:
    """Return the venue that an ``mpid`` is of."""
    return parts_of(mpid)[0] if is_dealers(store) else mpid


def _symbols(
    reader: SliceReader, week: WeekKey, then: Revision, now: Revision, mpids: list[str]
) -> set[str]:
    """Return the symbols of some venues in a revision."""
    if not mpids:
        return set()
    name, equal = RAW.name, {"source_revision": then.source_revision}
    if then == now:
        name, equal = VOLUME.name, {}
    if (lines := _lines(reader, name, week, **equal)) is None:
        records = _recalled(reader, week, then.source_revision, ["symbol", VENUE])
        return set(records.loc[records[VENUE].isin(mpids), "symbol"])
    rows = rows_table(name, reader.dataset)
    query = sa.select(rows.c.symbol).where(*lines, rows.c[VENUE].in_(mpids))
    return set(reader.connection.execute(query).scalars())
