"""How slices stand: coverage, gaps, quality, revisions; and the features of their symbols."""

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated

import pandas as pd
from fastapi import APIRouter, Query, Response
from upath import UPath

from otc_assets.domain.calendar import today
from otc_assets.domain.tables import QUALITY_CHECKS, REVISIONS, Column, ColumnType
from otc_assets.domain.weeks import WeekKey
from otc_assets.research import facts
from otc_assets.research.export import file_of
from otc_assets.research.feature_columns import COLUMNS
from otc_assets.research.feature_files import read_file
from otc_assets.research.standing import lacking, quality, revisions
from otc_assets.serving.arguments import (
    Symbols,
    Tiers,
    Weeks,
    day_of,
    names,
    tiers_named,
    weeks_named,
)
from otc_assets.serving.asking import Ask, Asked, at_once, by_slice, refuse
from otc_assets.serving.described import column, columns_of, responses
from otc_assets.settings import setting

router = APIRouter(prefix="/v1", tags=["how weeks stand"])
TIER = column("tier", ColumnType.TEXT, "NMS Tier 1, NMS Tier 2 or OTC.")
WEEK = column("week_ending", ColumnType.DATE, "Friday of the week.")
COVERED = [
    TIER,
    WEEK,
    column("state", ColumnType.TEXT, ", ".join(facts.State)),
    column("revision", ColumnType.COUNT, "Of its content; 0 without."),
    column("grade", ColumnType.TEXT, "A to F, or empty."),
    column("reason", ColumnType.TEXT, "Why it is so, or empty."),
]
LACKING = [
    column("dataset", ColumnType.TEXT, "ats or non_ats."),
    TIER,
    WEEK,
    column("expected", ColumnType.DATE, "When FINRA was to publish it."),
    column("days_late", ColumnType.COUNT, "Since then."),
    column("severity", ColumnType.TEXT, "info, warning or critical."),
]
KINDS = {
    "string": ColumnType.TEXT,
    "date32[day]": ColumnType.DATE,
    "bool": ColumnType.FLAG,
    "int64": ColumnType.COUNT,
    "double": ColumnType.NUMBER,
}
FEATURES = [
    Column(c.name, KINDS.get(str(c.type), ColumnType.TIMESTAMP), c.description, c.nullable)
    for c in COLUMNS
]
FEATURE_WEEKS = 13
"""Named in one request: each is a file that is read."""
Newest = Annotated[int, Query(ge=1, le=1_000, description="How many weeks, from the newest back.")]

DueDay = Annotated[
    str | None,
    Query(
        description="Judge what was due by then (default: today in New York), up to a year ahead.",
        examples=["2025-08-05"],
        json_schema_extra={"format": "date"},
    ),
]


@router.get("/coverage", responses=responses(COVERED))
def coverage(newest: Newest = facts.WEEKS_SHOWN, ask: Ask = Asked) -> Response:
    """How each slice stands that is due or in the store: one row per (week, tier)."""
    day = today()
    parts = at_once(lambda: facts.coverage(ask.store, day, newest))
    depends = ask.state.written_of(ask.state.slices) + ask.state.listed + str(day).encode()
    return ask.answer(parts, ["week_ending", "tier"], depends=depends)


@router.get("/gaps", responses=responses(LACKING))
def gaps(day: DueDay = None, ask: Ask = Asked) -> Response:
    """Weeks that FINRA has published by its calendar and that the store lacks."""
    due = today() if day is None else day_of("day", day)
    if due > today() + timedelta(days=366):
        raise refuse(f"{due} is more than a year ahead", "day")
    parts = at_once(lambda: lacking(due, dataset=ask.dataset))
    depends = ask.state.content + ask.state.listed + str(due).encode()
    return ask.answer(parts, ["week_ending", "tier"], depends=depends)


@router.get("/quality", responses=responses(columns_of(QUALITY_CHECKS)))
def verdicts(tiers: Tiers = None, weeks: Weeks = None, ask: Ask = Asked) -> Response:
    """The newest verdict of every rule: one row per (tier, week, table, rule)."""
    return _of_slices(ask, quality, tiers, weeks, ["table_name", "rule"])


@router.get("/revisions", responses=responses(columns_of(REVISIONS)))
def contents(tiers: Tiers = None, weeks: Weeks = None, ask: Ask = Asked) -> Response:
    """Each content that FINRA has published: one row per (tier, week, source_revision)."""
    return _of_slices(ask, revisions, tiers, weeks, ["source_revision"])


def _of_slices(
    ask: Ask,
    read: Callable[..., pd.DataFrame],
    tiers: list[str] | None,
    weeks: list[str] | None,
    key: list[str],
) -> Response:
    """Answer slice by slice with what is written of each; of none with the columns alone."""
    slices = ask.slices(tiers_named(tiers), weeks_named(weeks))
    parts = by_slice(
        slices, lambda w: read(w.tier.value, w.week_ending, dataset=ask.dataset)
    ) or at_once(lambda: read([], dataset=ask.dataset))
    return ask.answer(parts, key, depends=ask.state.written_of(slices))


@router.get("/features", responses=responses(FEATURES))
def features(
    weeks: Weeks = None, symbols: Symbols = None, tiers: Tiers = None, ask: Ask = Asked
) -> Response:
    """Features as they were known, of the ATS weeks that have a feature file (docs/features.md).

    One row per (tier, week, symbol, as_of_date). One to 13 weeks have to be named.
    """
    if not weeks:
        raise refuse(f"name 1 to {FEATURE_WEEKS} weeks by their Friday", "week")
    fridays, wanted = weeks_named(weeks, FEATURE_WEEKS), names("symbol", symbols)
    if ask.dataset != "ats":
        raise refuse("features are of ats alone, with dealers' volume beside it", "dataset")
    root = UPath(setting("OTC_FEATURES_URL"))
    slices = [w for w in ask.slices(tiers_named(tiers), fridays) if file_of(root, w).exists()]
    stats = [file_of(root, week).stat() for week in slices]
    depends = repr([(week, s.st_mtime, s.st_size) for week, s in zip(slices, stats, strict=True)])

    def read(week: WeekKey) -> pd.DataFrame:
        # A file that an earlier version has written lacks the features that are new.
        rows = read_file(file_of(root, week)).reindex(columns=[each.name for each in FEATURES])
        return rows if wanted is None else rows[rows["symbol"].isin(wanted)]

    parts = by_slice(slices, read) or at_once(_no_features)
    return ask.answer(parts, ["symbol", "as_of_date"], depends=depends.encode())


def _no_features() -> pd.DataFrame:
    return pd.DataFrame(columns=[each.name for each in FEATURES])
