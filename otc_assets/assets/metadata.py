"""What the UI shows of a table and of each of its partitions.

Numbers are numbers, and have the same name in every table, so that Dagster plots them over the
partitions: `shares`, `trades`, `symbols`, `venues`, and of raw `lag_days`.
"""

import shlex
from decimal import Decimal
from itertools import pairwise
from typing import Any

import dagster as dg
import pandas as pd

from otc_assets.assets.partitions import asset_key_of
from otc_assets.calculations import calculations_of
from otc_assets.domain.calendar import day_in_new_york
from otc_assets.domain.datasets import ATS, Dataset
from otc_assets.domain.differences import compare_versions
from otc_assets.domain.revisions import Action, IngestionResult
from otc_assets.domain.shares import MILLIONTHS, format_shares, to_shares
from otc_assets.domain.tables import EXACT, ColumnType, Table
from otc_assets.domain.weeks import WeekKey
from otc_assets.operations.outcome import SliceOutcome
from otc_assets.warehouse.reader import table_named

PREVIEW_ROWS = 5
VOLUMES = ("share_volume", "total_volume", "current_volume")
TRADES = ("trade_count", "total_trades")
NAMES = {"symbol": "symbol", "mpid": "venue"}
"""Columns that name something, and what the UI calls it."""


def column_schema(table: Table) -> dg.TableSchema:
    """Return the columns of a table as the UI lists them."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column.name,
                column.type.value,
                column.description,
                constraints=dg.TableColumnConstraints(nullable=column.nullable),
                tags={"key": ""} if column.name in table.key else None,
            )
            for column in table.columns
        ]
    )


def column_lineage(table: Table, dataset: Dataset) -> dg.TableColumnLineage:
    """Return which columns each column is computed from."""
    return dg.TableColumnLineage(
        {
            column.name: [
                dg.TableColumnDep(asset_key_of(name, dataset), its_column)
                for name, its_column in (source.split(".") for source in column.sources)
            ]
            for column in table.columns
            if column.sources
        }
    )


def slice_metadata(outcome: SliceOutcome, dataset: Dataset = ATS) -> dict[str, Any]:
    """Return the numbers of one partition: rows, totals, the largest symbol or venue, a preview."""
    rows = outcome.rows
    metadata: dict[str, Any] = {
        "dagster/partition_row_count": len(rows),
        "status": outcome.status.value if outcome.written else "not computed",
    }
    if outcome.reason:
        metadata["reason"] = outcome.reason
    for number, result in enumerate(outcome.results, start=1):
        name = "content" if len(outcome.results) == 1 else f"content {number}"
        metadata[name] = _said(result)
    if (lag := _lag_days(outcome)) is not None:
        metadata["lag_days"] = lag
    if len(rows):
        table = table_named(outcome.table, dataset)
        metadata |= _totals(rows) | {"preview": dg.MetadataValue.md(_preview(rows, table))}
        if compared := _versions(rows, table):
            metadata["versions"] = dg.MetadataValue.md(compared)
    return metadata | _events(outcome)


def _events(outcome: SliceOutcome) -> dict[str, Any]:
    """Return the ids of the events that tell of the rows, and the command that shows their chain.

    A refused file's event is among them.
    """
    shown: dict[str, Any] = {}
    for event in outcome.events:
        version, status = event.payload.get("calc_version"), event.payload.get("status")
        several = len(outcome.events) > 1
        shown[f"event of {version or status}" if several else "event"] = event.event_id
    week = outcome.week
    if outcome.events and isinstance(week, WeekKey) and "symbol" in outcome.rows.head(1):
        symbol = shlex.quote(str(outcome.rows["symbol"].iloc[0]))
        dataset = outcome.events[0].aggregate_id.partition(" ")[0]
        command = f"otc why {symbol} {week.week_ending} --tier '{week.tier}'"
        shown["why"] = f"{command} --dataset {dataset}"
    return shown


def _lag_days(outcome: SliceOutcome) -> int | None:
    """Return the days from FINRA's publication of the newest content to our store, in New York.

    A content that is skipped keeps the day on which it was stored; `force` stores it anew.
    """
    if outcome.published is None or outcome.stored_at is None:
        return None
    return (day_in_new_york(outcome.stored_at) - outcome.published).days


def _versions(rows: pd.DataFrame, table: Table) -> str:
    """Compare each version of a calculation with the one before; empty if there is only one."""
    versions = [calc.spec.version for calc in calculations_of(table.name)]
    parts = []
    for left, right in pairwise(versions):
        found = compare_versions(table, rows, left, right)
        differences = found.differences
        one_sided = int((differences["found_in"] != "both").sum())
        counts = f"{len(differences) - one_sided} rows differ, {one_sided} are in one only"
        parts.append(f"**{left} and {right}**: {counts}")
        if len(differences):
            parts.append(_grid(found.columns[found.columns["different"] > 0]))
            wrong = found.columns.loc[found.columns["different"] > 0, "column"]
            beside = [f"{name}_{side}" for name in wrong for side in (left, right)]
            names = [*differences.columns[: differences.columns.get_loc("found_in")], *beside]
            parts.append(_grid(differences[names].head(PREVIEW_ROWS)))
    return "\n\n".join(parts)


def _grid(rows: pd.DataFrame) -> str:
    """Return a frame as a markdown table."""
    cells = [list(rows.columns), ["---"] * len(rows.columns)]
    cells += [[_plain(value) for value in row] for row in rows.itertuples(index=False)]
    return "\n".join("| " + " | ".join(line) + " |" for line in cells)


def _plain(value: Any) -> str:
    if pd.isna(value):
        return ""
    return f"{value:,.2f}" if isinstance(value, float) else str(value).replace("|", "\\|")[:40]


def _said(result: IngestionResult) -> str:
    if result.action is Action.SKIPPED:
        return f"skipped; the store keeps revision {result.revision}"
    before = f", after revision {result.previous_revision}" if result.previous_revision else ""
    return f"{result.action} as revision {result.revision}{before}"


def _totals(rows: pd.DataFrame) -> dict[str, Any]:
    totals: dict[str, Any] = {}
    if "block_type" in rows:  # whose rows repeat a venue's totals: only once do they add up
        rows = rows[rows["block_type"] == rows["block_type"].iloc[0]]
    for column in VOLUMES:
        if column in rows:
            totals["shares"] = _shares(int(rows[column].sum()))
            for name, label in NAMES.items():
                if name in rows:
                    totals[f"top_{label}"] = str(rows.groupby(name)[column].sum().idxmax())
            break
    for column in TRADES:
        if column in rows:
            totals["trades"] = int(rows[column].sum())
    for name, label in NAMES.items():
        if name in rows:
            totals[f"{label}s"] = int(rows[name].nunique())
    return totals


def _shares(millionths: int) -> int | float:
    """Return a quantity as a number that can be plotted: whole ones exactly."""
    whole, fraction = divmod(millionths, MILLIONTHS)
    return float(to_shares(millionths)) if fraction else whole


def _preview(rows: pd.DataFrame, table: Table) -> str:
    """Return the first rows as a markdown table, without hashes and empty columns."""
    kinds = {column.name: column.type for column in table.columns}
    filled = rows.head(PREVIEW_ROWS).dropna(axis="columns", how="all")
    hidden = {"calc_name"} | {name for name, kind in kinds.items() if kind is ColumnType.HASH}
    shown = [name for name in kinds if name in filled and name not in hidden]
    lines = ["| " + " | ".join(shown) + " |", "|" + " --- |" * len(shown)]
    for row in filled[shown].itertuples(index=False):
        cells = (_cell(value, kinds[name]) for name, value in zip(shown, row, strict=True))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(value: Any, kind: ColumnType) -> str:
    if pd.isna(value):
        return ""
    if kind in EXACT:
        return f"{Decimal(format_shares(value)):,}"
    if kind in (ColumnType.COUNT, ColumnType.NUMBER):
        return f"{value:,}" if kind is ColumnType.COUNT else f"{value:,.2f}"
    return str(value).replace("|", "\\|")[:40]
