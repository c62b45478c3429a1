"""All that was ever known of a symbol, read once, and seen from any day.

Who moves from day to day asks the store once: the rows are kept for as long as the store stays as
it is. Belongs here: what stood on a day, and what has changed since. The same answers come from
`as_of` and `between`, which ask the store for each day.
"""

from datetime import date
from functools import lru_cache
from typing import Any

import pandas as pd

from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.research.arguments import conditions
from otc_assets.research.knowledge import IDENTITY, SNAPSHOT, select_rows
from otc_assets.research.state import State
from otc_assets.warehouse.store import Store

Row = dict[str, Any]
Rows = dict[WeekKey, Row]


class Timeline:
    """The rows of research_snapshot of a symbol, of every day."""

    def __init__(self, rows: pd.DataFrame) -> None:
        """Take rows in the order of their slice and ``as_of_date``."""
        self.rows = rows
        self.days = sorted({day.date() for day in rows["as_of_date"]})
        """The days on which something of it became known."""
        self._records = [_plain(row) for row in rows.to_dict("records")]

    def until(self, day: date | None) -> pd.DataFrame:
        """Return the rows of a day and all before it (None: every row)."""
        return self.rows if day is None else self.rows[self.rows["as_of_date"] <= pd.Timestamp(day)]

    def known(self, day: date | None) -> Rows:
        """Return what was known at the end of a day (None: now), the oldest week first.

        Values are those of `as_of`, days are dates, and what is not known is None.
        """
        found: Rows = {}
        for row in self._records:
            if day is None or row["as_of_date"] <= day:
                found[WeekKey(Tier(row["tier"]), row["week_ending"])] = row
        there = sorted(found, key=lambda week: (week.week_ending, week.tier))
        return {week: found[week] for week in there if not found[week]["is_removed"]}

    def corrected(self, day: date | None) -> dict[WeekKey, tuple[Row, Row]]:
        """Return the weeks whose shares a correction had changed by the end of a day.

        Of each the row of its first publication, and that of the newest change.
        """
        found: dict[WeekKey, list[dict[str, Any]]] = {}
        for row in self._records:
            if day is None or row["as_of_date"] <= day:
                mine = found.setdefault(WeekKey(Tier(row["tier"]), row["week_ending"]), [])
                if not mine or _volume(mine[-1]) != _volume(row):
                    mine.append(row)
        return {week: (rows[0], rows[-1]) for week, rows in found.items() if len(rows) > 1}


def timeline(store: Store, state: State, symbol: str) -> Timeline:
    """Return the timeline of a symbol, empty if the store has none."""
    return _timeline(store, symbol, state.content)


@lru_cache(maxsize=128)
def _timeline(store: Store, symbol: str, _content: bytes) -> Timeline:
    snapshot = store.sql_table(SNAPSHOT.name)
    where = conditions(snapshot, symbol, None, None)
    return Timeline(select_rows(store, SNAPSHOT, snapshot, where, [*IDENTITY, "as_of_date"]))


def _volume(row: dict[str, Any]) -> float | None:
    return None if row["is_removed"] else row["total_volume"]


def _plain(row: dict[Any, Any]) -> dict[str, Any]:
    """Return a row with days as dates, and None for what is not known."""
    return {
        str(name): value.date()
        if isinstance(value, pd.Timestamp)
        else None
        if pd.isna(value)
        else value
        for name, value in row.items()
    }
