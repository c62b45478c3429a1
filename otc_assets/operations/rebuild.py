"""Rebuilds a slice's derived tables from the archive, and compares before anything is replaced.

The archive's bytes are parsed again and must give the rows of raw. From them every derived table is
computed beside the live one, which stays unless somebody explains the difference. All of it is one
transaction under the lock of the slice: who writes at the same time waits, and writes afterwards.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from otc_assets.calculations import calculations_of, output_tables
from otc_assets.domain.differences import Comparison, compare_rows
from otc_assets.domain.events import EventType
from otc_assets.domain.quality import SliceStatus
from otc_assets.domain.revisions import newest
from otc_assets.domain.rules import evaluate, rules_of
from otc_assets.domain.tables import RAW, REJECTS, RUN, SLICE, ColumnType, Table
from otc_assets.domain.weeks import WeekKey
from otc_assets.operations.derive import broken_of, lineage_of, write_table
from otc_assets.operations.events import calculation_facts, ingestion_of
from otc_assets.operations.frames import Knowledge, in_force, view_of
from otc_assets.operations.grading import quality_then
from otc_assets.operations.revise import merged
from otc_assets.operations.snapshot import SNAPSHOT, snapshot_history
from otc_assets.sources.archive import Archive
from otc_assets.sources.errors import SourceError
from otc_assets.sources.parse import REJECT_COLUMNS, ROW_COLUMNS, ParsedFile, parse
from otc_assets.warehouse.bulk import as_stored
from otc_assets.warehouse.cache import FrameCache
from otc_assets.warehouse.reader import SliceReader, table_named
from otc_assets.warehouse.store import Warehouse
from otc_assets.warehouse.writer import RunIds, SliceWriter

NEW_YORK = ZoneInfo("America/New_York")
SIDES = ("live", "rebuilt")
EXAMPLES = 3
KEPT_FILES = 24
"""Parsed files that are remembered: of the weeks of a window, the corrections among them."""


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


@dataclass(frozen=True)
class Rebuild:
    """What became of one slice: nothing differs, or the difference was explained."""

    week: WeekKey
    rows: Mapping[str, int]
    """The rows that were rebuilt of each table."""
    differences: tuple[Difference, ...] = ()
    """What has been replaced; none if every table was equal, and so left alone."""


class RebuildError(Exception):
    """A slice that was left as it was: what does not agree, where, and what to do."""

    def __init__(
        self, week: WeekKey, problem: str, remedy: str, differences: Sequence[Difference] = ()
    ) -> None:
        """Say what is wrong with ``week``, and what to do about it."""
        self.week = week
        self.differences = tuple(differences)
        lines = [f"{week}: {problem}", *(f"  {each}" for each in differences), f"  {remedy}"]
        super().__init__("\n".join(lines))


def rebuild_all(
    warehouse: Warehouse, archive: Archive, run: RunIds, accept_difference: str = ""
) -> Iterator[Rebuild | RebuildError]:
    """Rebuild every slice that has a snapshot, oldest first; one that cannot be costs no other.

    Arguments are those of `rebuild`.
    """
    contents = Contents(archive)
    with warehouse.read() as reader:
        loaded = sorted(reader.loaded_slices(), key=lambda week: (week.week_ending, week.tier))
        slices = [w for w in loaded if SNAPSHOT in (reader.manifest(w) or {})["row_counts"]]
    for week in slices:
        try:
            yield _rebuild(warehouse, contents, week, run, accept_difference)
        except RebuildError as error:
            yield error


def rebuild(
    warehouse: Warehouse,
    archive: Archive,
    week: WeekKey,
    run: RunIds,
    accept_difference: str = "",
) -> Rebuild:
    """Compute every derived table of a slice from the archive, and compare it with the live one.

    Equal tables are left alone. Those that differ are replaced if the difference is explained,
    which an event PROJECTION_REBUILT records. Rows of retired versions are neither compared nor
    replaced.

    Args:
        warehouse: the store of one dataset.
        archive: what the store's files are kept in.
        week: the slice.
        run: who asks.
        accept_difference: why it is right that the rebuilt rows differ; empty if they must not.

    Raises:
        RebuildError: the archive has not the bytes of a revision; they do not give the rows of
            raw, which no explanation covers; derived rows differ and no explanation is given; the
            rebuilt ones break a blocking rule; or nothing differs, and the events tell otherwise.
            The slice is left as it was.

    """
    return _rebuild(warehouse, Contents(archive), week, run, accept_difference)


def _rebuild(
    warehouse: Warehouse, contents: "Contents", week: WeekKey, run: RunIds, explanation: str
) -> Rebuild:
    with warehouse.write(week, run) as writer:
        manifest = writer.manifest(week)
        if manifest is None or SNAPSHOT not in manifest["row_counts"]:
            why = (manifest or {}).get("reason") or "it was never computed"
            remedy = f"Materialize {SNAPSHOT} of it first."
            raise RebuildError(week, f"there is no {SNAPSHOT} to rebuild: {why}", remedy)
        for number in [record["source_revision"] for record in writer.records("revisions", week)]:
            _verify(writer, contents, number)
        known = Afresh(ArchiveReader(writer, contents), week)
        tables = _tables(known)
        differences = [
            difference
            for name, rows in tables.items()
            for difference in _compare(writer, name, rows, known)
        ]
        if differences and not explanation.strip():
            remedy = (
                "The live rows stay. If the rebuilt ones are right, run it again with "
                "accept_difference, which says why they differ; if a run was just refreshing "
                "this slice, run it again when that has ended."
            )
            raise RebuildError(week, "the rebuilt rows differ", remedy, differences)
        if not differences:
            _compare_events(writer, known, tables)
        else:
            _replace(writer, known, tables, differences, explanation.strip())
        rows_of_tables = {name: len(rows) for name, rows in tables.items()}
        return Rebuild(week, rows_of_tables, tuple(differences))


class Contents:
    """The contents of slices as the archive has them, parsed again."""

    def __init__(self, archive: Archive) -> None:
        """Read from ``archive``, and remember the newest files."""
        self._archive = archive
        self._parsed = lru_cache(KEPT_FILES)(self._parse)

    def of(self, reader: SliceReader, week: WeekKey, number: int) -> ParsedFile:
        """Return the content of a revision; of a merged one, with what it was merged into.

        Raises:
            RebuildError: the archive has not the bytes, or they cannot be parsed.

        """
        record = reader.revision(week, number)
        on = record["ingested_at"]
        on = (on if on.tzinfo else on.replace(tzinfo=UTC)).astimezone(NEW_YORK).date()
        parsed = self._parsed(record["archive_key"], record["source_file"], week, on)
        origin = reader.frame("raw", week, ["source_sha256"], source_revision=number)
        if origin["source_sha256"].nunique() < 2:
            return parsed
        earlier = [r for r in reader.revisions([week])[week] if r.source_revision < number]
        base = newest(earlier)
        if base is None:
            return parsed
        before = self.of(reader, week, base.source_revision)
        return merged(before.rows, base.content_sha256, parsed, record["source"])

    def _parse(self, key: str, name: str, week: WeekKey, day: date) -> ParsedFile:
        try:
            return parse(name, self._archive.get(key), week, day, self._archive.dataset)
        except SourceError as error:
            remedy = (
                f"Put the file {name} back into the source and materialize raw of this partition: "
                "that restores the archive's copy."
            )
            raise RebuildError(week, f"a revision cannot be read again: {error}", remedy) from error


class ArchiveReader(SliceReader):
    """Reads raw and rejects from the archive, and revisions from the store."""

    def __init__(self, reader: SliceReader, contents: Contents) -> None:
        """Read in the transaction of ``reader``."""
        super().__init__(reader.connection, reader.dataset, FrameCache())
        self._store = reader
        self._contents = contents

    def frame(
        self,
        name: str,
        week: WeekKey,
        columns: Sequence[str] | None = None,
        *,
        fresh: bool = False,
        **equal: Any,
    ) -> pd.DataFrame:
        """Return the rows of raw or rejects of one revision, as `SliceReader.frame` does."""
        content = self._contents.of(self._store, week, equal["source_revision"])
        return _rows(self._store, content, table_named(name))[list(columns or [])]


class Afresh(Knowledge):
    """The tables of a slice, none of them read: all are computed from raw."""

    def __init__(self, reader: SliceReader, week: WeekKey, as_of: date | None = None) -> None:
        """Look at ``week`` as known on ``as_of`` (default: newest)."""
        super().__init__(reader, week, as_of)
        self._replaced = set(self.revisions)

    def on(self, day: date) -> Knowledge:
        """Return the same slice as it was known at the end of an earlier day."""
        return Afresh(self.reader, self.week, day)

    def compute(self, name: str, week: WeekKey | None = None) -> pd.DataFrame:
        """Compute a table, with the values that it has when it is read from the store."""
        rows = super().compute(name, week)
        return as_stored(self.reader.connection, table_named(name), rows)


def _rows(reader: SliceReader, content: ParsedFile, table: Table) -> pd.DataFrame:
    """Return the rows that a content gives in raw or rejects, as the store would have them."""
    rows = content.rows[list(ROW_COLUMNS)] if table is RAW else content.rejects
    ordered = rows.sort_values("line_number", ignore_index=True)
    return as_stored(reader.connection, table, ordered)


def _verify(writer: SliceWriter, contents: Contents, number: int) -> None:
    """Raise `RebuildError` unless the archive's bytes of a revision give what the store has."""
    week, content = writer.week, contents.of(writer, writer.week, number)
    differences = []
    for table, names in ((RAW, ROW_COLUMNS), (REJECTS, REJECT_COLUMNS)):
        live = writer.frame(table.name, week, names, fresh=True, source_revision=number)
        days = [name for name in names if table.column(name).type is ColumnType.DATE]
        live = live.assign(**{name: live[name].map(str, na_action="ignore") for name in days})
        columns = [name for name in names if name != "line_number"]
        found = compare_rows(
            table, live, _rows(writer, content, table), columns, key=["line_number"], sides=SIDES
        )
        differences += _differences(table, found)
    record, intake = writer.revision(week, number), content.intake
    said = {
        "content_sha256": content.content_sha256,
        "source_sha256": content.sha256,
        "line_count": intake.line_count,
        "row_count": intake.row_count,
        "reject_count": intake.reject_count,
        "repeat_count": intake.repeat_count,
    }
    wrong = {name: value for name, value in said.items() if record[name] != value}
    if wrong:
        examples = tuple(f"{name}: live {record[name]}, rebuilt {v}" for name, v in wrong.items())
        differences.append(Difference("revisions", 0, 0, dict.fromkeys(wrong, 1), examples))
    if differences:
        problem = f"raw is not what the archive's file of revision {number} gives"
        remedy = (
            "Read it again: materialize raw of this partition with force: true, and with "
            "OTC_SOURCE_URL set to the archive."
        )
        raise RebuildError(week, problem, remedy, differences)


def _tables(known: Knowledge) -> dict[str, pd.DataFrame]:
    """Compute every derived table, inputs first; of the snapshot its whole history."""
    tables = {table.name: known[table.name] for table in output_tables() if table.name != SNAPSHOT}
    known[SNAPSHOT] = known.compute(SNAPSHOT)
    return {**tables, SNAPSHOT: snapshot_history(known.reader, known, quality_then(known))}


def _compare(
    writer: SliceWriter, name: str, rows: pd.DataFrame, known: Knowledge
) -> list[Difference]:
    """Compare the rebuilt rows of a table with the live ones, except for who wrote them, when."""
    table = table_named(name)
    live = in_force(name, writer.frame(name, writer.week, fresh=True))
    rows = rows.assign(**{c: v for c, v in lineage_of(known, name).items() if c not in rows})
    flags = [column.name for column in table.columns if column.type is ColumnType.FLAG]
    # A flag that is null reads as false from the store.
    rows = rows.assign(**{flag: rows[flag].astype("boolean").fillna(False) for flag in flags})
    ours = {column.name for column in (*SLICE, *RUN)} | {"computed_at"}
    key = [column for column in table.key if column not in ours]
    columns = [c.name for c in table.columns if c.name not in {*ours, *key}]
    found = compare_rows(table, live, rows, columns, key=key, sides=SIDES)
    return _differences(table, found)


def _compare_events(
    writer: SliceWriter, known: Knowledge, tables: Mapping[str, pd.DataFrame]
) -> None:
    """Raise `RebuildError` if the newest event of a table tells of other rows or revisions."""
    for name, rows in tables.items():
        for calc in calculations_of(name):
            kind = {"table": name, "calc_version": calc.spec.version}
            told = writer.events.newest(EventType.CALCULATION_COMPLETED, **kind)
            facts = calculation_facts(known, calc.spec, rows)
            if told is not None and told.payload != facts:
                wrong = {k: (told.payload.get(k), v) for k, v in facts.items()}
                said = "; ".join(f"{k} {a}, rebuilt {b}" for k, (a, b) in wrong.items() if a != b)
                remedy = f"Materialize {name} of this partition, which tells of it anew."
                problem = f"the event {told.event_id} tells of {calc.spec.label}: {said}"
                raise RebuildError(writer.week, problem, remedy)


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
    return [Difference(table.name, only_live, only_rebuilt, changed, examples)]


def _example(row: "pd.Series[Any]", changed: Mapping[str, int]) -> str:
    """Return one differing row in words: where it is, and both values of each column."""
    names = list(row.index)
    where = [f"{name} {row[name]}" for name in names[: names.index("found_in")]]
    if "symbol_live" in row:  # of raw, whose key is a line
        symbol = row["symbol_rebuilt"] if pd.isna(row["symbol_live"]) else row["symbol_live"]
        where.insert(0, f"symbol {symbol}")
    if row["found_in"] != "both":
        return f"{', '.join(where)}: only {row['found_in']}"
    pairs = {name: [row[f"{name}_{side}"] for side in SIDES] for name in changed}
    wrong = [
        f"{name} live {_text(live)}, rebuilt {_text(rebuilt)}"
        for name, (live, rebuilt) in pairs.items()
        if _text(live) != _text(rebuilt)
    ]
    return f"{', '.join(where)}: {', '.join(wrong)}"


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex()
    return "null" if pd.isna(value) else str(value)


def _replace(
    writer: SliceWriter,
    known: Knowledge,
    tables: Mapping[str, pd.DataFrame],
    differences: Sequence[Difference],
    explanation: str,
) -> None:
    """Write the tables that differ, with their verdicts, and record why."""
    manifest = writer.manifest(writer.week) or {}
    view = view_of(known, SliceStatus(manifest["status"]), manifest["reason"])
    for name in [difference.table for difference in differences]:
        rules = rules_of(table_named(name))
        verdicts = evaluate(rules, view)
        if broken := broken_of(rules, verdicts):
            why = "; ".join(f"{v.check_name} does not hold: {v.details}" for v in broken)
            remedy = "Correct the calculation: what breaks these rules is never written."
            raise RebuildError(writer.week, f"the rebuilt rows of {name}: {why}", remedy)
        writer.save_verdicts(name, verdicts)
        write_table(writer, known, name, tables[name])
    counts = {difference.table: difference.counts() for difference in differences}
    told = {"reason": explanation, "differences": counts}
    ingested = ingestion_of(writer, known.revisions[known.week].source_revision)
    writer.events.append(EventType.PROJECTION_REBUILT, told, ingested)
