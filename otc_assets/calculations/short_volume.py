"""What FINRA's facilities saw of each symbol in a day, and how much of it was sold short."""

import pandas as pd

from otc_assets.calculations.spec import CalculationSpec, Frames, calculation
from otc_assets.domain.datasets import DAYS
from otc_assets.domain.grains import SliceKey
from otc_assets.domain.shares import percent
from otc_assets.domain.tables import SYMBOL, Column, ColumnType

QUANTITIES = ["total_volume", "short_volume", "short_exempt_volume"]


@calculation(
    CalculationSpec(
        name="short_volume",
        version="v1",
        input_tables=("raw",),
        output_table="short_volume",
        families=(DAYS,),
        description="Shares of each symbol that were reported to FINRA's facilities in a day, and "
        "those of them that were sold short, validated.",
        assumptions=(
            "raw holds no refused line and no exact repeat",
            "records of a symbol from several facilities add up",
        ),
        key=("symbol",),
        columns=(
            SYMBOL,
            Column(
                "total_volume",
                ColumnType.SHARES,
                "Shares traded, in regular trading hours.",
                sources=("raw.total_volume",),
            ),
            Column(
                "short_volume",
                ColumnType.SHARES,
                "Shares sold short, exempt sales among them.",
                sources=("raw.short_volume",),
            ),
            Column(
                "short_exempt_volume",
                ColumnType.SHARES,
                "Shares sold short exempt.",
                sources=("raw.short_exempt_volume",),
            ),
            Column(
                "short_share_pct",
                ColumnType.NUMBER,
                "Percent (0 to 100) of the shares that were sold short, unrounded; null where "
                "nothing traded.",
                nullable=True,
                sources=("raw.short_volume", "raw.total_volume"),
            ),
        ),
        expected_row_count="1 per symbol",
    )
)
def short_volume(day: SliceKey, frames: Frames) -> pd.DataFrame:
    """Sum the facilities of each symbol."""
    rows = frames["raw"].groupby("symbol", sort=True)[QUANTITIES].sum().reset_index()
    rows["short_share_pct"] = percent(rows["short_volume"], rows["total_volume"])
    return rows
