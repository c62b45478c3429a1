"""Features of each symbol in a week, as they were known: ATS volume, dealers' and facilities'.

Like the snapshot they are computed from what was public on each day, never from an earlier export:
a correction is a later row, and the order in which files arrived does not show.
"""

from datetime import date
from itertools import chain

import pandas as pd
import pyarrow as pa

from otc_assets.calculations.concentration import concentration_rows, level_v1
from otc_assets.calculations.rolling_6w import WINDOW_WEEKS, rolling_6w
from otc_assets.calculations.spec import Frames
from otc_assets.domain.shares import percent, to_shares
from otc_assets.domain.weeks import WeekKey
from otc_assets.operations.frames import Knowledge
from otc_assets.operations.snapshot import days_of_knowledge
from otc_assets.research.changes import rows_of_days
from otc_assets.research.facilities import facilities_on, revisions_of_days, trading_days_of
from otc_assets.research.feature_columns import FEATURES, LAYOUT, NAMES
from otc_assets.warehouse.reader import SliceReader

REACH_WEEKS = WINDOW_WEEKS
"""How many weeks later a week still counts: the trailing weeks are the six before the target."""


def features_of(
    week: WeekKey,
    frames: Frames,
    dealers: "pd.Series[int] | None" = None,
    facilities: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return the features of a slice: one row per symbol that was reported in the week, by symbol.

    Args:
        week: the slice.
        frames: ``symbol_summary`` of W-6..W and ``venue_volume`` of W-5..W, with the column
            ``weeks_back`` (0: the target week); a week that is not known has no rows.
        dealers: non-ATS volume of each symbol in the week, in millionths of a share; None while
            that is not known.
        facilities: what `facilities_on` gives; None while the week's days are not known.

    """
    weekly, venues = frames["symbol_summary"], frames["venue_volume"]
    current = weekly[weekly["weeks_back"] == 0].set_index("symbol").sort_index()
    volume = current["total_volume"]
    rows = pd.DataFrame(index=current.index)
    rows["volume"] = to_shares(volume)
    rows["trading_days"] = len(trading_days_of(week))
    rows["volume_per_day"] = rows["volume"] / rows["trading_days"]
    rows["notional"] = to_shares(current["total_notional"].astype("Float64"))
    rows["venue_count"] = current["venue_count"]
    reported = _reported(volume, dealers)
    rows["ats_share_pct"] = percent(volume, reported)
    window = {"symbol_summary": weekly[weekly["weeks_back"] < WINDOW_WEEKS]}
    rolling = rolling_6w.compute(week, window).set_index("symbol")
    rows["volume_vs_avg"] = rolling["volume_vs_avg_pct"]
    rows["weeks_in_window"] = rolling["weeks_in_window"]
    rows = rows.join(_against_trailing_weeks(volume, weekly)).join(_venues(venues))
    rows = rows.join(_facilities(reported, facilities))
    return rows.reset_index()[["symbol", *NAMES]].astype(_FRAME_TYPES)


_FRAME_TYPES = {f.name: "Int64" if f.type == pa.int64() else "float64" for f in FEATURES}


def _reported(
    volume: "pd.Series[int]", dealers: "pd.Series[int] | None"
) -> "pd.Series[int] | pd.Series[float]":
    """Return ATS and non-ATS volume together, null while the latter is not known."""
    if dealers is None:
        return pd.Series(float("nan"), volume.index)
    return volume + dealers.reindex(volume.index, fill_value=0)


def _facilities(
    reported: "pd.Series[int] | pd.Series[float]", facilities: pd.DataFrame | None
) -> pd.DataFrame:
    """Hold what venues report against what the facilities saw, and say how much was sold short."""
    names = ["short_share_pct", "facility_volume", "venues_vs_facilities_pct"]
    if facilities is None:
        return pd.DataFrame(float("nan"), reported.index, names)
    seen = facilities.reindex(reported.index, fill_value=0)
    total, short = seen["total_volume"], seen["short_volume"]
    columns = (percent(short, total), to_shares(total), percent(reported, total))
    return pd.DataFrame(dict(zip(names, columns, strict=True)))


def _against_trailing_weeks(volume: "pd.Series[int]", weekly: pd.DataFrame) -> pd.DataFrame:
    """Compare each symbol's volume with the week before, and with the six weeks before.

    A week in which a symbol was not reported is no week of volume 0, as in rolling_6w.
    """
    trailing = weekly[weekly["weeks_back"] > 0]
    before = trailing[trailing["weeks_back"] == 1].set_index("symbol")["total_volume"]
    before = before.astype("Int64").reindex(volume.index)
    by_symbol = trailing.groupby("symbol")["total_volume"]
    mean = (by_symbol.sum() / by_symbol.size()).reindex(volume.index)
    # Rounding leaves equal volumes a deviation that is not quite 0.
    deviation = by_symbol.std().where(by_symbol.max() != by_symbol.min()).reindex(volume.index)
    change = (volume - before).astype("Float64").astype("float64")
    return pd.DataFrame(
        {
            "volume_wow_change_pct": percent(change, before.astype("Float64").astype("float64")),
            "spike_ratio": volume / mean.where(mean != 0),
            "volume_zscore": (volume - mean) / deviation,
        }
    )


def _venues(venues: pd.DataFrame) -> pd.DataFrame:
    """Return what the ATSs say: concentration over the window, and who came and went."""
    current = venues[venues["weeks_back"] == 0]
    top = concentration_rows(current, level_v1).set_index("symbol")["top_venue_share_pct"]
    pooled = venues.groupby(["symbol", "mpid"])["share_volume"].sum().reset_index()
    rolling = concentration_rows(pooled, level_v1).set_index("symbol")["hhi"]
    before = venues.loc[venues["weeks_back"] == 1, ["symbol", "mpid"]]
    stayed = current[["symbol", "mpid"]].merge(before).groupby("symbol").size()
    now, then = current.groupby("symbol").size(), before.groupby("symbol").size()
    stayed, then = stayed.reindex(now.index, fill_value=0), then.reindex(now.index)
    either = now + then - stayed
    return pd.DataFrame(
        {
            "top_venue_share": top,
            "venue_concentration_hhi": rolling.reindex(now.index),
            "venue_turnover_pct": 100 * (either - stayed) / either,
        }
    )


def feature_history(
    ats: SliceReader, non_ats: SliceReader, week: WeekKey, days: SliceReader | None = None
) -> pd.DataFrame:
    """Return the rows of a slice's file: one per symbol and day that changed one of its features.

    The first day has a row for each symbol, a later one for each symbol that changed; a symbol that
    a correction took out has a row with ``is_removed`` and no features. Only what was public by the
    end of its ``as_of_date`` is in a row. ``days`` reads the daily short sale volume.
    """
    by_week = ats.revisions(week.window(WINDOW_WEEKS + 1))
    dealers = non_ats.revisions([week])[week] if _has_summary(non_ats, week) else []
    daily = revisions_of_days(days, week)
    revisions = list(chain(dealers, daily, *by_week.values()))

    def known_on(day: date) -> pd.DataFrame:
        volumes = _dealers_on(non_ats, week, day) if dealers else None
        facilities = facilities_on(days, week, day) if days and daily else None
        return features_of(week, _known_frames(ats, week, day), volumes, facilities)

    place = {"week_ending": week.week_ending, "tier": week.tier.value}
    moments = days_of_knowledge(by_week[week], revisions)
    return rows_of_days(moments, known_on, revisions, LAYOUT, place)


def _known_frames(reader: SliceReader, week: WeekKey, day: date) -> Frames:
    """Return the inputs of `features_of` as they were known at the end of a day."""
    known = Knowledge(reader, week, day)
    earlier = Knowledge(reader, week.shifted(-1), day)  # knows also W-6

    def window(name: str, weeks: int) -> pd.DataFrame:
        parts = []
        for back in range(weeks):
            that, source = week.shifted(-back), known if back < WINDOW_WEEKS else earlier
            if that in source.revisions:
                parts.append(source.table(name, that).assign(weeks_back=back))
        return pd.concat(parts, ignore_index=True)

    return {
        "symbol_summary": window("symbol_summary", WINDOW_WEEKS + 1),
        "venue_volume": window("venue_volume", WINDOW_WEEKS),
    }


def _has_summary(reader: SliceReader, week: WeekKey) -> bool:
    """Tell whether a slice's volumes were computed: what was blocked is not known to be absent."""
    manifest = reader.manifest(week)
    return manifest is not None and bool(manifest["row_counts"].get("symbol_summary"))


def _dealers_on(reader: SliceReader, week: WeekKey, day: date) -> "pd.Series[int] | None":
    known = Knowledge(reader, week, day)
    if week not in known.revisions:
        return None
    return known["symbol_summary"].set_index("symbol")["total_volume"]
