"""Rebuilds a slice's derived tables from the archive, and compares before anything is replaced.

The archive's bytes are parsed again and must give the rows of raw. From them every derived table is
computed beside the live one, which stays unless somebody explains the difference. All of it is one
transaction under the lock of the slice: who writes at the same time waits, and writes afterwards.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from otc_assets.calculations import calculations_of
from otc_assets.domain.events import EventType
from otc_assets.domain.grains import SliceKey, oldest_first
from otc_assets.domain.quality import SliceStatus
from otc_assets.domain.rules import evaluate, rules_of
from otc_assets.operations.derive import broken_of, write_table
from otc_assets.operations.events import calculation_facts, ingestion_of
from otc_assets.operations.frames import Knowledge, view_of
from otc_assets.operations.recall import ArchiveReader, Contents, UnreadableError
from otc_assets.operations.recompute import (
    Afresh,
    Difference,
    compare_derived,
    compare_revision,
    derived_tables,
)
from otc_assets.operations.snapshot import closing_table
from otc_assets.sources.archive import Archive
from otc_assets.warehouse.store import Warehouse
from otc_assets.warehouse.writer import RunIds, SliceWriter


@dataclass(frozen=True)
class Rebuild:
    """What became of one slice: nothing differs, or the difference was explained."""

    week: SliceKey
    rows: Mapping[str, int]
    """The rows that were rebuilt of each table."""
    differences: tuple[Difference, ...] = ()
    """What has been replaced; none if every table was equal, and so left alone."""


class RebuildError(Exception):
    """A slice that was left as it was: what does not agree, where, and what to do."""

    def __init__(
        self, week: SliceKey, problem: str, remedy: str, differences: Sequence[Difference] = ()
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
        loaded = oldest_first(reader.loaded_slices())
        closing = closing_table(warehouse.dataset)
        slices = [w for w in loaded if closing in (reader.manifest(w) or {})["row_counts"]]
    for week in slices:
        try:
            yield _rebuild(warehouse, contents, week, run, accept_difference)
        except RebuildError as error:
            yield error


def rebuild(
    warehouse: Warehouse,
    archive: Archive,
    week: SliceKey,
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
    warehouse: Warehouse, contents: Contents, week: SliceKey, run: RunIds, explanation: str
) -> Rebuild:
    with warehouse.write(week, run) as writer:
        manifest, closing = writer.manifest(week), closing_table(writer.dataset)
        if manifest is None or closing not in manifest["row_counts"]:
            why = (manifest or {}).get("reason") or "it was never computed"
            remedy = f"Materialize {closing} of it first."
            raise RebuildError(week, f"there is no {closing} to rebuild: {why}", remedy)
        for number in [record["source_revision"] for record in writer.records("revisions", week)]:
            _verify(writer, contents, number)
        known = Afresh(ArchiveReader(writer, contents), week)
        try:
            tables = derived_tables(known)
        except UnreadableError as error:
            raise _unreadable(error) from error
        differences = [
            difference
            for name, rows in tables.items()
            for difference in compare_derived(
                known, name, writer.frame(name, week, fresh=True), rows
            )
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


def _verify(writer: SliceWriter, contents: Contents, number: int) -> None:
    """Raise `RebuildError` unless the archive's bytes of a revision give what the store has."""
    week = writer.week
    try:
        content = contents.of(writer, week, number)
    except UnreadableError as error:
        raise _unreadable(error) from error
    if differences := compare_revision(writer, week, content, number):
        problem = f"raw is not what the archive's file of revision {number} gives"
        remedy = (
            "Read it again: materialize raw of this partition with force: true, and with "
            "OTC_SOURCE_URL set to the archive."
        )
        raise RebuildError(week, problem, remedy, differences)


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


def _unreadable(error: UnreadableError) -> RebuildError:
    remedy = (
        f"Put the file {error.name} back into the source and materialize raw of this partition: "
        "that restores the archive's copy."
    )
    return RebuildError(error.week, f"a revision cannot be read again: {error}", remedy)


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
        rules = rules_of(writer.table(name))
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
