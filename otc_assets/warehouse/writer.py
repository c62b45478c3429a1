"""Writes one slice within one transaction, under its lock."""

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import pandas as pd
import sqlalchemy as sa

from otc_assets.domain.datasets import Dataset
from otc_assets.domain.grains import AnySlice, SliceKey
from otc_assets.domain.quality import QualityCheckResult
from otc_assets.domain.tables import ColumnType, Table, from_lineage
from otc_assets.tracing import current, traced
from otc_assets.warehouse.bulk import insert_frame
from otc_assets.warehouse.cache import FrameCache
from otc_assets.warehouse.events import EventLog
from otc_assets.warehouse.fingerprint import Fingerprints, content_of, fingerprints
from otc_assets.warehouse.names import NO_NAMES, Names
from otc_assets.warehouse.reader import Recall, SliceReader, named, of_slice
from otc_assets.warehouse.schema import rows_of, rows_table

Constant = str | int | date | datetime | None


class OtherRowsError(Exception):
    """Rows are not those that were written: where, and which of the two differ."""


@dataclass(frozen=True)
class RunIds:
    """Who writes: the Dagster run, and the backfill or root run that it is part of."""

    execution_id: str
    correlation_id: str


@dataclass(frozen=True)
class Batch:
    """One atomic write of one slice, and its moment."""

    run: RunIds
    batch_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def columns(self, time_column: str) -> dict[str, Constant]:
        """Return the lineage columns of a row that this write makes."""
        return {
            "execution_id": self.run.execution_id,
            "batch_id": self.batch_id,
            "correlation_id": self.run.correlation_id,
            time_column: self.at,
        }


class SliceWriter(SliceReader):
    """Writes one slice within one transaction, under its lock."""

    def __init__(
        self,
        connection: sa.Connection,
        dataset: Dataset,
        cache: FrameCache,
        recall: Recall,
        week: SliceKey,
        batch: Batch,
        names: Names = NO_NAMES,
    ) -> None:
        """Write ``week`` of ``dataset`` through ``connection``, as ``batch``."""
        super().__init__(connection, dataset, cache, recall, names)
        self.week: AnySlice = week
        self.batch = batch
        self.events = EventLog(connection, dataset, week, batch.columns("created_at"))
        self._fingerprints: dict[str, Fingerprints] | None = None

    def close(self) -> None:
        """Store what was told, and put into the manifest what it does not say yet of the rows."""
        self.events.flush()
        if self._fingerprints is not None and self.manifest(self.week):
            self.save_manifest()

    @traced("write")
    def replace(
        self,
        name: str,
        frame: pd.DataFrame,
        constants: Mapping[str, Constant],
        *,
        keep_versions: Collection[str] = (),
        **scope: Any,
    ) -> None:
        """Replace the slice's rows in a table (those with the values of ``scope``) by a frame.

        Rows of ``keep_versions`` of a calculation stay: it is retired, and gives no new ones.
        """
        table = self.table(name)
        current().set(table=name, rows=len(frame), revision=constants.get("source_revision"))
        self._remove(name, keep_versions, **scope)
        numbers = self._save_lineage(table, frame, constants)
        self._insert(table, frame.assign(slice=self.week.number, lineage_number=numbers))
        self._prints_of(name).update(fingerprints(table, frame, constants))
        rows = (name, self.week, frozenset(scope.items()))
        self._cache.put(rows, table, (self.batch.batch_id, len(frame)), frame)

    def _insert(self, table: Table, rows: pd.DataFrame) -> None:
        """Insert rows of a table, with the number of each name in its place."""
        if columns := _names_in(table, rows):
            numbers = self.names.numbers(rows[name] for name in columns)
            rows = rows.assign(**dict(zip(columns, numbers, strict=True)))
        target = rows_table(table.name, self.dataset)
        insert_frame(self.connection, rows_of(table), target, rows)

    def enter_names(self, name: str, frames: Iterable[pd.DataFrame]) -> None:
        """Enter the names of all frames that are to be written into a table, at once.

        Who enters some, and more of them later, may have what another slice's transaction waits
        for, and wait for what that one has.
        """
        table = self.table(name)
        self.names.numbers(rows[each] for rows in frames for each in _names_in(table, rows))

    def remove_version(self, name: str, version: str) -> int:
        """Remove the slice's rows of one version of a calculation; return how many they were."""
        count = self.count(name, self.week, calc_version=version)
        self._remove(name, calc_version=version)
        return count

    def prune(self, name: str, **scope: Any) -> int:
        """Delete rows of the slice that `Recall` has given again; return how many they were.

        Their lineage stays, and says so.

        Args:
            name: the table.
            scope: its revision, or version, whose rows they are.

        Raises:
            OtherRowsError: they are not the rows that were written, or are not given again.

        """
        numbers = [row["lineage_number"] for row in self.lineage(name, self.week, **scope)]
        stored = self._fingerprint(name, scope)
        self._mark(name, numbers, self.batch.at)
        self._hold(name, stored, scope, "the store has other rows than were written")
        again = self._fingerprint(name, scope)
        self._hold(name, again, scope, "the archive gives other rows than the store has")
        target = rows_table(name, self.dataset)
        mine = sa.and_(target.c.slice == self.week.number, target.c.lineage_number.in_(numbers))
        return self.connection.execute(sa.delete(target).where(mine)).rowcount

    def restore(self, name: str, **scope: Any) -> int:
        """Insert rows again that were pruned, under their own lineage; return how many they are.

        Arguments are those of `prune`.

        Raises:
            OtherRowsError: they are not the rows that were pruned.

        """
        lineage = self.lineage(name, self.week, **scope)
        rows = self.recall(self, name, self.week, lineage).assign(slice=self.week.number)
        self._insert(self.table(name), rows)
        self._mark(name, [row["lineage_number"] for row in lineage], None)
        restored = self._fingerprint(name, scope)
        self._hold(name, restored, scope, "the archive gives other rows than were pruned")
        return len(rows)

    def _mark(self, name: str, numbers: Sequence[int], pruned_at: datetime | None) -> None:
        target = self.sql_table("lineage")
        mine = sa.and_(target.c.slice == self.week.number, target.c.lineage_number.in_(numbers))
        self.connection.execute(sa.update(target).where(mine).values(pruned_at=pruned_at))

    def _fingerprint(self, name: str, scope: Mapping[str, Any]) -> Fingerprints:
        """Return the fingerprint of rows as they are read, wherever they are."""
        table = self.table(name)
        columns = content_of(table)
        return fingerprints(table, self.frame(name, self.week, columns, fresh=True, **scope))

    def _hold(
        self, name: str, found: Fingerprints, scope: Mapping[str, Any], otherwise: str
    ) -> None:
        """Raise `OtherRowsError` if a fingerprint is not that of the manifest, which gets it."""
        kept = self._prints_of(name)
        for part, print_ in found.items():
            if kept.setdefault(part, print_) != print_:
                where = " ".join(f"{column} {value}" for column, value in scope.items())
                raise OtherRowsError(f"{name}, {where}: {otherwise}")

    def _prints_of(self, name: str) -> Fingerprints:
        """Return the fingerprints of a table of the slice, to be changed."""
        if self._fingerprints is None:
            manifest = self.manifest(self.week) or {}
            self._fingerprints = manifest.get("fingerprints") or {}
        return self._fingerprints.setdefault(name, {})

    def _remove(self, name: str, keep_versions: Collection[str] = (), **scope: Any) -> None:
        prints, removed = self._prints_of(name), {str(value) for value in scope.values()}
        for part in (removed or set(prints)) - set(keep_versions):
            prints.pop(part, None)
        numbers = [
            record["lineage_number"]
            for record in self.lineage(name, self.week, **scope)
            if record["calc_version"] not in keep_versions
        ]
        if not numbers:
            return
        for target in (rows_table(name, self.dataset), self.sql_table("lineage")):
            mine = sa.and_(target.c.slice == self.week.number, target.c.lineage_number.in_(numbers))
            self.connection.execute(sa.delete(target).where(mine))

    def _save_lineage(
        self, table: Table, frame: pd.DataFrame, constants: Mapping[str, Constant]
    ) -> "int | pd.Series[int]":
        """Insert the lineage that the rows of a frame have, and return its number of each row.

        Raises:
            ValueError: a column of the table is neither in the frame nor among the constants.

        """
        kept = from_lineage(table)
        mine = [column for column in table.columns if column.name in kept]
        varying = [column for column in mine if column.name in frame]
        moment = next(c.name for c in mine if kept[c.name] == "written_at")
        shared = {*constants, *self._slice(), *self.batch.columns(moment)} & {*kept}
        if unknown := {column.name for column in table.columns} - {*frame.columns, *shared}:
            raise ValueError(f"{table.name}: no value for {', '.join(sorted(unknown))}")
        if frame.empty:
            return 0
        target = self.sql_table("lineage")
        newest = sa.select(sa.func.max(target.c.lineage_number))
        last = newest.where(target.c.slice == self.week.number)
        first = (self.connection.execute(last).scalar_one() or 0) + 1
        own: list[dict[Any, Any]] = [{}]
        numbers: int | pd.Series[int] = first
        counts = [len(frame)]
        names = [column.name for column in varying]
        if names and all((frame[name] == frame[name].iloc[0]).all() for name in names):
            own = frame[names].iloc[:1].to_dict("records")  # mostly so, and cheaper than groups
        elif names:
            groups = frame.groupby(names)
            numbers = groups.ngroup() + first
            sizes = groups.size()
            counts = sizes.tolist()
            own = sizes.index.to_frame().to_dict("records")
        records = []
        for number, (values, count) in enumerate(zip(own, counts, strict=True), start=first):
            values |= {
                column.name: date.fromisoformat(values[column.name])
                for column in varying
                if column.type is ColumnType.DATE and isinstance(values[column.name], str)
            }
            record = {
                "slice": self.week.number,
                "lineage_number": number,
                "table_name": table.name,
                "row_count": count,
                **constants,
                **values,
            }
            records.append(record)
        self.insert_records("lineage", records, "written_at")
        return numbers

    def forget_revision(self, number: int) -> None:
        """Delete a revision of the slice, if there is one of that number; the archive keeps it."""
        for name in ("raw", "rejects"):
            self._remove(name, source_revision=number)
        target = self.sql_table("revisions")
        mine = sa.and_(of_slice(target, self.week), target.c.source_revision == number)
        self.connection.execute(sa.delete(target).where(mine))

    def save_dead_letter(self, error: str, archive_key: str | None) -> None:
        """Record that the slice could not be taken in, once more."""
        before = next(iter(self.records("dead_letters", self.week)), None)
        self.clear_dead_letter()
        record = {
            "error": error,
            "attempts": before["attempts"] + 1 if before else 1,
            "archive_key": archive_key,
            "first_failed_at": before["first_failed_at"] if before else self.batch.at,
        }
        self.insert_records("dead_letters", [record], "failed_at")

    def clear_dead_letter(self) -> None:
        """Record that the slice has been taken in."""
        target = self.sql_table("dead_letters")
        self.connection.execute(sa.delete(target).where(of_slice(target, self.week)))

    def insert_records(
        self, name: str, records: Sequence[Mapping[str, Any]], time_column: str
    ) -> None:
        """Insert rows of a store table; slice and lineage are filled in."""
        shared = {**self._slice(), **self.batch.columns(time_column)}
        if records:
            values = [{**shared, **record} for record in records]
            self.connection.execute(sa.insert(self.sql_table(name)), values)

    def save_manifest(self, **changes: Any) -> dict[str, Any]:
        """Change columns of the slice's manifest row, and return the whole row.

        The fingerprints of the rows that were written since are entered too.
        """
        target = self.sql_table("manifest")
        row = {**(self.manifest(self.week) or {}), **self._slice(), **changes}
        if self._fingerprints is not None:
            row["fingerprints"], self._fingerprints = self._fingerprints, None
        row |= self.batch.columns("updated_at")
        self.connection.execute(sa.delete(target).where(of_slice(target, self.week)))
        self.connection.execute(sa.insert(target).values(row))
        return row

    def save_verdicts(self, table_name: str, results: Sequence[QualityCheckResult]) -> None:
        """Replace all verdicts on one table of the slice."""
        target = self.sql_table("quality_checks")
        mine = sa.and_(of_slice(target, self.week), target.c.table_name == table_name)
        self.connection.execute(sa.delete(target).where(mine))
        self._insert_verdicts(table_name, results)

    def renew_verdicts(self, table_name: str, results: Sequence[QualityCheckResult]) -> None:
        """Replace the verdicts of some rules on one table of the slice; the others stay."""
        target = self.sql_table("quality_checks")
        rules = [result.check_name for result in results]
        mine = sa.and_(of_slice(target, self.week), target.c.table_name == table_name)
        self.connection.execute(sa.delete(target).where(mine, target.c.rule.in_(rules)))
        self._insert_verdicts(table_name, results)

    def _insert_verdicts(self, table_name: str, results: Sequence[QualityCheckResult]) -> None:
        records = [
            {
                "table_name": table_name,
                "rule": result.check_name,
                "passed": result.passed,
                "severity": result.severity.value,
                "is_expected": result.is_expected,
                "details": result.details,
            }
            for result in results
        ]
        self.insert_records("quality_checks", records, "checked_at")

    def _slice(self) -> dict[str, Constant]:
        return named(self.week)


def _names_in(table: Table, rows: pd.DataFrame) -> list[str]:
    return [column.name for column in table.columns if column.is_name and column.name in rows]
