"""The registry of venues, and who came and went, as known at the end of a day."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import Any

import pandas as pd

from otc_assets.domain.datasets import ATS, DATASETS
from otc_assets.domain.weeks import WeekKey
from otc_assets.research.arguments import day_known
from otc_assets.research.knowledge import plain_store, store_of
from otc_assets.research.registry.corrections import (
    Correction,
    corrected,
    known_by,
    read_corrections,
    with_names,
)
from otc_assets.research.registry.intervals import BEGAN, ENDED, Row, intervals
from otc_assets.research.registry.lives import FOLD
from otc_assets.research.registry.overlaps import SYMBOL_WEEKS, overlap
from otc_assets.research.registry.seen import Slices, seen, slices_known, traded, venue_of
from otc_assets.research.registry.succession import (
    PREDECESSOR,
    SUCCESSOR,
    Pair,
    owners,
    pairs,
    with_successors,
)
from otc_assets.research.state import state_of
from otc_assets.warehouse.store import Store

SURE = 50.0
"""Percent from which on a successor's volume is counted with that of its predecessor: it is more
likely than not."""
DAYS = ("valid_from", "valid_until", "last_week")
COUNTS = ("weeks_seen", "weeks_known")
COLUMNS = (
    *("dataset", "venue", "kind", "owner", "name", "names_before"),
    *(*DAYS, *COUNTS, "tiers"),
    *(*BEGAN, *ENDED, *SUCCESSOR, *PREDECESSOR),
    "corrected_by",
)


def venue_registry(
    as_of: str | date | datetime | None = None,
    dataset: str | None = None,
    database_url: str | None = None,
) -> pd.DataFrame:
    """Return who the venues are: one row per dataset, venue and interval (docs/venues.md).

    Args:
        as_of: a day at whose end this was known (default: now), as in `as_of`.
        dataset: ats or non_ats (default: both, as far as the store has them).
        database_url: the store (default: OTC_DATABASE_URL).

    Returns:
        ``venue`` is an MPID, or a dealer's CRD number. Weeks are datetime64; ``valid_until`` is
        NaT while an interval lasts. Confidences are in percent, evidence is a dict, several names
        in one column are separated by `` | ``.

    Raises:
        StoreError, TypeError, ValueError: as `as_of` does; a correction that is wrong.

    """
    day = None if as_of is None else day_known(as_of)
    names = [dataset] if dataset is not None else [each.name for each in DATASETS]
    stores = [plain_store(name, database_url) for name in names]
    found = [store for store in stores if store.has_content()] or [store_of(names[0], database_url)]
    corrections = read_corrections()
    parts = [_registry(each, day, state_of(each).content, corrections) for each in found]
    return _typed(pd.concat(parts, ignore_index=True))


def _typed(rows: pd.DataFrame) -> pd.DataFrame:
    found: dict[str, Any] = {}
    for name in COLUMNS:
        if name in DAYS:
            found[name] = pd.to_datetime(rows[name]).astype("datetime64[s]")
        elif name in COUNTS:
            found[name] = rows[name].astype("int64")
        elif name.endswith("_confidence"):
            found[name] = rows[name].astype("float64")
        else:
            found[name] = rows[name] if name.endswith("_evidence") else rows[name].astype("str")
    return pd.DataFrame(found)


@lru_cache(maxsize=16)
def _registry(
    store: Store, day: date | None, _content: bytes, corrections: tuple[Correction, ...]
) -> pd.DataFrame:
    slices = slices_known(store, day)
    mine = known_by(corrections, store.dataset.name, day)
    rows = intervals(with_names(seen(slices), mine), slices.known)
    rows = corrected(with_successors(rows, _overlaps(slices, rows)), mine)
    kind = "ATS" if store.dataset is ATS else "dealer"
    found = [
        {
            **row,
            "dataset": store.dataset.name,
            "kind": "de minimis" if row["venue"] == FOLD else kind,
            "owner": owner,
        }
        for row, owner in zip(rows, owners(rows, SURE), strict=True)
    ]
    return pd.DataFrame(found, columns=list(COLUMNS), dtype=object)


def _overlaps(slices: Slices, rows: Sequence[Row]) -> dict[Pair, dict[str, Any]]:
    """Return what each pair of intervals shares in the weeks around the change."""
    found = {}
    for old, new in pairs(rows, slices.weeks):
        before = traded(slices, rows[old]["venue"], rows[old]["weeks"][-SYMBOL_WEEKS:])
        after = traded(slices, rows[new]["venue"], rows[new]["weeks"][:SYMBOL_WEEKS])
        found[old, new] = overlap(before, after)
    return found


def venue_rows(
    mpid: str, day: date | None, *, dataset: str, database_url: str | None = None
) -> list[dict[Any, Any]]:
    """Return the rows of `venue_registry` of an ``mpid``'s venue, the newest first.

    What is not known is None in each column.
    """
    rows = venue_registry(day, dataset, database_url)
    mine = of_venues(rows, [mpid], dataset=dataset, database_url=database_url)
    mine = mine.iloc[::-1].astype(object)
    return mine.where(mine.notna(), None).to_dict("records")


def of_venues(
    rows: pd.DataFrame, mpids: Iterable[str], *, dataset: str, database_url: str | None = None
) -> pd.DataFrame:
    """Return the rows that are of some venues, by their ``mpid`` or by a dealer's CRD number."""
    store = plain_store(dataset, database_url)
    venues = {venue_of(store, mpid) for mpid in mpids}
    return rows[rows["venue"].isin(venues)].reset_index(drop=True)


def came_and_went(
    week: WeekKey, day: date | None, *, dataset: str, database_url: str | None = None
) -> dict[str, str]:
    """Return by ``mpid`` which venues of a slice are new, back or gone, as known on a day.

    ``gone`` is a venue that was seen in that week for the last time. The names of ATSs are not
    read for it, and so a name says nothing here.
    """
    store = plain_store(dataset, database_url)
    slices, rows = _coming_and_going(store, day, state_of(store).content)
    there = slices.venues.get(week, frozenset())
    found = {}
    for venue, first, last, began, ended in rows:
        if first == week.week_ending and began != "unknown":
            found[venue] = began
        elif last == week.week_ending and ended == "gone":
            found[venue] = ended
    of = {mpid: found.get(venue_of(store, mpid)) for mpid in there}
    return {mpid: told for mpid, told in of.items() if told}


@lru_cache(maxsize=8)
def _coming_and_going(
    store: Store, day: date | None, _content: bytes
) -> tuple[Slices, list[tuple[Any, ...]]]:
    slices = slices_known(store, day)
    rows = intervals(seen(slices, named=False), slices.known)
    names = ("venue", "valid_from", "last_week", "began_as", "ended_as")
    return slices, [tuple(row[name] for name in names) for row in rows]
