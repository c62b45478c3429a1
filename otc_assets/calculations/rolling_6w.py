"""Six-week averages of each symbol, and where the current week stands against them."""

import pandas as pd

from otc_assets.calculations.spec import CalculationSpec, Frames, calculation
from otc_assets.domain.shares import percent, to_shares
from otc_assets.domain.tables import SYMBOL, Column, ColumnType
from otc_assets.domain.weeks import WeekKey

WINDOW_WEEKS = 6
TREND_THRESHOLD_PCT = 10
"""Beyond this distance from the average, in percent, the trend is up or down."""


def trend_of(difference: "pd.Series[int]", reference: "pd.Series[int]") -> "pd.Series[str]":
    """Return up, down or stable by how far ``difference`` is, in percent of ``reference``.

    In Python's integers, which neither round nor overflow: exactly 10 percent is stable.
    """
    change = 100 * difference.astype(object)
    threshold = TREND_THRESHOLD_PCT * reference.astype(object)
    trend = pd.Series("stable", index=difference.index, dtype="str")
    trend[change > threshold] = "up"
    trend[change < -threshold] = "down"
    return trend


@calculation(
    CalculationSpec(
        name="rolling_6w",
        version="v1",
        input_tables=("symbol_summary",),
        output_table="rolling_6w",
        weeks_required=WINDOW_WEEKS,
        depends_on=("symbol_summary_v1",),
        description="Averages of each symbol over six weeks, the target week included.",
        assumptions=(
            "the average is over the weeks in which the symbol traded, within one tier",
            "a symbol of the window that is absent in the target week keeps a row, with volume 0",
        ),
        key=("symbol",),
        columns=(
            SYMBOL,
            Column(
                "avg_6w_volume",
                ColumnType.NUMBER,
                "Average shares per week in which the symbol was reported.",
                sources=("symbol_summary.total_volume",),
            ),
            Column(
                "avg_6w_trades",
                ColumnType.NUMBER,
                "Average trades per week in which the symbol was reported.",
                sources=("symbol_summary.total_trades",),
            ),
            Column(
                "current_volume",
                ColumnType.SHARES,
                "Shares of the target week; 0 if the symbol was not reported in it.",
                sources=("symbol_summary.total_volume",),
            ),
            Column(
                "volume_vs_avg_pct",
                ColumnType.NUMBER,
                "Current volume against the average, in percent of it; null if that is 0.",
                nullable=True,
                sources=("symbol_summary.total_volume",),
            ),
            Column(
                "trend",
                ColumnType.TEXT,
                "up or down beyond 10 percent of the average, else stable.",
                sources=("symbol_summary.total_volume",),
            ),
            Column(
                "weeks_in_window",
                ColumnType.COUNT,
                "Weeks of the window in which the symbol was reported, 1 to 6.",
                sources=("symbol_summary.week_ending",),
            ),
            Column(
                "is_complete",
                ColumnType.FLAG,
                "Whether that is all six.",
                sources=("symbol_summary.week_ending",),
            ),
        ),
        expected_row_count="1 per symbol that was reported in the window",
    )
)
def rolling_6w(week: WeekKey, frames: Frames) -> pd.DataFrame:
    """Average each symbol over the window."""
    window = frames["symbol_summary"]
    groups = window.groupby("symbol", sort=True)
    # Of few rows, `agg` takes ten times as long as its parts.
    rows = pd.DataFrame(
        {
            "volume": groups["total_volume"].sum(),
            "trades": groups["total_trades"].sum(),
            "weeks": groups.size(),
        }
    )
    current = window[window["weeks_back"] == 0].set_index("symbol")["total_volume"]
    # Integer sums before the one division: the averages do not depend on the order of the rows.
    rows["avg_6w_volume"] = to_shares(rows["volume"] / rows["weeks"])
    rows["avg_6w_trades"] = rows["trades"] / rows["weeks"]
    rows["current_volume"] = current.reindex(rows.index, fill_value=0)
    difference = rows["current_volume"] * rows["weeks"] - rows["volume"]
    rows["volume_vs_avg_pct"] = percent(difference, rows["volume"])
    rows["trend"] = trend_of(difference, rows["volume"])
    rows["weeks_in_window"] = rows["weeks"]
    rows["is_complete"] = rows["weeks"] == WINDOW_WEEKS
    return rows.drop(columns=["volume", "trades", "weeks"]).reset_index()
