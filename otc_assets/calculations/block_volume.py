"""What each venue traded in blocks in a month, and how much of all that is."""

import pandas as pd

from otc_assets.calculations.spec import CalculationSpec, Frames, calculation
from otc_assets.calculations.venue_volume import average_trade_size
from otc_assets.domain.datasets import BLOCKS
from otc_assets.domain.grains import SliceKey
from otc_assets.domain.neighbours import BLOCK_TYPE
from otc_assets.domain.shares import percent
from otc_assets.domain.tables import MPID, Column, ColumnType

QUANTITIES = ["share_volume", "trade_count", "block_volume", "block_count"]


@calculation(
    CalculationSpec(
        name="block_volume",
        version="v1",
        input_tables=("raw",),
        output_table="block_volume",
        families=(BLOCKS,),
        description="Shares and trades of each venue, and those of them that were blocks, "
        "validated; a row for each definition of a block. Parts and ranks are computed here; "
        "FINRA's own, which are rounded, are in raw.",
        assumptions=(
            "raw holds no refused line and no exact repeat",
            "records that share block type and venue but differ otherwise add up",
            "the input is the whole market",
        ),
        key=("block_type", "mpid"),
        columns=(
            BLOCK_TYPE,
            MPID,
            Column(
                "share_volume",
                ColumnType.SHARES,
                "Shares traded, in blocks and not.",
                sources=("raw.share_volume",),
            ),
            Column(
                "trade_count",
                ColumnType.COUNT,
                "Trades, blocks and others.",
                sources=("raw.trade_count",),
            ),
            Column(
                "block_volume",
                ColumnType.SHARES,
                "Shares traded in blocks.",
                sources=("raw.block_volume",),
            ),
            Column(
                "block_count",
                ColumnType.COUNT,
                "Trades that were blocks.",
                sources=("raw.block_count",),
            ),
            Column(
                "avg_trade_size",
                ColumnType.NUMBER,
                "Shares per trade; null where nothing traded.",
                nullable=True,
                sources=("raw.share_volume", "raw.trade_count"),
            ),
            Column(
                "avg_block_size",
                ColumnType.NUMBER,
                "Shares per block; null where there was none.",
                nullable=True,
                sources=("raw.block_volume", "raw.block_count"),
            ),
            Column(
                "block_share_part_pct",
                ColumnType.NUMBER,
                "Percent (0 to 100) of the venue's shares that traded in blocks, unrounded.",
                nullable=True,
                sources=("raw.block_volume", "raw.share_volume"),
            ),
            Column(
                "block_market_pct",
                ColumnType.NUMBER,
                "The venue's percent (0 to 100) of all venues' shares in blocks, unrounded.",
                nullable=True,
                sources=("raw.block_volume",),
            ),
            Column(
                "block_market_rank",
                ColumnType.COUNT,
                "1 is the largest volume in blocks; equal volumes by venue.",
                sources=("raw.block_volume", "raw.mpid"),
            ),
            Column(
                "market_pct",
                ColumnType.NUMBER,
                "The venue's percent (0 to 100) of all venues' shares, unrounded.",
                nullable=True,
                sources=("raw.share_volume",),
            ),
        ),
        expected_row_count="1 per block type and venue",
    )
)
def block_volume(month: SliceKey, frames: Frames) -> pd.DataFrame:
    """Sum the records of each block type and venue."""
    key = ["block_type", "mpid"]
    rows = frames["raw"].groupby(key, sort=True)[QUANTITIES].sum().reset_index()
    rows["avg_trade_size"] = average_trade_size(rows["share_volume"], rows["trade_count"])
    rows["avg_block_size"] = average_trade_size(rows["block_volume"], rows["block_count"])
    rows["block_share_part_pct"] = percent(rows["block_volume"], rows["share_volume"])
    by_type = rows.groupby("block_type")
    rows["block_market_pct"] = percent(
        rows["block_volume"], by_type["block_volume"].transform("sum")
    )
    rows["market_pct"] = percent(rows["share_volume"], by_type["share_volume"].transform("sum"))
    ranks = by_type["block_volume"].rank(method="first", ascending=False)
    rows["block_market_rank"] = ranks.astype("int64")
    return rows
