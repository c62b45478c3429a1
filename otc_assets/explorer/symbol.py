"""A symbol over time: its venues, its measures, its corrections, as they were known on a day."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from markupsafe import Markup

from otc_assets.domain.datasets import DATASETS, Dataset
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.explorer.asking import Asked, NotThereError, near
from otc_assets.explorer.rendering import address
from otc_assets.research.look import exact
from otc_assets.research.plots import Mark, Series, lines, percent, stacked
from otc_assets.research.stacks import Stack, stack_of
from otc_assets.research.symbols import name_in
from otc_assets.research.timeline import Rows, Timeline, timeline
from otc_assets.research.venues_known import symbol_venues

MEASURES = {
    "total_volume": "shares",
    "total_trades": "trades",
    "total_notional": "dollars",
    "hhi": "HHI",
    "top_venue_share_pct": "largest venue's share",
    "avg_trade_size": "average trade size",
    "avg_6w_volume": "six-week average",
}
"""Columns whose changes are told, and what they are called."""
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


def facts(asked: Asked, symbol: str) -> dict[str, Any]:
    """Return what the page of a symbol shows.

    Raises:
        NotThereError: the store has it in no week.

    """
    there = asked.symbols()
    if symbol not in there:
        what = f"The store has no symbol “{symbol}” in any week."
        raise NotThereError(what, [(name, "symbol") for name in near(symbol, there)])
    every = [_part(asked, symbol, each) for each in DATASETS if each.name in asked.stores]
    parts = [part for part in every if part.weeks]
    rows = _rows(asked, parts)
    corrections = [(part, row) for part in parts for row in part.corrections]
    return {
        "symbol": symbol,
        "issue_name": _name(symbol, every),
        "days": sorted({day for part in every for day in part.timeline.days}),
        "parts": parts,
        "corrections": sorted(corrections, key=lambda each: each[1]["week_ending"], reverse=True),
        "rows": rows,
        "figures": _figures(parts, rows),
        "download": lambda kind, dataset: _download(asked, symbol, kind, dataset),
        **_since(asked.day, every),
    }


def _name(symbol: str, parts: list[DatasetPart]) -> str:
    """Return the name in the newest week of the symbol; names have no history of their own."""
    for part in parts:
        if weeks := part.timeline.known(None):
            newest = max(weeks, key=lambda week: week.week_ending)
            return name_in(newest, symbol, dataset=part.dataset.name)
    return ""


def _download(asked: Asked, symbol: str, kind: str, dataset: str) -> str:
    """Return where the API has the rows of a dataset that the page shows."""
    what = {"symbol": symbol, "dataset": dataset, "format": kind}
    if asked.day:
        return address("/v1/as-of", day=asked.day, **what)
    return address("/v1/latest", **what)


def _part(asked: Asked, symbol: str, dataset: Dataset) -> DatasetPart:
    name = dataset.name
    lived = timeline(asked.stores[name], asked.states[name], symbol)
    known = lived.known(asked.day)
    now = symbol_venues(symbol, dataset=name)
    then = symbol_venues(symbol, asked.day, dataset=name) if asked.day else now
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
        for week, (first, newest) in lived.corrected(asked.day).items()
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


def _rows(asked: Asked, parts: list[DatasetPart]) -> list[dict[str, Any]]:
    """Return one row per week and tier, the newest first: what each dataset knows of it."""
    found: dict[WeekKey, dict[str, Any]] = {}
    for part in parts:
        state = asked.states[part.dataset.name]
        first = {(row["tier"], row["week_ending"]): row["first"] for row in part.corrections}
        for week, row in part.weeks.items():
            more = {
                "first": first.get((week.tier, week.week_ending)),
                "published": state.slices[week].first_known,
            }
            found.setdefault(week, {})[part.dataset.name] = {**row, **more}
    known = {name: set(asked.slices(name)) for name in asked.stores}
    order = sorted(found, key=lambda week: (week.week_ending, week.tier), reverse=True)
    return [{"week": week, **found[week], **_share(week, found, known)} for week in order]


def _share(
    week: WeekKey, found: dict[WeekKey, dict[str, Any]], known: dict[str, set[WeekKey]]
) -> dict[str, Any]:
    """Return the shares of both datasets, and the part of ATS in percent, if both are known."""
    if any(week not in known.get(each.name, ()) for each in DATASETS):
        return {"both": None, "share": None}
    volumes = [found[week].get(each.name, {}).get("total_volume") or 0.0 for each in DATASETS]
    share = 100 * volumes[0] / sum(volumes) if sum(volumes) else None
    return {"both": volumes, "share": share}


def _figures(parts: list[DatasetPart], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the pictures of the measures: a line for each dataset and tier."""
    weeks = sorted({week.week_ending for part in parts for week in part.weeks})
    lined = [(part, tier) for part in parts for tier in _tiers(part.weeks)]

    def figure(title: str, column: str, **look: Any) -> dict[str, Any]:
        series = [
            Series(
                f"{part.dataset.title}, {tier}",
                _by_week(part.weeks, tier, column, weeks),
                1 + at % 4,
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


def _share_figure(rows: list[dict[str, Any]], weeks: list[date]) -> list[dict[str, Any]]:
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


def _since(day: date | None, parts: list[DatasetPart]) -> dict[str, Any]:
    """Return what was published later: of weeks that were known already, and of new ones.

    ``changes`` are the weeks with other numbers; ``averages`` counts those of which only the
    average over six weeks is another, because a week before has changed.
    """
    changes, averages, published = [], 0, 0
    for part in parts if day else ():
        then, now = part.timeline.known(day), part.timeline.known(None)
        published += len(now.keys() - then.keys())
        for week, before in then.items():
            after = now.get(week)
            names = [n for n in MEASURES if after is None or after[n] != before[n]]
            if names == [AVERAGE]:
                averages += 1
            elif names:
                changes.append(_change(part.dataset, week, before, after, names))
    changes.sort(key=lambda row: row["week"].week_ending, reverse=True)
    return {"changes": changes, "averages": averages, "published_since": published}


def _change(
    dataset: Dataset,
    week: WeekKey,
    before: dict[str, Any],
    after: dict[str, Any] | None,
    names: list[str],
) -> dict[str, Any]:
    others = ", ".join(MEASURES[name] for name in names if name != "total_volume")
    return {
        "dataset": dataset,
        "week": week,
        "before": before["total_volume"],
        "after": after and after["total_volume"],
        "known": after and after["as_of_date"],
        "others": others if after else "",
    }
