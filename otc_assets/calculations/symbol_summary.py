"""Totals of each symbol over its venues."""

import pandas as pd

from otc_assets.calculations.spec import CalculationSpec, Frames, calculation
from otc_assets.calculations.venue_volume import average_trade_size
from otc_assets.domain.datasets import FIRMS, VENUES
from otc_assets.domain.shares import sum_if_whole
from otc_assets.domain.tables import SYMBOL, Column, ColumnType
from otc_assets.domain.weeks import WeekKey


@calculation(
    CalculationSpec(
        name="symbol_summary",
        version="v1",
        input_tables=("venue_volume",),
        output_table="symbol_summary",
        families=(VENUES, FIRMS),
        depends_on=("venue_volume_v1",),
        description="Totals of each symbol over all its venues.",
        assumptions=("one input row per symbol and venue",),
        key=("symbol",),
        columns=(
            SYMBOL,
            Column(
                "total_volume",
                ColumnType.SHARES,
                "Shares traded on all venues.",
                sources=("venue_volume.share_volume",),
            ),
            Column(
                "total_trades",
                ColumnType.COUNT,
                "Trades on all venues.",
                sources=("venue_volume.trade_count",),
            ),
            Column(
                "total_notional",
                ColumnType.DOLLARS,
                "Value traded on all venues; null unless the source has it for every record.",
                nullable=True,
                sources=("venue_volume.notional",),
            ),
            Column(
                "venue_count",
                ColumnType.COUNT,
                "Venues that reported the symbol, also with zero volume.",
                sources=("venue_volume.mpid",),
            ),
            Column(
                "avg_trade_size",
                ColumnType.NUMBER,
                "Shares per trade; null where nothing traded.",
                nullable=True,
                sources=("venue_volume.share_volume", "venue_volume.trade_count"),
            ),
        ),
        expected_row_count="1 per symbol",
    )
)
def symbol_summary(week: WeekKey, frames: Frames) -> pd.DataFrame:
    """Sum the venues of each symbol."""
    groups = frames["venue_volume"].groupby("symbol", sort=True)
    rows = pd.DataFrame(
        {
            "total_volume": groups["share_volume"].sum(),
            "total_trades": groups["trade_count"].sum(),
            "venue_count": groups.size(),
        }
    )
    rows["total_notional"] = sum_if_whole(groups["notional"])
    rows = rows.reset_index()
    rows["avg_trade_size"] = average_trade_size(rows["total_volume"], rows["total_trades"])
    return rows
