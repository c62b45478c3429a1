"""Reads slices within one transaction: rows as frames, and what the store keeps beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

import numpy as np
import pandas as pd
import sqlalchemy as sa

from otc_assets.calculations import derived_tables_of
from otc_assets.domain.datasets import ATS, Dataset
from otc_assets.domain.grains import AnySlice, SliceKey, oldest_first
from otc_assets.domain.offers import Offers
from otc_assets.domain.revisions import Revision
from otc_assets.domain.tables import Table, from_lineage
from otc_assets.warehouse.bulk import as_series, select_frame
from otc_assets.warehouse.cache import FrameCache
from otc_assets.warehouse.engine import StoreError
from otc_assets.warehouse.listings import offers_of
from otc_assets.warehouse.names import NO_NAMES, NameBook, Names
from otc_assets.warehouse.schema import rows_of, rows_table, sql_table


@dataclass(frozen=True)
class Stored:
    """How a slice stands in the store."""

    source_revision: int | None
    """Its newest revision; None if it has no content."""
    source_version: str | None
    """What the source offered of it when it was last read; None if it is to be read again."""


class Recall(Protocol):
    """Gives rows again that retention has removed from the store."""

    def __call__(
        self, reader: "SliceReader", name: str, week: SliceKey, lineage: Sequence[Mapping[str, Any]]
    ) -> pd.DataFrame:
        """Return the rows of a slice in a table that have some lineage, as they were stored.

        One row per row: ``lineage_number``, and the columns that the table's rows have of their
        own, in no order.
        """


def no_recall(
    reader: "SliceReader", name: str, week: SliceKey, lineage: Sequence[Mapping[str, Any]]
) -> pd.DataFrame:
    """Refuse: the reader knows no archive.

    Raises:
        StoreError: always.

    """
    raise StoreError(
        f"the archive alone keeps the rows of {name} of {week}: `otc restore` brings them back"
    )


def table_named(name: str, dataset: Dataset = ATS) -> Table:
    """Return the description of a dataset's table (KeyError if there is none)."""
    tables = (*dataset.store_tables, *derived_tables_of(dataset))
    return {table.name: table for table in tables}[name]


def of_slice(table: sa.Table, week: SliceKey) -> sa.ColumnElement[bool]:
    """Return the condition that picks a slice's rows of a table."""
    return sa.and_(*(table.c[name] == value for name, value in named(week).items()))


def named(week: SliceKey) -> dict[str, Any]:
    """Return the columns that name a slice in each table of its dataset, and their values."""
    return {week.slicing.grain.column.name: week.period, "tier": str(week.section)}


class SliceReader:
    """Reads within one transaction."""

    def __init__(
        self,
        connection: sa.Connection,
        dataset: Dataset,
        cache: FrameCache,
        recall: Recall = no_recall,
        names: Names = NO_NAMES,
    ) -> None:
        """Read the tables of ``dataset`` through ``connection``, or what ``cache`` has of them.

        Rows that retention has removed come from ``recall``, and ``names`` need not be read again.
        """
        self.connection = connection
        self.dataset = dataset
        self.recall = recall
        self.names = NameBook(connection, names)
        self._cache = cache

    def sql_table(self, name: str) -> sa.Table:
        """Return a table of the reader's dataset, given its plain name."""
        return sql_table(name, self.dataset)

    def table(self, name: str) -> Table:
        """Return the description of one of them."""
        return table_named(name, self.dataset)

    def _slice_columns(self, target: sa.FromClause) -> tuple[Any, ...]:
        """Return the columns of a table that name a slice: its section, then its period."""
        return target.c.tier, target.c[self.dataset.grain.column.name]

    def key_of(self, row: Any) -> AnySlice:
        """Return the slice that a row names in those columns."""
        return self.dataset.key(row.tier, getattr(row, self.dataset.grain.column.name))

    def frame(
        self,
        name: str,
        week: SliceKey,
        columns: Sequence[str] | None = None,
        *,
        fresh: bool = False,
        **equal: Any,
    ) -> pd.DataFrame:
        """Return rows of one slice in the order of their key, without what names the slice.

        Args:
            name: the table.
            week: the slice.
            columns: which ones (default: all).
            fresh: read them from the store, also where this process has written them.
            equal: further columns, and the value that each must have.

        """
        table, of_slices = self.table(name), self.dataset.slice_columns
        names = columns or [c.name for c in table.columns if c.name not in of_slices]
        lineage = self.lineage(name, week, **equal)
        writes = {record["batch_id"] for record in lineage}
        if fresh or len(writes) != 1:
            return self._rows(table, week, names, lineage)
        rows = (name, week, frozenset(equal.items()))
        state = writes.pop(), sum(record["row_count"] for record in lineage)
        cached = self._cache.get(rows, state)
        if cached is None or not set(names) <= set(cached):
            cached = self._rows(table, week, names, lineage)
            self._cache.keep(rows, state, cached)
        return cached[list(names)]

    def _rows(
        self, table: Table, week: SliceKey, names: Sequence[str], lineage: list[dict[str, Any]]
    ) -> pd.DataFrame:
        """Return rows of some lineage, wherever they are."""
        if not lineage:
            return pd.DataFrame({name: as_series([], table.column(name).type) for name in names})
        numbers = [record["lineage_number"] for record in lineage]
        several = len(lineage) > 1
        key = [name for name in table.key if name not in self.dataset.slice_columns]
        wanted = [*names, *(set(key) - set(names))] if several else list(names)
        shared = from_lineage(table)
        own = [name for name in wanted if name not in shared]
        pruned = [record for record in lineage if record["pruned_at"]]
        if pruned:
            own += [name for name in key if name not in {*own, *shared}]
            found = self._with_recalled(table, week, own, lineage, pruned)
        else:
            mine = ["lineage_number", *own] if several or not own else own
            found = self._stored(table, week, mine, numbers)
        of_row = np.searchsorted(numbers, found["lineage_number"]) if several else [0] * len(found)
        for name in (name for name in wanted if name in shared):
            values = [record[shared[name]] for record in lineage]
            series = as_series(values, table.column(name).type)
            found[name] = series.take(of_row).reset_index(drop=True)
        if several:
            found = found.sort_values(key, ignore_index=True)
        return found[list(names)]

    def _stored(
        self, table: Table, week: SliceKey, names: Sequence[str], numbers: Sequence[int]
    ) -> pd.DataFrame:
        """Return rows that are in the store, in the order of their lineage and key."""
        rows, target = rows_of(table), rows_table(table.name, self.dataset)
        found = select_frame(
            self.connection,
            rows,
            target,
            names,
            target.c.slice == week.number,
            target.c.lineage_number.in_(numbers),
            order_by=rows.key,
        )
        for column in rows.columns:
            if column.is_name and column.name in found:
                found[column.name] = self.names.texts(found[column.name])
        return found

    def _with_recalled(
        self,
        table: Table,
        week: SliceKey,
        own: Sequence[str],
        lineage: list[dict[str, Any]],
        pruned: list[dict[str, Any]],
    ) -> pd.DataFrame:
        """Return the same of rows of which retention has removed some, or all."""
        names = ["lineage_number", *own]
        found = self.recall(self, table.name, week, pruned)[names]
        if stored := [r["lineage_number"] for r in lineage if r["pruned_at"] is None]:
            there = self._stored(table, week, names, stored)
            found = pd.concat([there, found], ignore_index=True)
        order = [name for name in rows_of(table).key if name in found]
        return found.sort_values(order, ignore_index=True)

    def lineage(self, name: str, week: SliceKey, **equal: Any) -> list[dict[str, Any]]:
        """Return the lineage of a slice's rows in a table, in the order of their numbers."""
        target = self.sql_table("lineage")
        query = sa.select(target).where(
            target.c.slice == week.number,
            target.c.table_name == name,
            *(target.c[column] == value for column, value in equal.items()),
        )
        rows = self.connection.execute(query.order_by(target.c.lineage_number))
        return [dict(row) for row in rows.mappings()]

    def count(self, name: str, week: SliceKey, **equal: Any) -> int:
        """Return the number of rows of one slice, whose lineage has the values of ``equal``."""
        return sum(record["row_count"] for record in self.lineage(name, week, **equal))

    def slices_with(self, name: str, **equal: Any) -> list[AnySlice]:
        """Return the slices that have rows in a table whose lineage is ``equal``, oldest first.

        Also where the archive alone keeps them.
        """
        target = self.sql_table("lineage")
        query = sa.select(*self._slice_columns(target)).distinct()
        rows = self.connection.execute(
            query.where(
                target.c.table_name == name,
                *(target.c[column] == value for column, value in equal.items()),
            )
        )
        return oldest_first([self.key_of(row) for row in rows])

    def pruned(self, name: str) -> list[tuple[AnySlice, dict[str, Any]]]:
        """Return the lineage of a table's rows that the archive alone keeps, with their slice.

        In the order of slice and number.
        """
        target = self.sql_table("lineage")
        query = sa.select(target).where(
            target.c.pruned_at.is_not(None), target.c.table_name == name
        )
        rows = self.connection.execute(query.order_by(target.c.slice, target.c.lineage_number))
        return [(self.key_of(row), dict(row._mapping)) for row in rows]

    def is_archived(self, week: SliceKey) -> bool:
        """Tell whether the archive alone keeps some rows of a slice."""
        target = self.sql_table("lineage")
        mine = [target.c.slice == week.number, target.c.pruned_at.is_not(None)]
        found = self.connection.execute(sa.select(target.c.slice).where(*mine).limit(1))
        return found.first() is not None

    def records(self, name: str, week: SliceKey) -> list[dict[str, Any]]:
        """Return the few rows that a slice has in a store table, as dicts, in key order."""
        table, target = self.table(name), self.sql_table(name)
        query = (
            sa.select(target)
            .where(of_slice(target, week))
            .order_by(*(target.c[k] for k in table.key))
        )
        return [dict(row) for row in self.connection.execute(query).mappings()]

    def manifest(self, week: SliceKey) -> dict[str, Any] | None:
        """Return the manifest row of a slice, None before its first write."""
        return next(iter(self.records("manifest", week)), None)

    def manifests(self, *columns: str) -> dict[AnySlice, dict[str, Any]]:
        """Return the manifest row of every slice that the store knows of, or parts of it."""
        target = self.sql_table("manifest")
        names = (*self.dataset.slice_columns, *columns) if columns else tuple(target.c.keys())
        rows = self.connection.execute(sa.select(*(target.c[name] for name in names)))
        return {self.key_of(row): dict(zip(names, row, strict=True)) for row in rows}

    def revisions(self, weeks: Sequence[SliceKey]) -> dict[AnySlice, list[Revision]]:
        """Return every revision of each of some slices of one section."""
        target = self.sql_table("revisions")
        query = sa.select(target).where(
            target.c.tier == str(weeks[0].section),
            target.c[self.dataset.grain.column.name].in_([week.period for week in weeks]),
        )
        found: dict[AnySlice, list[Revision]] = {week: [] for week in weeks}
        for row in self.connection.execute(query.order_by(target.c.source_revision)):
            revision = Revision(
                row.source_revision, row.revision_date, row.content_sha256, row.as_of_source
            )
            found[self.key_of(row)].append(revision)
        return found

    def revision(self, week: SliceKey, number: int) -> dict[str, Any]:
        """Return one row of the table revisions."""
        return next(r for r in self.records("revisions", week) if r["source_revision"] == number)

    def slices(self) -> dict[AnySlice, Stored]:
        """Return every slice that the store knows of, and how it stands."""
        target = self.sql_table("manifest")
        query = sa.select(
            *self._slice_columns(target), target.c.source_revision, target.c.source_version
        )
        return {
            self.key_of(row): Stored(row.source_revision, row.source_version)
            for row in self.connection.execute(query)
        }

    def has_content(self) -> bool:
        """Tell whether any slice has content."""
        target = self.sql_table("manifest")
        query = sa.select(target.c.tier).where(target.c.source_revision.is_not(None)).limit(1)
        return self.connection.execute(query).first() is not None

    def is_in_use(self) -> bool:
        """Tell whether the dataset is one that everybody has, or the store knows a slice of it.

        Be it one whose file was refused.
        """
        if self.dataset.is_expected:
            return True
        query = sa.select(self.sql_table("manifest").c.tier).limit(1)
        return self.connection.execute(query).first() is not None

    def raw_names(
        self, week: SliceKey, key: str, name: str, only: str | None = None
    ) -> list[tuple[str, str | None]]:
        """Return each value of a column of a slice's newest revision, and its name in another.

        Of several names of a value the last one in the order of texts.
        """
        manifest = self.manifest(week)
        lineage = self.lineage(
            "raw", week, source_revision=manifest and manifest["source_revision"]
        )
        rows = rows_table("raw", self.dataset).c
        query = (
            sa.select(rows[key], rows[name])
            .distinct()
            .where(
                rows.slice == week.number,
                rows.lineage_number.in_([record["lineage_number"] for record in lineage]),
            )
        )
        if only is not None:
            query = query.where(rows[key] == only)
        pairs = self.connection.execute(query).all()
        texts = self.names.texts([number for _, number in pairs])
        found: dict[str, str | None] = {}
        for (value, _), text in zip(pairs, texts, strict=True):
            if isinstance(text, str):
                found[value] = max(text, found.get(value) or "")
            else:
                found.setdefault(value, None)
        return list(found.items())

    def symbols(self) -> list[str]:
        """Return every symbol of research_snapshot, in the database's order.

        Steps from each to the next by the index: a DISTINCT would read every row.
        """
        rows = rows_table("research_snapshot", self.dataset)
        first = sa.select(sa.func.min(rows.c.symbol).label("symbol"))
        found = first.cte("found", recursive=True)
        following = sa.select(sa.func.min(rows.c.symbol)).where(rows.c.symbol > found.c.symbol)
        after = sa.select(following.scalar_subquery()).where(found.c.symbol.is_not(None))
        found = found.union_all(after)
        query = sa.select(found.c.symbol).where(found.c.symbol.is_not(None))
        return [str(symbol) for symbol in self.connection.execute(query).scalars()]

    def loaded_slices(self) -> list[AnySlice]:
        """Return every slice that has content."""
        return [week for week, stored in self.slices().items() if stored.source_revision]

    def offers(self) -> Offers:
        """Return what FINRA's two listings of the dataset had when they were last asked for."""
        return offers_of(self.connection, self.dataset)

    def dead_letters(self) -> list[dict[str, Any]]:
        """Return the slices that could not be taken in, one row each, by period and section."""
        return list(self.dead_by_slice().values())

    def dead_by_slice(self) -> dict[AnySlice, dict[str, Any]]:
        """Return the same by slice."""
        target = self.sql_table("dead_letters")
        query = sa.select(target).order_by(*reversed(self._slice_columns(target)))
        rows = self.connection.execute(query)
        return {self.key_of(row): dict(row._mapping) for row in rows}

    def dead_slices(self) -> list[AnySlice]:
        """Return the slices of `dead_letters`."""
        return list(self.dead_by_slice())

    def weeks_of(self, name: str, tier: str, first: date, last: date) -> list[date]:
        """Return the periods of a section, ``first`` to ``last``, that have rows in a table."""
        target = self.sql_table("manifest")
        _, period = self._slice_columns(target)
        query = sa.select(period, target.c.row_counts).where(
            target.c.tier == str(tier), period.between(first, last)
        )
        rows = self.connection.execute(query).all()
        return sorted(week for week, counts in rows if counts.get(name))
