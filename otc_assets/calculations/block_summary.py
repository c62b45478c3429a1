"""What all venues together traded in blocks in a month."""

import pandas as pd

from otc_assets.calculations.spec import CalculationSpec, Frames, calculation
from otc_assets.calculations.venue_volume import average_trade_size
from otc_assets.domain.datasets import BLOCKS
from otc_assets.domain.grains import SliceKey
from otc_assets.domain.neighbours import BLOCK_TYPE
from otc_assets.domain.shares import percent
from otc_assets.domain.tables import Column, ColumnType


@calculation(
    CalculationSpec(
        name="block_summary",
        version="v1",
        input_tables=("block_volume",),
        output_table="block_summary",
        families=(BLOCKS,),
        depends_on=("block_volume_v1",),
        description="Totals of the market in a month, and how much of them were blocks; a row for "
        "each definition of a block.",
        assumptions=("one input row per block type and venue", "the input is the whole market"),
        key=("block_type",),
        columns=(
            BLOCK_TYPE,
            Column(
                "total_volume",
                ColumnType.SHARES,
                "Shares traded, in blocks and not.",
                sources=("block_volume.share_volume",),
            ),
            Column(
                "total_trades",
                ColumnType.COUNT,
                "Trades, blocks and others.",
                sources=("block_volume.trade_count",),
            ),
            Column(
                "block_volume",
                ColumnType.SHARES,
                "Shares traded in blocks.",
                sources=("block_volume.block_volume",),
            ),
            Column(
                "block_count",
                ColumnType.COUNT,
                "Trades that were blocks.",
                sources=("block_volume.block_count",),
            ),
            Column(
                "venue_count",
                ColumnType.COUNT,
                "Venues that reported, also without blocks.",
                sources=("block_volume.mpid",),
            ),
            Column(
                "avg_block_size",
                ColumnType.NUMBER,
                "Shares per block; null where there was none.",
                nullable=True,
                sources=("block_volume.block_volume", "block_volume.block_count"),
            ),
            Column(
                "block_share_part_pct",
                ColumnType.NUMBER,
                "Percent (0 to 100) of the shares that traded in blocks, unrounded.",
                nullable=True,
                sources=("block_volume.block_volume", "block_volume.share_volume"),
            ),
        ),
        expected_row_count="1 per block type",
    )
)
def block_summary(month: SliceKey, frames: Frames) -> pd.DataFrame:
    """Sum the venues of each block type."""
    rows = (
        frames["block_volume"]
        .groupby("block_type", sort=True)
        .agg(
            total_volume=("share_volume", "sum"),
            total_trades=("trade_count", "sum"),
            block_volume=("block_volume", "sum"),
            block_count=("block_count", "sum"),
            venue_count=("mpid", "size"),
        )
        .reset_index()
    )
    rows["avg_block_size"] = average_trade_size(rows["block_volume"], rows["block_count"])
    rows["block_share_part_pct"] = percent(rows["block_volume"], rows["total_volume"])
    return rows
