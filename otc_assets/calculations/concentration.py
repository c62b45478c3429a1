"""How concentrated a symbol's volume is on few venues: the Herfindahl-Hirschman index.

HHI = sum over the venues of (share of the symbol's volume in percent) squared: 10,000 / n for n
equal venues, 10,000 for one. Levels: v1 from the US Horizontal Merger Guidelines of 2010 (section
5.3), v2 from the Merger Guidelines of 2023 (guideline 1). Both are computed side by side.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from otc_assets.calculations.spec import CalculationSpec, Frames, calculation
from otc_assets.domain.datasets import FIRMS, VENUES
from otc_assets.domain.shares import percent
from otc_assets.domain.tables import SYMBOL, Column, ColumnType
from otc_assets.domain.weeks import WeekKey

Level = Callable[[float], str]
NEAR = 1e-6
"""Closer than this to a limit, floating point cannot tell the side: exact integers decide."""


def level_v1(hhi: float) -> str:
    """Return the level of an HHI by the guidelines of 2010: below 1,500, below 2,500, else."""
    return "competitive" if hhi < 1500 else "moderate" if hhi < 2500 else "concentrated"


def level_v2(hhi: float) -> str:
    """Return the level of an HHI by the guidelines of 2023: below 1,000, up to 1,800, else."""
    return "competitive" if hhi < 1000 else "moderate" if hhi <= 1800 else "concentrated"


LIMITS = (1000, 1500, 1800, 2500)


def concentration_rows(venue_volume: pd.DataFrame, level: Level) -> pd.DataFrame:
    """Return one row per symbol; HHI, level and top venue are null where nothing traded."""
    venues = venue_volume.sort_values(["symbol", "mpid"])
    total = venues.groupby("symbol")["share_volume"].transform("sum")
    share = percent(venues["share_volume"], total)
    groups = venues.assign(square=share**2).groupby("symbol", sort=True)
    rows = groups.size().to_frame("venue_count")
    rows["hhi"] = groups["square"].sum(min_count=1)
    rows["hhi"] = _snapped(rows["hhi"], venues)
    rows["concentration_level"] = rows["hhi"].map(level, na_action="ignore").astype("str")
    # The first maximum in the order of MPID, so that equal venues rank by MPID.
    top = venues.assign(share=share)[total > 0].sort_values(
        ["symbol", "share_volume", "mpid"], ascending=[True, False, True]
    )
    first = top.drop_duplicates("symbol").set_index("symbol")
    rows["top_venue_mpid"] = first["mpid"].reindex(rows.index)
    rows["top_venue_share_pct"] = first["share"].reindex(rows.index)
    rows["hhi"] = rows["hhi"].round(2)
    return rows.reset_index()


def _snapped(hhi: "pd.Series[float]", venues: pd.DataFrame) -> "pd.Series[float]":
    """Put an HHI that lies on a limit, but for rounding error, exactly on its side of it."""
    for limit in LIMITS:
        for symbol in hhi.index[(hhi - limit).abs() < NEAR]:
            volumes = [int(v) for v in venues.loc[venues["symbol"] == symbol, "share_volume"]]
            excess = 10_000 * sum(v * v for v in volumes) - limit * sum(volumes) ** 2
            side = np.sign(excess)
            hhi[symbol] = limit if side == 0 else np.nextafter(limit, limit + side)
    return hhi


V1 = CalculationSpec(
    name="concentration",
    version="v1",
    input_tables=("venue_volume",),
    output_table="concentration",
    families=(VENUES, FIRMS),
    depends_on=("venue_volume_v1",),
    description="Herfindahl-Hirschman index of each symbol over its venues, and its level.",
    assumptions=("volumes are not negative", "one input row per symbol and venue"),
    key=("symbol", "calc_version"),
    columns=(
        SYMBOL,
        Column(
            "venue_count",
            ColumnType.COUNT,
            "Venues that reported the symbol.",
            sources=("venue_volume.mpid",),
        ),
        Column(
            "hhi",
            ColumnType.NUMBER,
            "HHI, 0 to 10,000, rounded to 2 decimals; null where nothing traded.",
            nullable=True,
            sources=("venue_volume.share_volume",),
        ),
        Column(
            "concentration_level",
            ColumnType.TEXT,
            "competitive, moderate or concentrated, from the unrounded HHI.",
            nullable=True,
            sources=("venue_volume.share_volume",),
        ),
        Column(
            "top_venue_mpid",
            ColumnType.TEXT,
            "Venue with the largest volume; equal volumes by MPID.",
            nullable=True,
            sources=("venue_volume.share_volume", "venue_volume.mpid"),
        ),
        Column(
            "top_venue_share_pct",
            ColumnType.NUMBER,
            "Percent (0 to 100) of the symbol's volume on that venue, unrounded.",
            nullable=True,
            sources=("venue_volume.share_volume",),
        ),
    ),
    expected_row_count="1 per symbol and version",
)


@calculation(V1)
def concentration_v1(week: WeekKey, frames: Frames) -> pd.DataFrame:
    """HHI with the levels of 2010."""
    return concentration_rows(frames["venue_volume"], level_v1)


@calculation(replace(V1, version="v2", is_breaking=True, replaces="concentration_v1"))
def concentration_v2(week: WeekKey, frames: Frames) -> pd.DataFrame:
    """HHI with the levels of 2023."""
    return concentration_rows(frames["venue_volume"], level_v2)
