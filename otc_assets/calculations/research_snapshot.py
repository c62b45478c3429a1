"""The point-in-time dataset: all that is known of a symbol in a week, and since when."""

from typing import Any

import pandas as pd

from otc_assets.calculations.concentration import concentration_v1
from otc_assets.calculations.liquidity_score import liquidity_score
from otc_assets.calculations.rolling_6w import rolling_6w
from otc_assets.calculations.spec import Calculation, CalculationSpec, Frames, calculation
from otc_assets.calculations.symbol_summary import symbol_summary
from otc_assets.domain.tables import Column, ColumnType
from otc_assets.domain.weeks import WeekKey

CONCENTRATION = concentration_v1
"""The version whose levels the snapshot shows; the other ones stay in `concentration`."""

PARTS: tuple[Calculation, ...] = (symbol_summary, rolling_6w, CONCENTRATION, liquidity_score)


def _part_columns() -> tuple[Column, ...]:
    """Return each part's columns under the same names; null where a part has no row."""
    columns: dict[str, Column] = {}
    for part in PARTS:
        table = part.spec.output_table
        for column in part.spec.columns:
            columns.setdefault(
                column.name,
                Column(
                    column.name,
                    column.type,
                    column.description,
                    nullable=column.name != "symbol",
                    sources=(f"{table}.{column.name}",),
                ),
            )
    return tuple(columns.values())


METRICS = _part_columns()

STANDING = (
    Column(
        "has_rolling_data",
        ColumnType.FLAG,
        "Whether rolling_6w has a row for the symbol.",
        sources=("rolling_6w.symbol",),
    ),
    Column("quality_score", ColumnType.NUMBER, "Of the slice, 0 to 1.", nullable=True),
    Column("quality_grade", ColumnType.TEXT, "Of the slice, A to F.", nullable=True),
    Column("quality_status", ColumnType.TEXT, "ok, warning or critical.", nullable=True),
    Column(
        "is_removed",
        ColumnType.FLAG,
        "A correction took the symbol out of the week: gone from this as_of_date on.",
    ),
    Column(
        "as_of_source",
        ColumnType.TEXT,
        "What as_of_date rests on: finra, calendar or captured (see revisions).",
    ),
)


@calculation(
    CalculationSpec(
        name="research_snapshot",
        version="v1",
        # venue_share is of venues and gives no column, but its checks enter the grade.
        input_tables=(*(part.spec.output_table for part in PARTS), "venue_share"),
        output_table="research_snapshot",
        depends_on=(*(part.spec.label for part in PARTS), "venue_share_v1"),
        description="All that was known of a symbol in a week, from the end of as_of_date on: "
        "a row for its first publication, and one for each correction that changed it.",
        assumptions=(
            "one row per symbol that was reported in the week",
            "what is known on a day is what FINRA had made public by its end",
        ),
        key=("symbol", "as_of_date"),
        indexes=(("symbol",),),
        columns=(*METRICS, *STANDING),
        expected_row_count="1 per symbol and day on which knowledge of it changed",
    )
)
def research_snapshot(week: WeekKey, frames: Frames) -> pd.DataFrame:
    """Join the parts of one slice as they stand on one day.

    The standing of the slice (quality, as_of_source) is added by whoever knows it.
    """
    rows = _nullable(frames["symbol_summary"][["symbol", *_own_columns(symbol_summary)]])
    for part in PARTS[1:]:
        frame = frames[part.spec.output_table]
        frame = frame[frame["calc_version"] == part.spec.version]
        own = [c for c in _own_columns(part) if c not in rows]
        rows = rows.merge(_nullable(frame[["symbol", *own]]), on="symbol", how="left")
        if part is rolling_6w:
            rows["has_rolling_data"] = rows["symbol"].isin(frame["symbol"])
    rows = rows.assign(is_removed=False, **_unknown_standing())
    return rows[[c.name for c in (*METRICS, *STANDING)]].sort_values("symbol")


def _nullable(rows: pd.DataFrame) -> pd.DataFrame:
    """Let whole numbers and flags have gaps without becoming floats, which would round them."""
    kinds = {"i": "Int64", "b": "boolean"}
    return rows.astype({c: kinds[t.kind] for c, t in rows.dtypes.items() if t.kind in kinds})


def _own_columns(part: Calculation) -> list[str]:
    return [name for name in part.spec.output_columns if name != "symbol"]


def _unknown_standing() -> dict[str, Any]:
    unknown = ("quality_score", "quality_grade", "quality_status", "as_of_source")
    return dict.fromkeys(unknown)
