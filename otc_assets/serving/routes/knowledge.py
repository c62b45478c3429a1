"""What was known: as of a day, latest, the history of a symbol, and what changed between days."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pandas as pd
from fastapi import APIRouter, Response

from otc_assets.domain.tables import ColumnType
from otc_assets.research import as_of, history, latest
from otc_assets.research.between import between
from otc_assets.research.knowledge import IDENTITY, SNAPSHOT
from otc_assets.serving.arguments import (
    Day,
    Symbol,
    Symbols,
    Tiers,
    Weeks,
    checked,
    day_of,
    name,
    names,
    tiers_named,
    weeks_named,
)
from otc_assets.serving.asking import Ask, Asked, at_once, by_slice
from otc_assets.serving.described import column, columns_of, responses, twice

router = APIRouter(prefix="/v1", tags=["what was known"])
KNOWN = columns_of(SNAPSHOT, without=["is_removed"])
CHANGED = column("changed", ColumnType.TEXT, "The columns that differ from before.")
DIFFERENCES = [
    *(each for each in KNOWN if each.name in IDENTITY),
    column("change", ColumnType.TEXT, "added, removed or changed."),
    CHANGED,
    *twice(each for each in KNOWN if each.name not in IDENTITY),
]


@router.get("/as-of", responses=responses(KNOWN))
def as_of_day(
    day: Day, symbols: Symbols = None, tiers: Tiers = None, weeks: Weeks = None, ask: Ask = Asked
) -> Response:
    """What was known at the end of a day: one row per (tier, week, symbol)."""
    known_on = day_of("day", day)
    return _by_symbol_or_slice(
        ask, symbols, tiers, weeks, known_on, lambda *which, **where: as_of(day, *which, **where)
    )


@router.get("/latest", responses=responses(KNOWN))
def latest_known(
    symbols: Symbols = None, tiers: Tiers = None, weeks: Weeks = None, ask: Ask = Asked
) -> Response:
    """What is known now: one row per (tier, week, symbol)."""
    return _by_symbol_or_slice(ask, symbols, tiers, weeks, None, latest)


@router.get("/compare", responses=responses(DIFFERENCES, lists=["changed"]))
def compare_days(
    before: Day,
    after: Day,
    symbols: Symbols = None,
    tiers: Tiers = None,
    weeks: Weeks = None,
    ask: Ask = Asked,
) -> Response:
    """What changed between the ends of two days: one row per (tier, week, symbol) that differs."""
    first, second = day_of("before", before), day_of("after", after)
    checked("after", _in_order, first, second)
    return _by_symbol_or_slice(
        ask,
        symbols,
        tiers,
        weeks,
        second,
        lambda *which, **where: between(before, after, *which, **where),
    )


@router.get("/history", responses=responses(columns_of(SNAPSHOT, CHANGED), lists=["changed"]))
def history_of(
    symbol: Symbol, tiers: Tiers = None, weeks: Weeks = None, ask: Ask = Asked
) -> Response:
    """Everything that was ever known of a symbol: one row per (week, tier, as_of_date).

    Of each week the first row is its first publication, the others are corrections.
    """
    wanted, fridays = tiers_named(tiers), weeks_named(weeks)
    ask.known([name("symbol", symbol)])

    def read() -> pd.DataFrame:
        return history(symbol, wanted, fridays, dataset=ask.dataset)

    depends = ask.state.content_of(ask.slices(wanted, fridays))
    return ask.answer(at_once(read), ["week_ending", "tier", "as_of_date"], depends=depends)


def _by_symbol_or_slice(
    ask: Ask,
    symbols: list[str] | None,
    tiers: list[str] | None,
    weeks: list[str] | None,
    day: date | None,
    read: Callable[..., pd.DataFrame],
) -> Response:
    """Answer for some symbols at once, and for all of them slice by slice."""
    wanted, fridays = tiers_named(tiers), weeks_named(weeks)
    known = ask.known(names("symbol", symbols))
    where: dict[str, Any] = {"dataset": ask.dataset}
    slices = ask.slices(wanted, fridays, day)
    depends = ask.state.content_of(slices)
    if known is None and slices:
        parts = by_slice(slices, lambda w: read(None, w.tier.value, w.week_ending, **where))
        return ask.answer(parts, ["symbol"], depends=depends, as_of=day)
    parts = at_once(lambda: read(known or [], wanted, fridays, **where))
    return ask.answer(parts, ["tier", "week_ending", "symbol"], depends=depends, as_of=day)


def _in_order(before: date, after: date) -> None:
    if after < before:
        raise ValueError(f"{after} is earlier than before, {before}")
