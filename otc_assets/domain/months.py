"""A month against the weeks in and around it: what must lie between which bounds.

A week belongs to a month whole if the market was open in it on days of that month alone. Other
weeks straddle: nobody can tell how much of them traded in the month. So the weeks that lie in a
month are the least that it can hold, and all weeks that touch it are the most. Where no week
straddles, both are the same, and the month must be equal.
"""

from dataclasses import dataclass
from datetime import date, timedelta

import pandas as pd

from otc_assets.domain.grains import SliceKey
from otc_assets.domain.trading_days import is_business_day
from otc_assets.domain.weeks import week_ending_of


@dataclass(frozen=True)
class WeeksOf:
    """The weeks of a month, by their Fridays."""

    inside: tuple[date, ...]
    """All of whose trading days are in the month."""
    touching: tuple[date, ...]
    """Some of whose trading days are: those inside, and those that straddle its ends."""

    @property
    def is_whole(self) -> bool:
        """Whether no week straddles, so that weeks and month must be equal."""
        return self.inside == self.touching


def last_trading_day(friday: date) -> date:
    """Return the last day of a week on which the market was open."""
    return next(day for back in range(5) if is_business_day(day := friday - timedelta(days=back)))


def weeks_of(month: SliceKey) -> WeeksOf:
    """Return the weeks of a month."""
    first, last = month.first_day, month.last_day
    fridays = pd.date_range(week_ending_of(first), week_ending_of(last), freq="7D")
    inside, touching = [], []
    for friday in (each.date() for each in fridays):
        days = [friday - timedelta(days=back) for back in range(5)]
        mine = [first <= day <= last for day in days if is_business_day(day)]
        if any(mine):
            touching.append(friday)
            if all(mine):
                inside.append(friday)
    return WeeksOf(tuple(inside), tuple(touching))


def beyond(
    month: "pd.Series[int]", least: "pd.Series[int]", most: "pd.Series[int] | None"
) -> pd.DataFrame:
    """Return what lies outside its bounds, the furthest first.

    One row per name (the index): ``month``, ``least``, ``most`` and ``off``, how far the month is
    from the nearer bound; all in the unit that came in. A name that a side lacks has 0 there.

    Args:
        month: what the month says.
        least: what the weeks inside it hold.
        most: what all weeks that touch it hold; None if some are lacking, so that nothing is too
            much.

    """
    columns: dict[str, pd.Series[int]] = {"month": month, "least": least}
    if most is not None:
        columns["most"] = most
    rows = pd.DataFrame(columns).fillna(0).astype("int64")
    if most is None:
        rows["most"] = rows[["month", "least"]].max(axis=1)
    below, above = rows["least"] - rows["month"], rows["month"] - rows["most"]
    rows["off"] = pd.concat([below, above], axis=1).max(axis=1)
    return rows[rows["off"] > 0].sort_values("off", ascending=False, kind="stable")


def unexplained(short: "pd.Series[int]", folded: "pd.Series[int]") -> "pd.Series[int]":
    """Return how far firms are short of their own weeks beyond what the month folds, by symbol.

    A firm that reports little is folded into "De Minimis Firms" (CRD number 0), week by week and
    month by month. One that was named in a week may be folded in its month: then the month's fold
    of the symbol holds what it is short of.

    Args:
        short: by symbol, how far its firms are short together.
        folded: by symbol, what the month has folded.

    """
    rest = short.sub(folded.reindex(short.index, fill_value=0), fill_value=0).astype("int64")
    return rest[rest > 0]
