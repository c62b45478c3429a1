"""A symbol over time: its venues, its measures, its corrections, as they were known on a day."""

from datetime import date
from typing import Any

from otc_assets.domain.datasets import Dataset
from otc_assets.domain.weeks import WeekKey
from otc_assets.explorer.asking import Asked, NotThereError, near
from otc_assets.explorer.rendering import address
from otc_assets.research.portrait import (
    AVERAGE,
    DatasetPart,
    measure_figures,
    portrait,
    week_rows,
)
from otc_assets.research.symbols import name_in

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


def facts(asked: Asked, symbol: str) -> dict[str, Any]:
    """Return what the page of a symbol shows.

    Raises:
        NotThereError: the store has it in no week.

    """
    there = asked.symbols()
    if symbol not in there:
        what = f"The store has no symbol “{symbol}” in any week."
        raise NotThereError(what, [(name, "symbol") for name in near(symbol, there)])
    every = [portrait(store, symbol, asked.day) for store in asked.stores.values()]
    parts = [part for part in every if part.weeks]
    known = {name: set(asked.slices(name)) for name in asked.stores}
    rows = week_rows(parts, asked.states, known)
    corrections = [(part, row) for part in parts for row in part.corrections]
    return {
        "symbol": symbol,
        "issue_name": _name(symbol, every),
        "days": sorted({day for part in every for day in part.timeline.days}),
        "parts": parts,
        "corrections": sorted(corrections, key=lambda each: each[1]["week_ending"], reverse=True),
        "rows": rows,
        "figures": measure_figures(parts, rows),
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
