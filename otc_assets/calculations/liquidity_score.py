"""A simple liquidity score: the worked example of how a calculation is added."""

import pandas as pd

from otc_assets.calculations.spec import CalculationSpec, Frames, calculation
from otc_assets.domain.tables import SYMBOL, Column, ColumnType
from otc_assets.domain.weeks import WeekKey


@calculation(
    CalculationSpec(
        name="liquidity_score",
        version="v1",
        input_tables=("symbol_summary",),
        output_table="liquidity_score",
        depends_on=("symbol_summary_v1",),
        description="Average trade size times number of venues, for each symbol.",
        assumptions=("more venues and larger trades mean more liquidity",),
        key=("symbol",),
        columns=(
            SYMBOL,
            Column(
                "liquidity_score",
                ColumnType.NUMBER,
                "avg_trade_size rounded to 2 decimals, times venue_count; null without a trade.",
                nullable=True,
                sources=("symbol_summary.avg_trade_size", "symbol_summary.venue_count"),
            ),
        ),
        expected_row_count="1 per symbol",
    )
)
def liquidity_score(week: WeekKey, frames: Frames) -> pd.DataFrame:
    """Score each symbol."""
    summary = frames["symbol_summary"].sort_values("symbol")
    score = summary["avg_trade_size"].round(2) * summary["venue_count"]
    return pd.DataFrame({"symbol": summary["symbol"], "liquidity_score": score.round(2)})
