"""What venues traded, added up over what they were called and who went on as whom."""

from datetime import date, datetime
from typing import Any

import pandas as pd

from otc_assets.research.arguments import Names, Weeks, day_known, fridays_of, texts, tiers_of
from otc_assets.research.knowledge import plain_store
from otc_assets.research.registry.intervals import joined
from otc_assets.research.registry.known import venue_registry
from otc_assets.research.registry.seen import venue_of
from otc_assets.research.venues import SLICE, VENUE
from otc_assets.research.venues_known import venue_share_known

ADDED = ["total_volume", "total_trades", "total_notional", "market_share_pct"]
"""The measures that can be added; venues of one owner may have symbols in common."""


def venue_share_by_owner(
    owners: Names = None,
    tiers: Names = None,
    weeks: Weeks = None,
    *,
    as_of: str | date | datetime | None = None,
    dataset: str = "ats",
    database_url: str | None = None,
) -> pd.DataFrame:
    """Return each owner's part in a tier's volume: one row per (tier, week, owner), by rank.

    An owner is the venue as which others go on: under another name, after an absence, or under
    another MPID (`venue_registry`, column ``owner``). ``venues`` are the ``mpid`` of the week.

    Args:
        owners: one or more, by the owner's name or the ``mpid`` of any venue of it (default: all).
        tiers: one or more (default: all).
        weeks: one or more weeks by their Friday (default: all).
        as_of: a day at whose end this was known (default: now); who goes on as whom, too.
        dataset: ats or non_ats.
        database_url: the store (default: OTC_DATABASE_URL).

    Raises:
        StoreError, TypeError, ValueError: as `as_of` does.

    """
    day = None if as_of is None else day_known(as_of)
    where: dict[str, Any] = {"dataset": dataset, "database_url": database_url}
    rows = venue_share_known(tiers_of(tiers), fridays_of(weeks), day, **where)
    registry = venue_registry(day, dataset, database_url)
    store = plain_store(dataset, database_url)
    venue = rows[VENUE].map(lambda mpid: venue_of(store, mpid))
    rows = rows.assign(owner=_owners(registry, venue, rows["week_ending"]))
    found = _added_up(rows)
    if owners is None:
        return found
    asked = texts("owners", owners)
    named = {*asked, *(venue_of(store, name) for name in asked)}
    wanted = set(registry.loc[registry["venue"].isin(named), "owner"]) | named
    return found[found["owner"].isin(wanted)].reset_index(drop=True)


def _owners(registry: pd.DataFrame, venues: "pd.Series[Any]", weeks: "pd.Series[Any]") -> list[str]:
    """Return the owner of each venue in a week."""
    by_venue: dict[str, list[tuple[pd.Timestamp, str]]] = {}
    for venue, last, owner in registry[["venue", "last_week", "owner"]].itertuples(index=False):
        by_venue.setdefault(venue, []).append((last, owner))
    pairs = zip(venues, weeks, strict=True)
    return [next(o for last, o in by_venue[venue] if week <= last) for venue, week in pairs]


def _added_up(rows: pd.DataFrame) -> pd.DataFrame:
    by_owner = rows.groupby([*SLICE, "owner"])
    added = by_owner[ADDED].sum().where(by_owner[ADDED].count().eq(by_owner.size(), axis="index"))
    found = added.assign(venues=by_owner[VENUE].agg(joined)).reset_index()
    order = found.sort_values(
        [*SLICE, "total_volume", "owner"], ascending=[True, True, False, True]
    )
    rank = order.groupby(SLICE).cumcount() + 1
    return order.assign(rank=rank).reset_index(drop=True)
