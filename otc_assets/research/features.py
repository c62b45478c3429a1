"""Features of each symbol in a week, as they were known: ATS volume, and dealers' beside it.

Like the snapshot they are computed from what was public on each day, never from an earlier export:
a correction is a later row, and the order in which files arrived does not show.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from typing import Any

import pandas as pd
import pyarrow as pa

from otc_assets.calculations.concentration import concentration_rows, level_v1
from otc_assets.calculations.rolling_6w import WINDOW_WEEKS, rolling_6w
from otc_assets.calculations.spec import Frames
from otc_assets.domain.calendar import is_business_day
from otc_assets.domain.revisions import Revision
from otc_assets.domain.shares import percent, to_shares
from otc_assets.domain.weeks import WeekKey
from otc_assets.operations.frames import Knowledge
from otc_assets.operations.snapshot import days_of_knowledge
from otc_assets.research.knowledge import known_from
from otc_assets.warehouse.reader import SliceReader

REACH_WEEKS = WINDOW_WEEKS
"""How many weeks later a week still counts: the trailing weeks are the six before the target."""
VERSION = "v1"
"""Of the definitions below; it is in each file, and is the asset's code version."""


@dataclass(frozen=True)
class FeatureColumn:
    """One column of the export: its name, its type in Parquet, and what it is."""

    name: str
    type: pa.DataType
    description: str
    nullable: bool = False


_MOMENT = pa.timestamp("us", tz="UTC")

KEYS = (
    FeatureColumn("week_ending", pa.date32(), "The Friday that names the reported week."),
    FeatureColumn("tier", pa.string(), "NMS Tier 1, NMS Tier 2 or OTC."),
    FeatureColumn("symbol", pa.string(), "As FINRA writes it."),
    FeatureColumn(
        "as_of_date",
        pa.date32(),
        "The day on which the newest of what the row rests on became public.",
    ),
    FeatureColumn(
        "as_of_source", pa.string(), "What as_of_date rests on: finra, calendar or captured."
    ),
    FeatureColumn(
        "is_removed",
        pa.bool_(),
        "A correction took the symbol out of the week: gone from this row on, features null.",
    ),
    FeatureColumn(
        "event_timestamp",
        _MOMENT,
        "When the row was known: the end of as_of_date in New York. Never use it for an earlier "
        "moment.",
    ),
    FeatureColumn("created_timestamp", _MOMENT, "When the row was computed."),
)

FEATURES = (
    FeatureColumn("volume", pa.float64(), "Shares traded on all ATSs in the week.", nullable=True),
    FeatureColumn(
        "volume_per_day",
        pa.float64(),
        "volume / trading_days: comparable between short weeks and whole ones.",
        nullable=True,
    ),
    FeatureColumn(
        "trading_days", pa.int64(), "Days of the week on which the NYSE was open.", nullable=True
    ),
    FeatureColumn(
        "notional",
        pa.float64(),
        "Dollars traded on all ATSs; null unless the source has it for every record.",
        nullable=True,
    ),
    FeatureColumn(
        "venue_count",
        pa.int64(),
        "ATSs that reported the symbol in the week, also with volume 0.",
        nullable=True,
    ),
    FeatureColumn(
        "top_venue_share",
        pa.float64(),
        "Percent (0 to 100) of volume on the largest ATS; null where nothing traded.",
        nullable=True,
    ),
    FeatureColumn(
        "venue_concentration_hhi",
        pa.float64(),
        "Six-week rolling Herfindahl-Hirschman index, 0 to 10,000: the sum over ATSs of (percent "
        "of the symbol's volume of weeks W-5..W) squared, rounded to 2 decimals; null where "
        "nothing traded.",
        nullable=True,
    ),
    FeatureColumn(
        "venue_turnover_pct",
        pa.float64(),
        "100 x (1 - ATSs of both this week and the week before / ATSs of either): 0 the same ATSs, "
        "100 all others; null without the week before.",
        nullable=True,
    ),
    FeatureColumn(
        "volume_vs_avg",
        pa.float64(),
        "volume against its average over the weeks of W-5..W in which the symbol was reported, in "
        "percent of that average: 0 is average, 100 is twice; null if the average is 0.",
        nullable=True,
    ),
    FeatureColumn(
        "weeks_in_window",
        pa.int64(),
        "Weeks of W-5..W in which the symbol was reported, 1 to 6.",
        nullable=True,
    ),
    FeatureColumn(
        "volume_wow_change_pct",
        pa.float64(),
        "Change of volume against the week before, in percent of that; null without it.",
        nullable=True,
    ),
    FeatureColumn(
        "spike_ratio",
        pa.float64(),
        "volume / its average over the weeks of W-6..W-1 in which the symbol was reported.",
        nullable=True,
    ),
    FeatureColumn(
        "volume_zscore",
        pa.float64(),
        "(volume - average) / sample standard deviation of the same weeks; null with fewer than "
        "two of them, or where they are all equal.",
        nullable=True,
    ),
    FeatureColumn(
        "ats_share_pct",
        pa.float64(),
        "Percent (0 to 100) of ATS volume in ATS + non-ATS volume of tier and week; null while the "
        "non-ATS week is not known, 100 if it is and lacks the symbol.",
        nullable=True,
    ),
)

COLUMNS = (*KEYS, *FEATURES)
"""Those of a file, in their order."""
NAMES = [feature.name for feature in FEATURES]


def trading_days(week: WeekKey) -> int:
    """Return on how many days of a week the NYSE was open: 5, fewer in a week with a holiday."""
    return sum(is_business_day(week.monday + timedelta(days=n)) for n in range(5))


def features_of(
    week: WeekKey, frames: Frames, dealers: "pd.Series[int] | None" = None
) -> pd.DataFrame:
    """Return the features of a slice: one row per symbol that was reported in the week, by symbol.

    Args:
        week: the slice.
        frames: ``symbol_summary`` of W-6..W and ``venue_volume`` of W-5..W, with the column
            ``weeks_back`` (0: the target week); a week that is not known has no rows.
        dealers: non-ATS volume of each symbol in the week, in millionths of a share; None while
            that is not known.

    """
    weekly, venues = frames["symbol_summary"], frames["venue_volume"]
    current = weekly[weekly["weeks_back"] == 0].set_index("symbol").sort_index()
    volume = current["total_volume"]
    rows = pd.DataFrame(index=current.index)
    rows["volume"] = to_shares(volume)
    rows["trading_days"] = trading_days(week)
    rows["volume_per_day"] = rows["volume"] / rows["trading_days"]
    rows["notional"] = to_shares(current["total_notional"].astype("Float64"))
    rows["venue_count"] = current["venue_count"]
    rows["ats_share_pct"] = _ats_share(volume, dealers)
    window = {"symbol_summary": weekly[weekly["weeks_back"] < WINDOW_WEEKS]}
    rolling = rolling_6w.compute(week, window).set_index("symbol")
    rows["volume_vs_avg"] = rolling["volume_vs_avg_pct"]
    rows["weeks_in_window"] = rolling["weeks_in_window"]
    rows = rows.join(_against_trailing_weeks(volume, weekly)).join(_venues(venues))
    return rows.reset_index()[["symbol", *NAMES]].astype(_FRAME_TYPES)


_FRAME_TYPES = {f.name: "Int64" if f.type == pa.int64() else "float64" for f in FEATURES}


def _ats_share(volume: "pd.Series[int]", dealers: "pd.Series[int] | None") -> "pd.Series[float]":
    if dealers is None:
        return pd.Series(float("nan"), volume.index)
    return percent(volume, volume + dealers.reindex(volume.index, fill_value=0))


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


def feature_history(ats: SliceReader, non_ats: SliceReader, week: WeekKey) -> pd.DataFrame:
    """Return the rows of a slice's file: one per symbol and day that changed one of its features.

    The first day has a row for each symbol, a later one for each symbol that changed; a symbol that
    a correction took out has a row with ``is_removed`` and no features. Only what was public by the
    end of its ``as_of_date`` is in a row.
    """
    by_week = ats.revisions(week.window(WINDOW_WEEKS + 1))
    dealers = non_ats.revisions([week])[week] if _has_summary(non_ats, week) else []
    revisions = list(chain(dealers, *by_week.values()))
    before, parts = None, []
    for day in days_of_knowledge(by_week[week], revisions):
        volumes = _dealers_on(non_ats, week, day) if dealers else None
        after = features_of(week, _known_frames(ats, week, day), volumes)
        parts.append(_changes(before, after).assign(**_known_on(day, revisions)))
        before = after
    rows = pd.concat(parts, ignore_index=True)
    rows = rows.assign(week_ending=week.week_ending, tier=week.tier.value)
    rows["created_timestamp"] = pd.Timestamp(datetime.now(UTC))
    return rows[[c.name for c in COLUMNS]].sort_values(["symbol", "as_of_date"], ignore_index=True)


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


def _known_on(day: date, revisions: Iterable[Revision]) -> dict[str, Any]:
    sources = {r.as_of_source for r in revisions if r.revision_date == day}
    return {
        "as_of_date": day,
        "as_of_source": next(s for s in ("captured", "calendar", "finra") if s in sources),
        "event_timestamp": pd.Timestamp(known_from(day)).tz_convert("UTC"),
    }


def _changes(before: pd.DataFrame | None, after: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of ``after`` that differ from ``before``, and one for each symbol gone."""
    after = after.assign(is_removed=False)
    if before is None:
        return after
    old, new = before.set_index("symbol")[NAMES], after.set_index("symbol")[NAMES]
    old_of_new = old.reindex(new.index)
    same = ((new == old_of_new).fillna(False) | (new.isna() & old_of_new.isna())).all(axis=1)
    changed = after[~(same & new.index.isin(old.index)).to_numpy(dtype=bool)]
    gone = old.index.difference(new.index)
    removed = after.iloc[:0].reindex(range(len(gone))).assign(symbol=gone, is_removed=True)
    return pd.concat([changed, removed], ignore_index=True) if len(gone) else changed
