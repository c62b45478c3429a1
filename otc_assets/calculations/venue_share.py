"""Each venue's part in the volume of its tier."""

import pandas as pd

from otc_assets.calculations.spec import CalculationSpec, Frames, calculation
from otc_assets.domain.datasets import FIRMS, VENUES
from otc_assets.domain.shares import percent, sum_if_whole
from otc_assets.domain.tables import MPID, Column, ColumnType
from otc_assets.domain.weeks import WeekKey


@calculation(
    CalculationSpec(
        name="venue_share",
        version="v1",
        input_tables=("venue_volume",),
        output_table="venue_share",
        families=(VENUES, FIRMS),
        depends_on=("venue_volume_v1",),
        description="Each venue's totals, and its percent of the tier's volume in the week.",
        assumptions=("one input row per symbol and venue", "the input is the whole tier"),
        key=("mpid",),
        columns=(
            MPID,
            Column(
                "total_volume",
                ColumnType.SHARES,
                "Shares traded in all symbols.",
                sources=("venue_volume.share_volume",),
            ),
            Column(
                "total_trades",
                ColumnType.COUNT,
                "Trades in all symbols.",
                sources=("venue_volume.trade_count",),
            ),
            Column(
                "total_notional",
                ColumnType.DOLLARS,
                "Value traded in all symbols; null unless the source has it for every record.",
                nullable=True,
                sources=("venue_volume.notional",),
            ),
            Column(
                "symbol_count",
                ColumnType.COUNT,
                "Symbols reported, also with zero volume.",
                sources=("venue_volume.symbol",),
            ),
            Column(
                "market_share_pct",
                ColumnType.NUMBER,
                "Percent (0 to 100) of the tier's volume, unrounded; null if the tier has none.",
                nullable=True,
                sources=("venue_volume.share_volume",),
            ),
            Column(
                "rank",
                ColumnType.COUNT,
                "1 is the largest volume; equal volumes by MPID.",
                sources=("venue_volume.share_volume", "venue_volume.mpid"),
            ),
        ),
        expected_row_count="1 per venue",
    )
)
def venue_share(week: WeekKey, frames: Frames) -> pd.DataFrame:
    """Sum the symbols of each venue, and rank the venues."""
    groups = frames["venue_volume"].groupby("mpid", sort=True)
    rows = pd.DataFrame(
        {
            "total_volume": groups["share_volume"].sum(),
            "total_trades": groups["trade_count"].sum(),
            "symbol_count": groups.size(),
        }
    )
    rows["total_notional"] = sum_if_whole(groups["notional"])
    rows = rows.reset_index()
    rows["market_share_pct"] = percent(rows["total_volume"], rows["total_volume"].sum())
    rows["rank"] = rows["total_volume"].rank(method="first", ascending=False).astype("int64")
    return rows
