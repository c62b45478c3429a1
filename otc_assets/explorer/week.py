"""A week of a tier: every symbol, sorted, filtered and paged by the URL, as known on a day."""

from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd

from otc_assets.domain.datasets import DATASETS, Dataset
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey, week_ending_of
from otc_assets.explorer.asking import Asked, NotThereError
from otc_assets.explorer.rendering import address
from otc_assets.research.market import newest_week, slice_known
from otc_assets.research.symbols import slice_names

ROWS = 100
"""Of a page."""


@dataclass(frozen=True)
class Column:
    """A column of the cross-section: its name in the frame, its head, and how it is written."""

    name: str
    title: str
    kind: str
    digits: int = 0


COLUMNS = (
    Column("symbol", "Symbol", "symbol"),
    Column("issue_name", "Name", "name"),
    Column("total_volume", "Shares", "exact"),
    Column("volume_vs_avg_pct", "against six-week average, %", "change", 1),
    Column("total_trades", "Trades", "fixed"),
    Column("avg_trade_size", "Trade size, shares", "fixed", 1),
    Column("total_notional", "Dollars", "fixed"),
    Column("venue_count", "Venues", "fixed"),
    Column("hhi", "HHI", "fixed", 2),
    Column("top_venue_mpid", "Largest venue", "venue"),
    Column("top_venue_share_pct", "its share, %", "fixed", 1),
    Column("as_of_date", "Known since", "day"),
)


@dataclass(frozen=True)
class View:
    """How the rows are chosen and ordered."""

    sort: str = "total_volume"
    is_up: bool = False
    text: str = ""
    floor: int = 0
    page: int = 1

    @property
    def arguments(self) -> dict[str, Any]:
        """The same as the URL has it, without what is by default."""
        return {
            "sort": self.sort if self.sort != "total_volume" else None,
            "order": "up" if self.is_up else None,
            "q": self.text or None,
            "floor": self.floor or None,
        }


def newest(asked: Asked, dataset: Dataset, tier: Tier) -> WeekKey:
    """Return the newest week of a tier that was known.

    Raises:
        NotThereError: none was.

    """
    week = newest_week(asked.slices(dataset.name), tier)
    if week is None:
        raise NotThereError(f"No week of {tier} {dataset.title} data was known.")
    return WeekKey(tier, week)


def facts(asked: Asked, week: WeekKey, dataset: Dataset, view: View) -> dict[str, Any]:
    """Return what the page of a week shows.

    Raises:
        NotThereError: it was not known, or the store has it not.

    """
    known = [each.week_ending for each in asked.slices(dataset.name) if each.tier == week.tier]
    if week.week_ending not in known:
        raise _not_there(asked, week, dataset, known)
    rows = slice_known(week, asked.day, dataset=dataset.name)
    names = slice_names(week, dataset=dataset.name)
    rows = rows.assign(issue_name=[names.get(symbol, "") for symbol in rows["symbol"]])
    chosen = _ordered(_filtered(rows, view), view)
    start = (view.page - 1) * ROWS
    where = {"tier": week.tier.value, "week": str(week.week_ending), "dataset": dataset.name}
    path = ("/v1/as-of", {"day": asked.day}) if asked.day else ("/v1/latest", {})
    return {
        "week": week,
        "dataset": dataset,
        "datasets": [each for each in DATASETS if each.name in asked.stores],
        "columns": [c for c in COLUMNS if c.name != "total_notional" or dataset.name != "ats"],
        "view": view,
        "count": len(rows),
        "chosen": len(chosen),
        "first": start + 1,
        "rows": chosen.iloc[start : start + ROWS].to_dict("records"),
        "pages": -(-len(chosen) // ROWS),
        "before": max((each for each in known if each < week.week_ending), default=None),
        "after": min((each for each in known if each > week.week_ending), default=None),
        "first_known": asked.states[dataset.name].slices[week].first_known,
        "total": rows["total_volume"].sum(),
        "trades": rows["total_trades"].sum(),
        "download": lambda kind: address(path[0], **path[1], **where, limit=10_000, format=kind),
    }


def _filtered(rows: pd.DataFrame, view: View) -> pd.DataFrame:
    text = view.text.casefold()
    if text:
        begins = rows["symbol"].str.casefold().str.startswith(text)
        rows = rows[begins | rows["issue_name"].str.casefold().str.contains(text, regex=False)]
    return rows[rows["total_trades"] >= view.floor] if view.floor else rows


def _ordered(rows: pd.DataFrame, view: View) -> pd.DataFrame:
    by = view.sort if view.sort in {column.name for column in COLUMNS} else "total_volume"
    keys = list(dict.fromkeys([by, "symbol"]))
    return rows.sort_values(keys, ascending=[view.is_up, True][: len(keys)], kind="stable")


def _not_there(asked: Asked, week: WeekKey, dataset: Dataset, known: list[date]) -> NotThereError:
    when = f" as known on {asked.day}" if asked.day else ""
    text = f"The store has no {dataset.title} week ending {week.week_ending} of {week.tier}{when}."
    nearest = sorted(known, key=lambda each: abs(each - week.week_ending))[:5]
    return NotThereError(text, [((week.tier.slug, str(each)), "week") for each in nearest])


def week_of(slug: str, text: str) -> WeekKey:
    """Return the week that a URL names.

    Raises:
        NotThereError: no such tier, no day, or no Friday, with what is near.

    """
    tier = next((each for each in Tier if each.slug == slug), None)
    if tier is None:
        raise NotThereError(f"There is no tier “{slug}”.", [((t.slug, text), "week") for t in Tier])
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise NotThereError(f"“{text}” is no day: a week is named by its Friday.") from None
    friday = week_ending_of(day)
    if friday != day:
        raise NotThereError(
            f"A week is named by its Friday; {day} is a {day:%A}.", [((slug, str(friday)), "week")]
        )
    return WeekKey(tier, day)
