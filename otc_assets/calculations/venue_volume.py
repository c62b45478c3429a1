"""What each venue traded in each symbol: raw's newest revision, real twins summed."""

import pandas as pd

from otc_assets.calculations.spec import CalculationSpec, Frames, calculation
from otc_assets.domain.datasets import FIRMS, VENUES
from otc_assets.domain.records import record_hashes
from otc_assets.domain.shares import sum_if_whole, to_shares
from otc_assets.domain.tables import MPID, SYMBOL, Column, ColumnType
from otc_assets.domain.weeks import WeekKey


def average_trade_size(volume: "pd.Series[int]", trades: "pd.Series[int]") -> "pd.Series[float]":
    """Return shares per trade; null where nothing traded."""
    sizes: pd.Series[float] = to_shares(volume) / trades.where(trades > 0)
    return sizes


@calculation(
    CalculationSpec(
        name="venue_volume",
        version="v1",
        input_tables=("raw",),
        output_table="venue_volume",
        families=(VENUES, FIRMS),
        description="Shares and trades of each venue in each symbol, validated.",
        assumptions=(
            "raw holds no refused line and no exact repeat",
            "records that share symbol and MPID but differ otherwise are real twins, and add up",
        ),
        key=("symbol", "mpid"),
        columns=(
            SYMBOL,
            MPID,
            Column(
                "share_volume",
                ColumnType.SHARES,
                "Shares traded.",
                sources=("raw.share_volume",),
            ),
            Column("trade_count", ColumnType.COUNT, "Trades.", sources=("raw.trade_count",)),
            Column(
                "notional",
                ColumnType.DOLLARS,
                "Value traded; null unless the source has it for every record.",
                nullable=True,
                sources=("raw.notional",),
            ),
            Column(
                "avg_trade_size",
                ColumnType.NUMBER,
                "Shares per trade; null where nothing traded.",
                nullable=True,
                sources=("raw.share_volume", "raw.trade_count"),
            ),
            Column(
                "record_hash",
                ColumnType.HASH,
                "Identity of the record: start of SHA-256 of week_ending|tier|symbol|mpid.",
                sources=("raw.week_ending", "raw.tier", "raw.symbol", "raw.mpid"),
            ),
        ),
        expected_row_count="1 per symbol and venue",
    )
)
def venue_volume(week: WeekKey, frames: Frames) -> pd.DataFrame:
    """Sum the records of each symbol and venue."""
    raw = frames["raw"]
    groups = raw.groupby(["symbol", "mpid"], sort=True)
    rows = groups[["share_volume", "trade_count"]].sum()
    rows["notional"] = sum_if_whole(groups["notional"])
    rows = rows.reset_index()
    rows["avg_trade_size"] = average_trade_size(rows["share_volume"], rows["trade_count"])
    rows["record_hash"] = pd.Series(
        record_hashes(week, rows["symbol"], rows["mpid"]),
        index=rows.index,
        dtype=object,
    )
    return rows
