"""Symbols and venues: which there are, and which part each venue has."""

from collections.abc import Callable
from functools import cache
from typing import Annotated

import pandas as pd
from fastapi import APIRouter, Query, Response

from otc_assets.domain.tables import ColumnType
from otc_assets.research.symbols import NAME_WEEKS, find_symbols
from otc_assets.research.venues import SHARE, VOLUME, venue_share, venue_volume, venues
from otc_assets.serving.arguments import (
    Symbols,
    Tiers,
    Venues,
    Weeks,
    names,
    tiers_named,
    weeks_named,
)
from otc_assets.serving.asking import Ask, Asked, at_once, by_slice, refuse
from otc_assets.serving.described import column, columns_of, responses
from otc_assets.serving.limits import MAX_TEXT
from otc_assets.serving.paging import Part

router = APIRouter(prefix="/v1", tags=["symbols and venues"])
FOUND = [
    column("symbol", ColumnType.TEXT, "As FINRA writes it."),
    column(
        "issue_name",
        ColumnType.TEXT,
        f"Of the newest {NAME_WEEKS} weeks of each tier; null if it was in none of them.",
        nullable=True,
    ),
    column("tier", ColumnType.TEXT, "Of the newest of them.", nullable=True),
    column("found_by", ColumnType.TEXT, "symbol or name."),
]
NAME = column("venue_name", ColumnType.TEXT, "Null where the source has none.", nullable=True)
RANKED = ["tier", "week_ending", "rank"]
Search = Annotated[
    str,
    Query(
        max_length=MAX_TEXT,
        description="How a symbol begins, or a part of its issue's name; upper and lower case "
        "count alike.",
        examples=["px"],
    ),
]


@router.get("/symbols", responses=responses(FOUND))
def symbols_found(search: Search = "", ask: Ask = Asked) -> Response:
    """Symbols that begin with a text, then those whose issue name has it."""

    @cache
    def found() -> pd.DataFrame:
        return find_symbols(search, dataset=ask.dataset)

    def found_by(what: str) -> Callable[[], pd.DataFrame]:
        return lambda: found()[found()["found_by"] == what]

    parts = [Part("1", found_by("symbol")), Part("2", found_by("name"))]
    return ask.answer(parts, ["symbol"], depends=ask.state.content)


@router.get("/venues", responses=responses(columns_of(SHARE, NAME)))
def newest_venues(ask: Ask = Asked) -> Response:
    """The venues of each tier's newest week, with their names and their part in its volume."""
    parts = at_once(lambda: venues(dataset=ask.dataset))
    return ask.answer(parts, RANKED, depends=ask.state.content)


@router.get("/venue-share", responses=responses(columns_of(SHARE)))
def venue_shares(
    mpids: Venues = None, tiers: Tiers = None, weeks: Weeks = None, ask: Ask = Asked
) -> Response:
    """Each venue's part in a tier's volume over weeks: one row per (tier, week, venue)."""
    wanted, fridays = tiers_named(tiers), weeks_named(weeks)
    named, slices = names("venue", mpids), ask.slices(wanted, fridays)
    depends = ask.state.content_of(slices)
    if named is None and slices:
        parts = by_slice(
            slices, lambda w: venue_share(None, w.tier.value, w.week_ending, dataset=ask.dataset)
        )
        return ask.answer(parts, ["rank"], depends=depends)
    parts = at_once(lambda: venue_share(named or [], wanted, fridays, dataset=ask.dataset))
    return ask.answer(parts, [*RANKED, "mpid"], depends=depends)


@router.get("/venue-volume", responses=responses(columns_of(VOLUME, without=["record_hash"])))
def venue_volumes(
    symbols: Symbols = None, tiers: Tiers = None, weeks: Weeks = None, ask: Ask = Asked
) -> Response:
    """What each venue traded in some symbols: one row per (tier, week, symbol, venue).

    Weeks whose rows the archive alone keeps are left out.
    """
    if not symbols:
        raise refuse("name one or more", "symbol")
    wanted, fridays = tiers_named(tiers), weeks_named(weeks)
    known = ask.known(names("symbol", symbols))
    depends = ask.state.content_of(ask.slices(wanted, fridays))
    parts = at_once(lambda: venue_volume(known or [], wanted, fridays, dataset=ask.dataset))
    return ask.answer(parts, ["tier", "week_ending", "symbol", "mpid"], depends=depends)
