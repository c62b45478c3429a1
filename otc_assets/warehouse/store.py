"""The store: a slice is read, and written whole or not at all.

Every write of a slice goes through `Warehouse.write`: one transaction under the slice's lock, in
which rows, rejects, verdicts, events and the manifest change together.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Any

import pandas as pd
import sqlalchemy as sa

from otc_assets.calculations import output_tables
from otc_assets.domain.datasets import ATS, Dataset
from otc_assets.domain.quality import QualityCheckResult
from otc_assets.domain.revisions import Revision
from otc_assets.domain.tables import STORE_TABLES, Table
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.warehouse.bulk import Constant, insert_frame, select_frame
from otc_assets.warehouse.cache import FrameCache
from otc_assets.warehouse.engine import create_engine, write_transaction
from otc_assets.warehouse.migrate import ensure_partitions, migrate
from otc_assets.warehouse.schema import sql_table


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
        table, target = table_named(name), self.sql_table(name)
        names = columns or [c.name for c in table.columns if c.name not in ("week_ending", "tier")]
        where = [_of(target, week), *(target.c[c] == value for c, value in equal.items())]
        if not fresh:
            newest_write = sa.select(target.c.batch_id).where(*where).limit(1)
            batch_id = self.connection.execute(newest_write).scalar_one_or_none()
            cached = self._cache.get((name, week, frozenset(equal.items())), batch_id)
            if cached is not None and set(names) <= set(cached):
                return cached[list(names)]
        return select_frame(self.connection, table, target, names, *where, order_by=table.key)

    def count(self, name: str, week: WeekKey) -> int:
        """Return the number of rows of one slice."""
        target = self.sql_table(name)
        query = sa.select(sa.func.count()).select_from(target).where(_of(target, week))
        return self.connection.execute(query).scalar_one()

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
        **scope: Any,
    ) -> None:
        """Replace the slice's rows in a table (those with the values of ``scope``) by a frame."""
        table, target = table_named(name), self.sql_table(name)
        where = [_of(target, self.week), *(target.c[c] == value for c, value in scope.items())]
        self.connection.execute(sa.delete(target).where(*where))
        moment = next(c for c in ("computed_at", "ingested_at", "checked_at") if c in target.c)
        values = {**self._slice(), **self.batch.columns(moment), **constants}
        insert_frame(self.connection, table, target, frame, values)
        rows = (name, self.week, frozenset(scope.items()))
        self._cache.put(rows, table, self.batch.batch_id, frame)

    def forget_revision(self, number: int) -> None:
        """Delete a revision of the slice, if there is one of that number; the archive keeps it."""
        for name in ("raw", "rejects", "revisions"):
            target = self.sql_table(name)
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
        self.insert_record("dead_letters", record, "failed_at")

    def clear_dead_letter(self) -> None:
        """Record that the slice has been taken in."""
        target = self.sql_table("dead_letters")
        self.connection.execute(sa.delete(target).where(_of(target, self.week)))

    def insert_record(self, name: str, record: Mapping[str, Any], time_column: str) -> None:
        """Insert one row of a store table; slice and lineage are filled in."""
        values = {**self._slice(), **self.batch.columns(time_column), **record}
        self.connection.execute(sa.insert(self.sql_table(name)).values(values))

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
        for result in results:
            record = {
                "table_name": table_name,
                "rule": result.check_name,
                "passed": result.passed,
                "severity": result.severity.value,
                "is_expected": result.is_expected,
                "details": result.details,
            }
            self.insert_record("quality_checks", record, "checked_at")

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
        self.insert_record("events", record, "created_at")

    def _slice(self) -> dict[str, Constant]:
        return {"week_ending": self.week.week_ending, "tier": self.week.tier.value}


class Warehouse:
    """The tables of one dataset in a database, created and migrated on first use."""

    def __init__(self, url: str, dataset: Dataset = ATS) -> None:
        """Use the database at ``url``; nothing is opened yet."""
        self.url = url
        self.dataset = dataset
        self._cache = FrameCache()

    @cached_property
    def engine(self) -> sa.Engine:
        """The engine of a database that has the schema of this version."""
        engine = create_engine(self.url)
        migrate(engine, self.dataset)
        return engine

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
        engine = self.engine
        if engine.dialect.name == "postgresql":
            ensure_partitions(engine, self.dataset, week.week_ending)
        with write_transaction(engine, self.dataset.table_name(str(week))) as connection:
            yield SliceWriter(connection, self.dataset, self._cache, week, Batch(run))


def _of(table: sa.Table, week: WeekKey) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.week_ending == week.week_ending, table.c.tier == week.tier.value)
