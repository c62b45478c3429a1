"""A symbol over time, in numbers and pictures: for the page, and for the explorer on any day.

Belongs here: what is drawn of one symbol, and beside which numbers. Does not belong here: what the
store has of it (`timeline`, `venues_known`), and how a chart looks (`plots`).
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date
from typing import Any

from markupsafe import Markup

from otc_assets.domain.datasets import DATASETS, Dataset
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.research.look import exact
from otc_assets.research.plots import Mark, Series, lines, percent, stacked
from otc_assets.research.stacks import Stack, stack_of
from otc_assets.research.state import State, state_of
from otc_assets.research.timeline import Rows, Timeline, timeline
from otc_assets.research.venues_known import symbol_venues
from otc_assets.warehouse.store import Store

AVERAGE = "avg_6w_volume"


@dataclass(frozen=True)
class DatasetPart:
    """What one dataset knows of the symbol."""

    dataset: Dataset
    timeline: Timeline
    weeks: Rows
    stack: Stack
    corrections: list[dict[str, Any]]
    """Weeks whose shares a correction had changed by then."""
    picture: Markup


def portrait(store: Store, symbol: str, day: date | None = None) -> DatasetPart:
    """Return what one dataset of a store knew of a symbol at the end of a day (default: now)."""
    dataset = store.dataset
    lived = timeline(store, state_of(store), symbol)
    known = lived.known(day)
    where: dict[str, Any] = {"dataset": dataset.name, "database_url": store.url}
    now = symbol_venues(symbol, **where)
    then = symbol_venues(symbol, day, **where) if day else now
    stack = stack_of(known, then, now)
    corrections = [
        {
            "week_ending": week.week_ending,
            "tier": week.tier,
            "first": first["total_volume"],
            "published": first["as_of_date"],
            "now": None if newest["is_removed"] else newest["total_volume"],
            "known": newest["as_of_date"],
        }
        for week, (first, newest) in lived.corrected(day).items()
    ]
    picture = _stacked(symbol, dataset, known, stack, corrections)
    return DatasetPart(dataset, lived, known, stack, corrections, picture)


def _stacked(
    symbol: str, dataset: Dataset, known: Rows, stack: Stack, corrections: list[dict[str, Any]]
) -> Markup:
    marks = [
        Mark(
            row["week_ending"],
            row["first"],
            f"Week ending {row['week_ending']}: published on {row['published']} as "
            f"{exact(row['first'])} shares, since {row['known']} {exact(row['now'])}",
        )
        for row in corrections
        if row["week_ending"] in stack.weeks
    ]
    average = [
        Series(f"six-week average, {tier}", _by_week(known, tier, AVERAGE, stack.weeks), 9)
        for tier in _tiers(known)
    ]
    label = f"{dataset.title} shares of {symbol} a week, by venue; the table below has the numbers"
    return stacked(stack.weeks, stack.series, label, over=average, marks=marks)


def _tiers(rows: Rows) -> list[Tier]:
    return [tier for tier in Tier if any(week.tier == tier for week in rows)]


def _by_week(rows: Rows, tier: Tier, name: str, weeks: list[date]) -> list[float | None]:
    return [rows.get(WeekKey(tier, week), {}).get(name) for week in weeks]


def week_rows(
    parts: Sequence[DatasetPart],
    states: Mapping[str, State],
    known: Mapping[str, AbstractSet[WeekKey]],
) -> list[dict[str, Any]]:
    """Return one row per week and tier, the newest first: what each dataset knows of it.

    Args:
        parts: the symbol in each dataset.
        states: how each dataset's slices stand.
        known: the slices of each dataset that were known: only of a week that both have is it said
            which part ATS has in it.

    """
    found: dict[WeekKey, dict[str, Any]] = {}
    for part in parts:
        state = states[part.dataset.name]
        first = {(row["tier"], row["week_ending"]): row["first"] for row in part.corrections}
        for week, row in part.weeks.items():
            more = {
                "first": first.get((week.tier, week.week_ending)),
                "published": state.slices[week].first_known,
            }
            found.setdefault(week, {})[part.dataset.name] = {**row, **more}
    order = sorted(found, key=lambda week: (week.week_ending, week.tier), reverse=True)
    return [{"week": week, **found[week], **_share(week, found, known)} for week in order]


def _share(
    week: WeekKey,
    found: Mapping[WeekKey, dict[str, Any]],
    known: Mapping[str, AbstractSet[WeekKey]],
) -> dict[str, Any]:
    """Return the shares of both datasets, and the part of ATS in percent, if both are known."""
    if any(week not in known.get(each.name, ()) for each in DATASETS):
        return {"both": None, "share": None}
    volumes = [found[week].get(each.name, {}).get("total_volume") or 0.0 for each in DATASETS]
    share = 100 * volumes[0] / sum(volumes) if sum(volumes) else None
    return {"both": volumes, "share": share}


def measure_figures(
    parts: Sequence[DatasetPart], rows: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return the pictures of the measures: a line for each dataset and tier."""
    weeks = sorted({week.week_ending for part in parts for week in part.weeks})
    lined = [(part, tier) for part in parts for tier in _tiers(part.weeks)]

    def figure(title: str, column: str, **look: Any) -> dict[str, Any]:
        series = [
            Series(
                f"{part.dataset.title}, {tier}",
                _by_week(part.weeks, tier, column, weeks),
                1 + at,  # two datasets in three tiers at most
            )
            for at, (part, tier) in enumerate(lined)
        ]
        picture = lines(weeks, series, f"{title}; the table below has the numbers", **look)
        return {"title": title, "series": series, "picture": picture}

    if not weeks:
        return []
    return [
        *_share_figure(rows, weeks),
        figure("Concentration, HHI (0 to 10,000)", "hhi"),
        figure("Largest venue's share, %", "top_venue_share_pct", top=100, number=percent),
        figure("Average trade size, shares", "avg_trade_size"),
    ]


def _share_figure(rows: Sequence[dict[str, Any]], weeks: list[date]) -> list[dict[str, Any]]:
    """Return the picture of the part of ATS, by week over all tiers."""
    volumes: dict[date, list[float]] = {}
    for row in rows:
        if row["both"]:
            before = volumes.get(row["week"].week_ending, [0.0, 0.0])
            both = [a + b for a, b in zip(before, row["both"], strict=True)]
            volumes[row["week"].week_ending] = both
    shares = {week: 100 * both[0] / sum(both) for week, both in volumes.items() if sum(both)}
    if not shares:
        return []
    title = "ATS in ATS + dealers, %"
    series = [Series("ATS", [shares.get(week) for week in weeks], 1)]
    label = f"{title}; the table below has the numbers"
    picture = lines(weeks, series, label, top=100, number=percent)
    return [{"title": title, "series": series, "picture": picture}]
