"""The days of a week so far, summed for each symbol: on its last day, the week."""

import pandas as pd

from otc_assets.calculations.short_volume import QUANTITIES
from otc_assets.calculations.spec import CalculationSpec, Frames, calculation
from otc_assets.domain.datasets import DAYS
from otc_assets.domain.grains import SliceKey
from otc_assets.domain.shares import percent
from otc_assets.domain.tables import SYMBOL, Column, ColumnType

DAYS_OF_A_WEEK = 5


@calculation(
    CalculationSpec(
        name="week_to_date",
        version="v1",
        input_tables=("short_volume",),
        output_table="week_to_date",
        families=(DAYS,),
        weeks_required=DAYS_OF_A_WEEK,
        depends_on=("short_volume_v1",),
        description="Shares of each symbol that were reported to FINRA's facilities since Monday, "
        "and the part of them that was sold short. On the last trading day of a week it is the "
        "week's sum, a second measure of what venues report by week.",
        assumptions=("a day that is not in the store adds nothing: see days_in_week",),
        key=("symbol",),
        columns=(
            SYMBOL,
            Column(
                "total_volume",
                ColumnType.SHARES,
                "Shares traded since Monday, in regular trading hours.",
                sources=("short_volume.total_volume",),
            ),
            Column(
                "short_volume",
                ColumnType.SHARES,
                "Shares sold short since Monday, exempt sales among them.",
                sources=("short_volume.short_volume",),
            ),
            Column(
                "short_exempt_volume",
                ColumnType.SHARES,
                "Shares sold short exempt since Monday.",
                sources=("short_volume.short_exempt_volume",),
            ),
            Column(
                "short_share_pct",
                ColumnType.NUMBER,
                "Percent (0 to 100) of the shares that were sold short, unrounded; null where "
                "nothing traded.",
                nullable=True,
                sources=("short_volume.short_volume", "short_volume.total_volume"),
            ),
            Column(
                "days_in_week",
                ColumnType.COUNT,
                "Days since Monday that are in the store, 1 to 5, traded or not.",
                sources=("short_volume.trade_date",),
            ),
        ),
        expected_row_count="1 per symbol that was reported since Monday",
    )
)
def week_to_date(day: SliceKey, frames: Frames) -> pd.DataFrame:
    """Sum the days since Monday."""
    window = frames["short_volume"]
    days = window[window["weeks_back"] <= day.period.weekday()]
    rows = days.groupby("symbol", sort=True)[QUANTITIES].sum().reset_index()
    rows["short_share_pct"] = percent(rows["short_volume"], rows["total_volume"])
    rows["days_in_week"] = days["weeks_back"].nunique()
    return rows
