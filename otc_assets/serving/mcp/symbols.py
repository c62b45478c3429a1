"""Tools that are about one symbol: find it, what was known of it, and how that changed."""

from typing import Any

from pydantic import Field

from otc_assets.research import as_of, history, latest
from otc_assets.research.knowledge import SNAPSHOT
from otc_assets.research.symbols import find_symbols
from otc_assets.serving.described import columns_of
from otc_assets.serving.limits import MAX_TEXT
from otc_assets.serving.mcp.answers import Answer
from otc_assets.serving.mcp.tool import Day, SymbolName, TierName, Tool, Week, friday
from otc_assets.serving.routes.knowledge import CHANGED, KNOWN
from otc_assets.serving.routes.names import FOUND


class FindSymbol(Tool):
    """Find a symbol by how it begins, or by a part of its issue's name.

    One row per symbol: symbol, issue name, tier. Case does not count here; the other tools need the
    symbol exactly as it is found.
    """

    title = "Find a symbol"
    columns = FOUND
    search: str = Field(
        min_length=1, max_length=MAX_TEXT, description="E.g. AAP, or a part of a name: apple."
    )

    def find(self) -> Answer:
        """Ask `find_symbols`."""
        return self.found(find_symbols(self.search, dataset=self.store.dataset.name), None)


class WhatWasKnown(Tool):
    """What was known of a symbol's off-exchange trading at the end of a day, the newest week first.

    One row per week: shares, trades, venues, largest venue, HHI, six-week averages. ``as_of_date``
    is the day from which on the row was known. Without a day it is what is known now.
    """

    title = "What was known of a symbol"
    columns = KNOWN
    symbol: SymbolName
    day: Day = None
    week: Week | None = None
    tier: TierName | None = None

    def find(self) -> Answer:
        """Ask `as_of`, or `latest` without a day."""
        day, warning = self.known_on(self.day), self.checked_symbol(self.symbol)
        week = None if self.week is None else friday(self.week)
        where: dict[str, Any] = {"tiers": self.tier, "weeks": week, "dataset": self.dataset}
        rows = latest(self.symbol, **where) if day is None else as_of(day, self.symbol, **where)
        nothing = None if len(rows) or warning else "nothing was known: another day or week?"
        newest_first = rows.sort_values(["week_ending", "tier"], ascending=[False, True])
        return self.found(newest_first, day, warning, nothing)


class CorrectionHistory(Tool):
    """How what was known of one symbol's week has changed: each state, from its first publication.

    One row per day on which it changed, the first publication first. ``changed`` lists the columns
    that differ from the row before; a correction of one of the five weeks before changes the
    six-week averages alone. ``is_removed``: a correction took the symbol out of the week.
    """

    title = "History of a correction"
    columns = columns_of(SNAPSHOT, CHANGED)
    lists = ("changed",)
    symbol: SymbolName
    week: Week
    tier: TierName | None = None

    def find(self) -> Answer:
        """Ask `history`."""
        warning = self.checked_symbol(self.symbol)
        rows = history(self.symbol, self.tier, friday(self.week), dataset=self.dataset)
        nothing = None if len(rows) or warning else "the symbol was never reported in this week"
        return self.found(rows, None, warning, nothing)
