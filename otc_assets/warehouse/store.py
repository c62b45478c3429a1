"""The store: a slice is read, and written whole or not at all.

Every write of a slice goes through `Warehouse.write`: one transaction under the slice's lock, in
which rows, rejects, verdicts, events and the manifest change together.
"""

import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa

from otc_assets.calculations import output_tables
from otc_assets.domain.datasets import ATS, Dataset
from otc_assets.domain.quality import QualityCheckResult
from otc_assets.domain.revisions import Revision
from otc_assets.domain.tables import (
    LINEAGE_COLUMN,
    STORE_TABLES,
    ColumnType,
    Table,
)
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.warehouse.bulk import as_series, insert_frame, select_frame
from otc_assets.warehouse.cache import FrameCache
from otc_assets.warehouse.engine import create_engine, write_transaction
from otc_assets.warehouse.migrate import ensure_partitions, migrate
from otc_assets.warehouse.schema import rows_of, rows_table, sql_table

Constant = str | int | date | datetime | None


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


@dataclass(frozen=True)
class Stored:
    """How a slice stands in the store."""

    source_revision: int | None
    """Its newest revision; None if it has no content."""
    source_version: str | None
    """What the source offered of it when it was last read; None if it is to be read again."""


def table_named(name: str) -> Table:
    """Return the description of a table (KeyError if there is none)."""
    return {table.name: table for table in (*STORE_TABLES, *output_tables())}[name]


class SliceReader:
    """Reads within one transaction."""

    def __init__(self, connection: sa.Connection, dataset: Dataset, cache: FrameCache) -> None:
        """Read the tables of ``dataset`` through ``connection``, or what ``cache`` has of them."""
        self.connection = connection
        self.dataset = dataset
        self._cache = cache

    def sql_table(self, name: str) -> sa.Table:
        """Return a table of the reader's dataset, given its plain name."""
        return sql_table(name, self.dataset)

    def frame(
        self,
        name: str,
        week: WeekKey,
        columns: Sequence[str] | None = None,
        *,
        fresh: bool = False,
        **equal: Any,
    ) -> pd.DataFrame:
        """Return rows of one slice in the order of their key, without week_ending and tier.

        Args:
            name: the table.
            week: the slice.
            columns: which ones (default: all).
            fresh: read them from the store, also where this process has written them.
            equal: further columns, and the value that each must have.

        """
        table = table_named(name)
        names = columns or [c.name for c in table.columns if c.name not in ("week_ending", "tier")]
        lineage = self._lineage(name, week, **equal)
        writes = {record["batch_id"] for record in lineage}
        if fresh or len(writes) != 1:
            return self._stored(table, week, names, lineage)
        rows = (name, week, frozenset(equal.items()))
        state = writes.pop(), sum(record["row_count"] for record in lineage)
        cached = self._cache.get(rows, state)
        if cached is None or not set(names) <= set(cached):
            cached = self._stored(table, week, names, lineage)
            self._cache.keep(rows, state, cached)
        return cached[list(names)]

    def _stored(
        self, table: Table, week: WeekKey, names: Sequence[str], lineage: list[dict[str, Any]]
    ) -> pd.DataFrame:
        if not lineage:
            return pd.DataFrame({name: as_series([], table.column(name).type) for name in names})
        rows, target = rows_of(table), rows_table(table.name, self.dataset)
        numbers = [record["lineage_number"] for record in lineage]
        several = len(lineage) > 1
        key = [name for name in table.key if name not in ("week_ending", "tier")]
        wanted = [*names, *(set(key) - set(names))] if several else list(names)
        own = [name for name in wanted if name not in LINEAGE_COLUMN]
        found = select_frame(
            self.connection,
            rows,
            target,
            ["lineage_number", *own] if several or not own else own,
            target.c.slice == week.number,
            target.c.lineage_number.in_(numbers),
            order_by=rows.key,
        )
        of_row = np.searchsorted(numbers, found["lineage_number"]) if several else [0] * len(found)
        for name in (name for name in wanted if name in LINEAGE_COLUMN):
            values = [record[LINEAGE_COLUMN[name]] for record in lineage]
            shared = as_series(values, table.column(name).type)
            found[name] = shared.take(of_row).reset_index(drop=True)
        if several:
            found = found.sort_values(key, ignore_index=True)
        return found[list(names)]

    def _lineage(self, name: str, week: WeekKey, **equal: Any) -> list[dict[str, Any]]:
        """Return the lineage of a slice's rows in a table, in the order of their numbers."""
        target = self.sql_table("lineage")
        query = sa.select(target).where(
            target.c.slice == week.number,
            target.c.table_name == name,
            *(target.c[column] == value for column, value in equal.items()),
        )
        rows = self.connection.execute(query.order_by(target.c.lineage_number))
        return [dict(row) for row in rows.mappings()]

    def count(self, name: str, week: WeekKey, **equal: Any) -> int:
        """Return the number of rows of one slice, whose lineage has the values of ``equal``."""
        return sum(record["row_count"] for record in self._lineage(name, week, **equal))

    def slices_with(self, name: str, **equal: Any) -> list[WeekKey]:
        """Return the slices that have rows in a table whose lineage is ``equal``, oldest first."""
        target = self.sql_table("lineage")
        query = sa.select(target.c.tier, target.c.week_ending).distinct()
        rows = self.connection.execute(
            query.where(
                target.c.table_name == name,
                *(target.c[column] == value for column, value in equal.items()),
            )
        )
        found = [WeekKey(Tier(row.tier), row.week_ending) for row in rows]
        return sorted(found, key=lambda week: (week.week_ending, week.tier))

    def records(self, name: str, week: WeekKey) -> list[dict[str, Any]]:
        """Return the few rows that a slice has in a store table, as dicts, in key order."""
        table, target = table_named(name), self.sql_table(name)
        query = (
            sa.select(target).where(_of(target, week)).order_by(*(target.c[k] for k in table.key))
        )
        return [dict(row) for row in self.connection.execute(query).mappings()]

    def manifest(self, week: WeekKey) -> dict[str, Any] | None:
        """Return the manifest row of a slice, None before its first write."""
        return next(iter(self.records("manifest", week)), None)

    def revisions(self, weeks: Sequence[WeekKey]) -> dict[WeekKey, list[Revision]]:
        """Return every revision of each of some slices of one tier."""
        target = self.sql_table("revisions")
        query = sa.select(target).where(
            target.c.tier == weeks[0].tier.value,
            target.c.week_ending.in_([week.week_ending for week in weeks]),
        )
        found: dict[WeekKey, list[Revision]] = {week: [] for week in weeks}
        for row in self.connection.execute(query.order_by(target.c.source_revision)):
            revision = Revision(
                row.source_revision, row.revision_date, row.content_sha256, row.as_of_source
            )
            found[WeekKey(Tier(row.tier), row.week_ending)].append(revision)
        return found

    def revision(self, week: WeekKey, number: int) -> dict[str, Any]:
        """Return one row of the table revisions."""
        return next(r for r in self.records("revisions", week) if r["source_revision"] == number)

    def slices(self) -> dict[WeekKey, Stored]:
        """Return every slice that the store knows of, and how it stands."""
        target = self.sql_table("manifest")
        query = sa.select(
            target.c.tier, target.c.week_ending, target.c.source_revision, target.c.source_version
        )
        return {
            WeekKey(Tier(row.tier), row.week_ending): Stored(
                row.source_revision, row.source_version
            )
            for row in self.connection.execute(query)
        }

    def loaded_slices(self) -> list[WeekKey]:
        """Return every slice that has content."""
        return [week for week, stored in self.slices().items() if stored.source_revision]

    def dead_letters(self) -> list[dict[str, Any]]:
        """Return the slices that could not be taken in, one row each, by week and tier."""
        target = self.sql_table("dead_letters")
        query = sa.select(target).order_by(target.c.week_ending, target.c.tier)
        return [dict(row) for row in self.connection.execute(query).mappings()]

    def dead_slices(self) -> list[WeekKey]:
        """Return the slices of `dead_letters`."""
        return [WeekKey(Tier(row["tier"]), row["week_ending"]) for row in self.dead_letters()]

    def weeks_of(self, name: str, tier: Tier, first: date, last: date) -> list[date]:
        """Return the weeks of a tier, ``first`` to ``last``, that have rows in a table."""
        target = self.sql_table("manifest")
        query = sa.select(target.c.week_ending, target.c.row_counts).where(
            target.c.tier == tier.value, target.c.week_ending.between(first, last)
        )
        rows = self.connection.execute(query).all()
        return sorted(week for week, counts in rows if counts.get(name))


class SliceWriter(SliceReader):
    """Writes one slice within one transaction, under its lock."""

    def __init__(
        self,
        connection: sa.Connection,
        dataset: Dataset,
        cache: FrameCache,
        week: WeekKey,
        batch: Batch,
    ) -> None:
        """Write ``week`` of ``dataset`` through ``connection``, as ``batch``."""
        super().__init__(connection, dataset, cache)
        self.week = week
        self.batch = batch

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
        table, target = table_named(name), rows_table(name, self.dataset)
        self._remove(name, keep_versions, **scope)
        numbers = self._save_lineage(table, frame, constants)
        own = frame.assign(slice=self.week.number, lineage_number=numbers)
        insert_frame(self.connection, rows_of(table), target, own)
        rows = (name, self.week, frozenset(scope.items()))
        self._cache.put(rows, table, (self.batch.batch_id, len(frame)), frame)

    def remove_version(self, name: str, version: str) -> int:
        """Remove the slice's rows of one version of a calculation; return how many they were."""
        count = self.count(name, self.week, calc_version=version)
        self._remove(name, calc_version=version)
        return count

    def _remove(self, name: str, keep_versions: Collection[str] = (), **scope: Any) -> None:
        numbers = [
            record["lineage_number"]
            for record in self._lineage(name, self.week, **scope)
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
        mine = [column for column in table.columns if column.name in LINEAGE_COLUMN]
        varying = [column for column in mine if column.name in frame]
        moment = next(c.name for c in mine if LINEAGE_COLUMN[c.name] == "written_at")
        shared = {*constants, *self._slice(), *self.batch.columns(moment)} & {*LINEAGE_COLUMN}
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
        if varying:
            groups = frame.groupby([column.name for column in varying])
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
        mine = sa.and_(_of(target, self.week), target.c.source_revision == number)
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
        self.connection.execute(sa.delete(target).where(_of(target, self.week)))

    def insert_records(
        self, name: str, records: Sequence[Mapping[str, Any]], time_column: str
    ) -> None:
        """Insert rows of a store table; slice and lineage are filled in."""
        shared = {**self._slice(), **self.batch.columns(time_column)}
        if records:
            values = [{**shared, **record} for record in records]
            self.connection.execute(sa.insert(self.sql_table(name)), values)

    def save_manifest(self, **changes: Any) -> dict[str, Any]:
        """Change columns of the slice's manifest row, and return the whole row."""
        target = self.sql_table("manifest")
        row = {**(self.manifest(self.week) or {}), **self._slice(), **changes}
        row |= self.batch.columns("updated_at")
        self.connection.execute(sa.delete(target).where(_of(target, self.week)))
        self.connection.execute(sa.insert(target).values(row))
        return row

    def save_verdicts(self, table_name: str, results: Sequence[QualityCheckResult]) -> None:
        """Replace all verdicts on one table of the slice."""
        target = self.sql_table("quality_checks")
        mine = sa.and_(_of(target, self.week), target.c.table_name == table_name)
        self.connection.execute(sa.delete(target).where(mine))
        self._insert_verdicts(table_name, results)

    def renew_verdicts(self, table_name: str, results: Sequence[QualityCheckResult]) -> None:
        """Replace the verdicts of some rules on one table of the slice; the others stay."""
        target = self.sql_table("quality_checks")
        rules = [result.check_name for result in results]
        mine = sa.and_(_of(target, self.week), target.c.table_name == table_name)
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

    def append_event(self, event_type: str, payload: Mapping[str, Any]) -> None:
        """Append what happened; its cause is the slice's event before it in the same run."""
        events = self.sql_table("events")
        before = (
            sa.select(events.c.event_id)
            .where(
                _of(events, self.week),
                events.c.correlation_id == self.batch.run.correlation_id,
            )
            .order_by(events.c.event_number.desc())
            .limit(1)
        )
        record = {
            "event_id": str(uuid.uuid4()),
            "event_type": event_type,
            "payload": dict(payload),
            "causation_id": self.connection.execute(before).scalar_one_or_none(),
        }
        self.insert_records("events", [record], "created_at")

    def _slice(self) -> dict[str, Constant]:
        return {"week_ending": self.week.week_ending, "tier": self.week.tier.value}


class Warehouse:
    """The tables of one dataset in a database, created and migrated on first use."""

    def __init__(self, url: str, dataset: Dataset = ATS) -> None:
        """Use the database at ``url``; nothing is opened yet."""
        self.url = url
        self.dataset = dataset
        self._cache = FrameCache()
        self._years: set[int] = set()

    @cached_property
    def engine(self) -> sa.Engine:
        """The engine of a database that has the schema of this version."""
        engine = create_engine(self.url)
        migrate(engine, self.dataset)
        return engine

    def sql_table(self, name: str) -> sa.Table:
        """Return a table of the dataset, given its plain name."""
        return sql_table(name, self.dataset)

    @contextmanager
    def read(self) -> Iterator[SliceReader]:
        """Open a transaction that only reads."""
        with self.engine.connect() as connection, connection.begin():
            yield SliceReader(connection, self.dataset, self._cache)

    @contextmanager
    def write(self, week: WeekKey, run: RunIds) -> Iterator[SliceWriter]:
        """Open the one transaction in which a slice changes, under the slice's lock.

        All of it is kept, or, after an error or a kill, none of it.
        """
        engine, year = self.engine, week.week_ending.year
        if engine.dialect.name == "postgresql" and year not in self._years:
            ensure_partitions(engine, self.dataset, year)
            self._years.add(year)
        with write_transaction(engine, self.dataset.table_name(str(week))) as connection:
            yield SliceWriter(connection, self.dataset, self._cache, week, Batch(run))


def _of(table: sa.Table, week: WeekKey) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.week_ending == week.week_ending, table.c.tier == week.tier.value)
