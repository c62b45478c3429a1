"""The market of a week, as known on a day: volume by tier, the venues' league, and what moved.

For the page and the explorer alike. Belongs here: which numbers are told, as plain frames. Does not
belong here: how they look. FINRA gives dollars for dealers alone; where they lack they are NaN.
"""

from datetime import date, timedelta
from functools import lru_cache
from typing import Any

import pandas as pd

from otc_assets.domain.datasets import DATASETS
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.research.knowledge import as_of, latest, plain_store
from otc_assets.research.plots import Series, stacked
from otc_assets.research.registry.known import came_and_went
from otc_assets.research.state import state_of
from otc_assets.research.venues import VENUE, venue_names
from otc_assets.research.venues_known import venue_share_known
from otc_assets.warehouse.store import Store

FLOOR = 100
"""Trades in each of two weeks that a mover has by default: below it a change is an accident."""
OVERVIEW_WEEKS = 26
NAN = float("nan")
PAIR = (1, 6)
"""The colours of ATS and of dealers, of their lines too."""
TOTALS = ["total_volume", "total_trades", "total_notional"]


def slices_known(dataset: str, day: date | None, database_url: str | None = None) -> list[WeekKey]:
    """Return the slices that were public at the end of a day, tier by tier, the oldest first."""
    store = plain_store(dataset, database_url)
    known = state_of(store).known.items()
    return [week for week, first in known if day is None or first <= day]


def newest_week(slices: list[WeekKey], tier: Tier) -> date | None:
    """Return the newest week of a tier."""
    return max((week.week_ending for week in slices if week.tier == tier), default=None)


def tier_volumes(
    day: date | None = None, weeks: int = OVERVIEW_WEEKS, database_url: str | None = None
) -> pd.DataFrame:
    """Return what was traded in each tier, of its newest weeks, as known at the end of a day.

    One row per dataset, tier and week_ending: total_volume (shares), total_trades, total_notional.
    """
    parts = []
    for dataset in DATASETS:
        known = slices_known(dataset.name, day, database_url)
        since = max((w.week_ending for w in known), default=date.max) - timedelta(weeks=weeks)
        shown = {w.week_ending for w in known if w.week_ending > since}
        if shown:
            where: dict[str, Any] = {"dataset": dataset.name, "database_url": database_url}
            rows = venue_share_known([*Tier], shown, day, **where)
            parts.append(rows.assign(dataset=dataset.name))
    columns = ["dataset", "tier", "week_ending", *TOTALS]
    if not parts:
        return pd.DataFrame(columns=columns)
    rows = pd.concat(parts, ignore_index=True)
    by_slice = rows.groupby(columns[:3], sort=False)[TOTALS]
    found = by_slice.sum().where(by_slice.count().eq(by_slice.size(), axis="index"))
    return found.reset_index()


def league(
    week: WeekKey, day: date | None = None, *, dataset: str = "ats", database_url: str | None = None
) -> pd.DataFrame:
    """Return the venues of a slice by rank, as known at the end of a day, beside the week before.

    One row per mpid: venue_name, total_volume (shares), total_trades, market_share_pct, rank,
    share_change (percentage points) and rank_change (places up), NaN for a venue that is new, and
    came_or_went (`came_and_went`: new, returned, gone after this week; None for the others).
    """
    before = week.week_ending - timedelta(weeks=1)
    where: dict[str, Any] = {"dataset": dataset, "database_url": database_url}
    rows = venue_share_known([week.tier], [week.week_ending, before], day, **where)
    is_now = rows["week_ending"] == pd.Timestamp(week.week_ending)
    now, then = rows[is_now], rows[~is_now].set_index(VENUE)
    names = venue_names(week, **where)
    came_or_went = came_and_went(week, day, **where)
    return now.assign(
        venue_name=now[VENUE].map(names.get),
        share_change=now["market_share_pct"].to_numpy()
        - then["market_share_pct"].reindex(now[VENUE]).to_numpy(),
        rank_change=then["rank"].reindex(now[VENUE]).to_numpy(float) - now["rank"].to_numpy(),
        came_or_went=pd.Series([came_or_went.get(v) for v in now[VENUE]], now.index, dtype=object),
    ).reset_index(drop=True)


def movers(
    week: WeekKey,
    day: date | None = None,
    by: str = "total_volume",
    floor: int = FLOOR,
    *,
    dataset: str = "ats",
    database_url: str | None = None,
) -> pd.DataFrame:
    """Return the symbols of a slice by how much they changed against the week before.

    One row per symbol with at least ``floor`` trades in each of the two weeks: now, before and
    change (shares, or dollars ``by`` total_notional), change_pct, trades and trades_before; the
    greatest change first, up or down. Empty where the source has no such measure.
    """
    known = [
        slice_known(w, day, dataset=dataset, database_url=database_url).set_index("symbol")
        for w in (week, week.shifted(-1))
    ]
    now = known[0][[by, "total_trades"]].set_axis(["now", "trades"], axis=1)
    then = known[1][[by, "total_trades"]].set_axis(["before", "trades_before"], axis=1)
    both = now.join(then, how="inner").dropna()
    both = both[both[["trades", "trades_before"]].min(axis="columns") >= floor].reset_index()
    change = both["now"] - both["before"]
    pct = 100 * change / both["before"].where(both["before"] > 0)
    ranked = both.assign(change=change, change_pct=pct, size=change.abs())
    order = ranked.sort_values(["size", "symbol"], ascending=[False, True], ignore_index=True)
    return order.drop(columns="size")


def slice_known(
    week: WeekKey, day: date | None = None, *, dataset: str = "ats", database_url: str | None = None
) -> pd.DataFrame:
    """Return the cross-section of a slice as known at the end of a day: rows of `as_of`."""
    store = plain_store(dataset, database_url)
    state = state_of(store)
    if week not in state.slices:
        return _slice(store, week, day, b"")
    return _slice(store, week, day, state.content_of([week]))


@lru_cache(maxsize=16)
def _slice(store: Store, week: WeekKey, day: date | None, _content: bytes) -> pd.DataFrame:
    where: dict[str, Any] = {
        "tiers": week.tier.value,
        "weeks": week.week_ending,
        "dataset": store.dataset.name,
        "database_url": store.url,
    }
    return latest(**where) if day is None else as_of(day, **where)


def overview(volumes: pd.DataFrame, database_url: str | None = None) -> list[dict[str, Any]]:
    """Return a row for each tier and its newest week: what ATS and dealers traded, and the change.

    Keys tier, week_ending, published (its first publication), and of each dataset by its name: now
    and pct (against the week before; NaN without one); both, ats_pct and notional (dollars of
    dealers).
    """
    found = []
    published = _first_known(database_url)
    by_slice = volumes.set_index(["dataset", "tier", "week_ending"]).sort_index()
    for name, weeks in volumes.groupby("tier", sort=True)["week_ending"]:
        tier = Tier(str(name))
        newest = weeks.max()
        row: dict[str, Any] = {"tier": tier.value, "week_ending": newest.date()}
        row["published"] = published.get(WeekKey(tier, newest.date()))
        for dataset in DATASETS:
            now, before = (
                _total(by_slice, (dataset.name, tier.value, newest - pd.Timedelta(weeks=back)))
                for back in (0, 1)
            )
            row[dataset.name] = {"now": now, "pct": 100 * (now / before - 1) if before else NAN}
        both = row["ats"]["now"] + row["non_ats"]["now"]
        row |= {"both": both, "ats_pct": 100 * row["ats"]["now"] / both if both else NAN}
        row["notional"] = _total(by_slice, ("non_ats", tier.value, newest), "total_notional")
        found.append(row)
    return found


def _first_known(database_url: str | None) -> dict[WeekKey, date]:
    found: dict[WeekKey, date] = {}
    for dataset in DATASETS:
        for week, first in state_of(plain_store(dataset.name, database_url)).known.items():
            found[week] = min(first, found.get(week, first))
    return found


def _total(rows: pd.DataFrame, key: tuple[Any, ...], name: str = "total_volume") -> float:
    value: Any = rows.at[key, name] if key in rows.index else NAN
    return float(value)


def volume_pictures(volumes: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a picture for each tier: what ATS and dealers traded, by week."""
    found = []
    for tier, rows in volumes.groupby("tier", sort=True):
        weeks = sorted({week.date() for week in rows["week_ending"]})
        series = []
        for number, dataset in zip(PAIR, DATASETS, strict=True):
            values = by_week(rows[rows["dataset"] == dataset.name], "total_volume", weeks)
            title = "ATS" if dataset.name == "ats" else "dealers"
            series.append(Series(title, values, number))
        title = f"{tier}, shares a week"
        label = f"{title}; the newest weeks are in the table"
        picture = stacked(weeks, series, label, height=120)
        found.append({"title": title, "series": series, "picture": picture})
    return found


def by_week(rows: pd.DataFrame, column: str, weeks: list[date]) -> list[float | None]:
    """Return what rows of one week each have in a column, None for a week without one."""
    days = [week.date() for week in rows["week_ending"]]
    values = dict(zip(days, rows[column].astype(float), strict=True))
    return [values.get(week) for week in weeks]
