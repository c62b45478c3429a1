"""A venue over time: its part in each tier and its rank, its symbols, where it gains and loses."""

from datetime import timedelta
from typing import Any

import pandas as pd

from otc_assets.domain.datasets import DATASETS, NON_ATS, Dataset
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.explorer.asking import Asked, NotThereError, near
from otc_assets.research.market import by_week, newest_week, slice_known
from otc_assets.research.plots import Series, lines, percent, stacked
from otc_assets.research.registry.intervals import BETWEEN
from otc_assets.research.registry.known import venue_rows
from otc_assets.research.registry.told import began, ended, succession
from otc_assets.research.symbols import slice_names
from otc_assets.research.venues import VENUE, venue_names, venue_share
from otc_assets.research.venues_known import slice_venues, venue_share_known

SHOWN = 15
"""Symbols of each list."""
BARS, LINES = (1, 6, 3), (1, 2, 3)
"""The same colours of the tiers, as bars and as lines."""


def facts(asked: Asked, mpid: str, tier: Tier | None) -> dict[str, Any]:
    """Return what the page of a venue shows, its symbols of one tier's newest week.

    Raises:
        NotThereError: the store has it in no week.

    """
    dataset = _dataset_of(asked, mpid)
    every = venue_share_known([*Tier], None, asked.day, dataset=dataset.name)
    rows = every[every[VENUE] == mpid].sort_values("week_ending", ignore_index=True)
    there = [each for each in Tier if each in set(rows["tier"])]
    chosen = tier if tier in there else (there[0] if there else None)
    mine = rows[rows["tier"] == chosen]
    week = WeekKey(chosen, mine["week_ending"].max().date()) if chosen else None
    symbols = _symbols(asked, dataset, mpid, week) if week else pd.DataFrame()
    known = asked.slices(dataset.name)
    newest = newest_week(known, chosen) if chosen else None
    return {
        "mpid": mpid,
        "dataset": dataset,
        "name": venue_names(week, dataset=dataset.name).get(mpid, "") if week else "",
        "there": there,
        "tier": chosen,
        "week": week,
        "is_gone": bool(week and newest and week.week_ending < newest),
        "newest_week": newest,
        "lives": _lives(mpid, asked, dataset),
        "rows": rows.iloc[::-1].to_dict("records"),
        "figures": _figures(rows),
        "largest": _head(symbols, "share_volume"),
        "gains": _head(symbols, "change", 1),
        "losses": _head(symbols, "change", -1),
        "names": slice_names(week, dataset=dataset.name) if week else {},
    }


def dealer_of(asked: Asked, crd: str) -> str | None:
    """Return the newest ``mpid`` of a dealer by its CRD number alone, None if it is no dealer's."""
    if not (crd.isascii() and crd.isdigit() and NON_ATS.name in asked.stores):
        return None
    rows = venue_rows(crd, None, dataset=NON_ATS.name)
    return f"{crd} {rows[0]['name']}" if rows else None


def _lives(mpid: str, asked: Asked, dataset: Dataset) -> list[dict[str, Any]]:
    """Return a row for each interval of the venue in the registry, in words, the newest first."""
    return [
        {
            **row,
            "began": began(row),
            "ended": ended(row),
            "before": _others(row, "predecessor"),
            "after": _others(row, "successor"),
        }
        for row in venue_rows(mpid, asked.day, dataset=dataset.name)
    ]


def _others(row: dict[Any, Any], what: str) -> dict[str, Any]:
    """Return the venues that went on as this one, or as which it went on, and why."""
    venues = row[what].split(BETWEEN) if row[what] else []
    return {"venues": venues, "why": succession(row, what)}


def _dataset_of(asked: Asked, mpid: str) -> Dataset:
    there: dict[str, Dataset] = {}
    for dataset in DATASETS:
        if dataset.name in asked.stores:
            found = venue_share([mpid], dataset=dataset.name)
            if len(found):
                return dataset
            venues = venue_share(weeks=_newest_weeks(asked, dataset), dataset=dataset.name)
            there |= dict.fromkeys(venues[VENUE], dataset)
    what = f"The store has no venue “{mpid}” in any week."
    raise NotThereError(what, [(name, "venue") for name in near(mpid, there)])


def _newest_weeks(asked: Asked, dataset: Dataset) -> list[Any]:
    return sorted({week.week_ending for week in asked.states[dataset.name].slices})[-8:]


def _figures(rows: pd.DataFrame) -> list[dict[str, Any]]:
    weeks = sorted({week.date() for week in rows["week_ending"]})
    if not weeks:
        return []

    def series(column: str, tier: Tier, number: int) -> Series:
        return Series(str(tier), by_week(rows[rows["tier"] == tier], column, weeks), number)

    def all_of(column: str) -> list[Series]:
        there = set(rows["tier"])
        colours = BARS if column == "total_volume" else LINES
        return [series(column, t, n) for n, t in zip(colours, Tier, strict=True) if t in there]

    found = []
    for title, column, draw in (
        ("Shares a week", "total_volume", stacked),
        ("Share of the tier, %", "market_share_pct", _of_percent),
        ("Rank in the tier", "rank", _of_ranks),
    ):
        drawn = all_of(column)
        picture = draw(weeks, drawn, f"{title}; the table below has the numbers")
        kind = "s" if draw is stacked else "d"
        found.append({"title": title, "series": drawn, "picture": picture, "kind": kind})
    return found


def _of_percent(weeks: list[Any], series: list[Series], label: str) -> Any:
    return lines(weeks, series, label, number=percent, height=190)


def _of_ranks(weeks: list[Any], series: list[Series], label: str) -> Any:
    return lines(weeks, series, label, number=lambda rank: f"{rank:.0f}", is_rank=True, height=190)


def _symbols(asked: Asked, dataset: Dataset, mpid: str, week: WeekKey) -> pd.DataFrame:
    """Return the venue's symbols in a week and the one before: its shares, and its part in each."""
    where = {"dataset": dataset.name}
    both = []
    for each in (week, WeekKey(week.tier, week.week_ending - timedelta(weeks=1))):
        rows = slice_venues(each, asked.day, **where)
        mine = rows[rows[VENUE] == mpid].set_index("symbol")[["share_volume", "trade_count"]]
        totals = slice_known(each, asked.day, **where).set_index("symbol")["total_volume"]
        whole = totals.reindex(mine.index).where(lambda shares: shares > 0)
        both.append(mine.assign(part=100 * mine["share_volume"] / whole, whole=whole))
    now, before = both
    found = now.join(before.add_suffix("_before"), how="outer")
    volumes = ["share_volume", "share_volume_before"]
    found[volumes] = found[volumes].fillna(0.0)
    change = found["share_volume"] - found["share_volume_before"]
    points = found["part"].fillna(0.0) - found["part_before"].fillna(0.0)
    return found.assign(change=change, points=points).rename_axis("symbol").reset_index()


def _head(rows: pd.DataFrame, by: str, sign: int = 1) -> list[dict[Any, Any]]:
    """Return the first symbols by a measure, the greatest first or the least."""
    if rows.empty:
        return []
    there = rows[sign * rows[by] > 0]
    order = there.sort_values([by, "symbol"], ascending=[sign < 0, True])
    return order.head(SHOWN).to_dict("records")
