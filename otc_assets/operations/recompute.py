"""Computes a slice's tables again from the archive's bytes, in memory, and compares.

`rebuild` replaces what differs, `verify` only tells. Nothing is written here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd

from otc_assets.calculations import derived_tables_of
from otc_assets.domain.differences import Comparison, compare_rows
from otc_assets.domain.grains import SliceKey
from otc_assets.domain.tables import REJECTS, RUN, ColumnType, Table
from otc_assets.operations.derive import lineage_of, reach_of
from otc_assets.operations.frames import Knowledge, in_force
from otc_assets.operations.grading import quality_then
from otc_assets.operations.recall import ArchiveReader, rows_of_content
from otc_assets.operations.snapshot import SNAPSHOT, snapshot_history
from otc_assets.sources.parse import REJECT_COLUMNS, ParsedFile, row_columns
from otc_assets.warehouse.bulk import as_stored
from otc_assets.warehouse.reader import SliceReader
from otc_assets.warehouse.timescale import WEEKLY_SUMMARY

SIDES = ("live", "rebuilt")
NO_ROW = "no row"
EXAMPLES = 3
SHOWN = 20
"""Rows of a table of which each difference is kept."""
KEPT_TABLES = 64
"""Tables of one revision that are remembered, for the same weeks."""


@dataclass(frozen=True)
class Cell:
    """One value that differs; or, without a column, a row that only one side has."""

    key: str
    column: str
    live: str
    rebuilt: str


@dataclass(frozen=True)
class Difference:
    """How the rebuilt rows of one table of a slice differ from the live ones."""

    table: str
    only_live: int
    """Rows that were not rebuilt."""
    only_rebuilt: int
    """Rows that the store lacks."""
    changed: Mapping[str, int]
    """In how many rows each column differs, for those that do."""
    examples: tuple[str, ...]
    """A few of them in words: key, column, both values."""
    cells: tuple[Cell, ...]
    """Every value that differs, of the `SHOWN` rows that differ most."""
    total: int
    """How many rows differ."""

    def __str__(self) -> str:
        """Return counts and examples as one line."""
        counts = [f"{self.only_live} rows only live", f"{self.only_rebuilt} only rebuilt"]
        counts += [f"{name} differs in {count}" for name, count in self.changed.items()]
        return f"{self.table}: {', '.join(counts)}; for example {'; '.join(self.examples)}"

    def counts(self) -> dict[str, Any]:
        """Return what an event says of it."""
        return {
            "only_live": self.only_live,
            "only_rebuilt": self.only_rebuilt,
            "changed": dict(self.changed),
        }


class Afresh(Knowledge):
    """The tables of a slice, none of them read: all are computed from raw."""

    reader: ArchiveReader

    def __init__(self, reader: ArchiveReader, week: SliceKey, as_of: date | None = None) -> None:
        """Look at ``week`` as known on ``as_of`` (default: newest)."""
        super().__init__(reader, week, as_of)
        self._replaced = set(self.revisions)

    def on(self, day: date) -> Knowledge:
        """Return the same slice as it was known at the end of an earlier day."""
        return Afresh(self.reader, self.week, day)

    def compute(self, name: str, week: SliceKey | None = None) -> pd.DataFrame:
        """Compute a table, with the values that it has when it is read from the store."""
        week, kept = week or self.week, self.reader.computed
        key = name, week, self.revisions[week]
        if key in kept:
            return kept[key]
        rows = as_stored(
            self.reader.connection, self.reader.table(name), super().compute(name, week)
        )
        if reach_of(name) == 0:
            kept[key] = rows
            if len(kept) > KEPT_TABLES:
                kept.popitem(last=False)
        return rows


def compare_revision(
    reader: SliceReader, week: SliceKey, content: ParsedFile, number: int
) -> list[Difference]:
    """Compare what a content gives with the rows that the store has of a revision."""
    differences = []
    dataset = reader.dataset
    parts = ((dataset.raw, row_columns(dataset)), (dataset.described(REJECTS), REJECT_COLUMNS))
    for table, names in parts:
        live = reader.frame(table.name, week, names, fresh=True, source_revision=number)
        days = [name for name in names if table.column(name).type is ColumnType.DATE]
        live = live.assign(**{name: live[name].map(str, na_action="ignore") for name in days})
        columns = [name for name in names if name != "line_number"]
        found = compare_rows(
            table,
            live,
            rows_of_content(reader, content, table)[list(names)],
            columns,
            key=["line_number"],
            sides=SIDES,
        )
        differences += _differences(table, found)
    record, intake = reader.revision(week, number), content.intake
    said = {
        "content_sha256": content.content_sha256,
        "source_sha256": content.sha256,
        "line_count": intake.line_count,
        "row_count": intake.row_count,
        "reject_count": intake.reject_count,
        "repeat_count": intake.repeat_count,
    }
    wrong = {name: (record[name], value) for name, value in said.items() if record[name] != value}
    if wrong:
        where = f"source_revision {number}"
        cells = [Cell(where, name, *map(_text, values)) for name, values in wrong.items()]
        examples = [f"{cell.column}: live {cell.live}, rebuilt {cell.rebuilt}" for cell in cells]
        changed = dict.fromkeys(wrong, 1)
        differences.append(Difference("revisions", 0, 0, changed, tuple(examples), tuple(cells), 1))
    return differences


def derived_tables(known: Knowledge) -> dict[str, pd.DataFrame]:
    """Compute every derived table, inputs first; of a snapshot its whole history."""
    names = [table.name for table in derived_tables_of(known.reader.dataset)]
    tables = {name: known[name] for name in names if name != SNAPSHOT}
    if SNAPSHOT not in names:
        return tables
    known[SNAPSHOT] = known.compute(SNAPSHOT)
    return {**tables, SNAPSHOT: snapshot_history(known.reader, known, quality_then(known))}


def compare_derived(
    known: Knowledge, name: str, live: pd.DataFrame, rows: pd.DataFrame
) -> list[Difference]:
    """Compare the rebuilt rows of a table with the live ones, except for who wrote them, when."""
    table, live = known.reader.table(name), in_force(name, live)
    rows = rows.assign(**{c: v for c, v in lineage_of(known, name).items() if c not in rows})
    flags = [column.name for column in table.columns if column.type is ColumnType.FLAG]
    # A flag that is null reads as false from the store.
    rows = rows.assign(**{flag: rows[flag].astype("boolean").fillna(False) for flag in flags})
    ours = {*known.reader.dataset.slice_columns, "computed_at"} | {column.name for column in RUN}
    key = [column for column in table.key if column not in ours]
    columns = [c.name for c in table.columns if c.name not in {*ours, *key}]
    found = compare_rows(table, live, rows, columns, key=key, sides=SIDES)
    return _differences(table, found)


def compare_aggregate(
    reader: SliceReader, week: SliceKey, summed: pd.DataFrame
) -> list[Difference]:
    """Compare TimescaleDB's aggregate with the rows of symbol_summary, which here are "rebuilt"."""
    symbol, *columns = (column.name for column in WEEKLY_SUMMARY.columns)
    rows = reader.frame("symbol_summary", week, [symbol, *columns], fresh=True)
    found = compare_rows(WEEKLY_SUMMARY, summed, rows, columns, key=[symbol], sides=SIDES)
    return _differences(WEEKLY_SUMMARY, found)


def _differences(table: Table, found: Comparison) -> list[Difference]:
    if found.differences.empty:
        return []
    counts = found.columns[found.columns["different"] > 0]
    changed = {str(c): int(n) for c, n in zip(counts["column"], counts["different"], strict=True)}
    sides = found.differences["found_in"].value_counts()
    only_live, only_rebuilt = (int(sides.get(side, 0)) for side in SIDES)
    examples = tuple(
        _example(row, changed) for _, row in found.differences.head(EXAMPLES).iterrows()
    )
    cells = tuple(
        cell for _, row in found.differences.head(SHOWN).iterrows() for cell in _cells(row, changed)
    )
    total = len(found.differences)
    return [Difference(table.name, only_live, only_rebuilt, changed, examples, cells, total)]


def _example(row: "pd.Series[Any]", changed: Mapping[str, int]) -> str:
    """Return one differing row in words: where it is, and both values of each column."""
    cells = _cells(row, changed)
    if row["found_in"] != "both":
        return f"{cells[0].key}: only {row['found_in']}"
    wrong = [f"{cell.column} live {cell.live}, rebuilt {cell.rebuilt}" for cell in cells]
    return f"{cells[0].key}: {', '.join(wrong)}"


def _cells(row: "pd.Series[Any]", changed: Mapping[str, int]) -> list[Cell]:
    """Return where one differing row is, and both values of each column that differs."""
    names = list(row.index)
    where = [f"{name} {row[name]}" for name in names[: names.index("found_in")]]
    if "symbol_live" in row:  # of raw, whose key is a line
        symbol = row["symbol_rebuilt"] if pd.isna(row["symbol_live"]) else row["symbol_live"]
        where.insert(0, f"symbol {symbol}")
    key = ", ".join(where)
    if row["found_in"] != "both":
        return [Cell(key, "", *("row" if row["found_in"] == s else NO_ROW for s in SIDES))]
    cells = [Cell(key, c, *(_text(row[f"{c}_{side}"]) for side in SIDES)) for c in changed]
    # Where a float shows no difference, all that may differ is named.
    return [cell for cell in cells if cell.live != cell.rebuilt] or cells


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex()
    return "null" if pd.isna(value) else str(value)
