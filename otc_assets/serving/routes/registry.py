"""Who the venues are, and what each traded with those that went on as it."""

from datetime import date
from typing import Annotated

import pandas as pd
from fastapi import APIRouter, Query, Response

from otc_assets.domain.tables import Column, ColumnType
from otc_assets.research.registry import find_venues, venue_registry, venue_share_by_owner
from otc_assets.research.registry.known import DAYS, of_venues
from otc_assets.research.venues import SHARE
from otc_assets.serving.arguments import (
    Tiers,
    Venues,
    Weeks,
    day_of,
    names,
    tiers_named,
    weeks_named,
)
from otc_assets.serving.asking import Ask, Asked, at_once
from otc_assets.serving.described import column, columns_of, responses
from otc_assets.serving.limits import MAX_TEXT

router = APIRouter(prefix="/v1", tags=["symbols and venues"])
Day = Annotated[
    str | None,
    Query(
        description="The day at whose end in New York this was known (default: now).",
        examples=["2025-07-15"],
        json_schema_extra={"format": "date"},
    ),
]
Search = Annotated[
    str,
    Query(
        max_length=MAX_TEXT,
        description="How an MPID or a CRD number begins, or a part of any name that the venue has "
        "had; upper and lower case count alike.",
        examples=["example"],
    ),
]
OWNER = column("owner", ColumnType.TEXT, "The venue as which it goes on, at the end of the chain.")


def _claim(name: str, values: str, what: str) -> list[Column]:
    return [
        column(name, ColumnType.TEXT, values, nullable=True),
        column(
            f"{name.removesuffix('_as')}_confidence",
            ColumnType.NUMBER,
            f"How sure {what} is, in percent; null where nothing is claimed.",
            nullable=True,
        ),
        column(
            f"{name.removesuffix('_as')}_evidence",
            ColumnType.JSON,
            f"Why {what} is believed: weeks, symbols in common, or a document.",
        ),
    ]


REGISTRY = [
    column("dataset", ColumnType.TEXT, "ats or non_ats."),
    column("venue", ColumnType.TEXT, "An MPID, or a dealer's CRD number."),
    column("kind", ColumnType.TEXT, "ATS, dealer, or de minimis (FINRA's sum of small dealers)."),
    OWNER,
    column("name", ColumnType.TEXT, "Its newest spelling in that time.", nullable=True),
    column("names_before", ColumnType.TEXT, "Separated by a bar; empty if there are none."),
    column("valid_from", ColumnType.DATE, "The first week."),
    column("valid_until", ColumnType.DATE, "The last week; null while it lasts.", nullable=True),
    column("last_week", ColumnType.DATE, "The last week in which it was seen."),
    column("weeks_seen", ColumnType.COUNT, "Weeks in which it was seen."),
    column("weeks_known", ColumnType.COUNT, "Weeks of its tiers from the first to the last."),
    column("tiers", ColumnType.TEXT, "In which it was seen, separated by a bar."),
    *_claim("began_as", "unknown, new, renamed, returned or reused.", "how it began"),
    *_claim("ended_as", "gone or renamed; null while it lasts.", "how it ended"),
    *_claim("successor", "The venue as which it goes on.", "this"),
    *_claim("predecessor", "The venues that went on as it.", "this"),
    column("corrected_by", ColumnType.TEXT, "Public documents.", nullable=True),
]
BY_OWNER = [
    column("tier", ColumnType.TEXT, "NMS Tier 1, NMS Tier 2 or OTC."),
    column("week_ending", ColumnType.DATE, "Friday of the week."),
    OWNER,
    *(c for c in columns_of(SHARE) if c.name.startswith("total_") or c.name == "market_share_pct"),
    column("venues", ColumnType.TEXT, "Their mpid in that week, separated by a bar."),
    column("rank", ColumnType.COUNT, "By volume, 1 is the largest."),
]


@router.get("/venue-registry", responses=responses(REGISTRY))
def registry(
    mpids: Venues = None, search: Search = "", day: Day = None, ask: Ask = Asked
) -> Response:
    """Who the venues are: names, first and last week, successor and predecessor, with evidence.

    One row per venue and interval in which it was one and the same.
    """
    known_on, wanted = _day(day), names("venue", mpids)

    def read() -> pd.DataFrame:
        rows = venue_registry(known_on, ask.dataset)
        if search:
            rows = rows[rows["venue"].isin(find_venues(search, dataset=ask.dataset)["venue"])]
        return rows if wanted is None else of_venues(rows, wanted, dataset=ask.dataset)

    depends = ask.state.content
    return ask.answer(at_once(read), ["venue", DAYS[0]], depends=depends, as_of=known_on)


@router.get("/venue-share-by-owner", responses=responses(BY_OWNER))
def shares_by_owner(
    mpids: Venues = None,
    tiers: Tiers = None,
    weeks: Weeks = None,
    day: Day = None,
    ask: Ask = Asked,
) -> Response:
    """Each venue's part in a tier's volume, with that of the venues that went on as it.

    One row per (tier, week, owner). A venue stands for its owner.
    """
    known_on, wanted, fridays = _day(day), tiers_named(tiers), weeks_named(weeks)
    named = names("venue", mpids)

    def read() -> pd.DataFrame:
        which = named, wanted, fridays
        return venue_share_by_owner(*which, as_of=known_on, dataset=ask.dataset)

    key = ["tier", "week_ending", "rank"]
    return ask.answer(at_once(read), key, depends=ask.state.content, as_of=known_on)


def _day(day: str | None) -> date | None:
    return None if day is None else day_of("day", day)
