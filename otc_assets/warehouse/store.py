"""The store: a slice is read, and written whole or not at all.

Every write of a slice goes through `Warehouse.write`: one transaction under the slice's lock, in
which rows, rejects, verdicts, events and the manifest change together. Who only reads has a
`Store`, which creates nothing and changes nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

import sqlalchemy as sa

from otc_assets.domain.datasets import ATS, Dataset
from otc_assets.domain.grains import SliceKey
from otc_assets.warehouse.cache import FrameCache
from otc_assets.warehouse.engine import StoreError, create_engine, shown, write_transaction
from otc_assets.warehouse.migrate import Schema, ensure_partitions, migrate, schema_of
from otc_assets.warehouse.names import NO_NAMES
from otc_assets.warehouse.reader import Recall, SliceReader, no_recall
from otc_assets.warehouse.schema import STORE, sql_table
from otc_assets.warehouse.writer import Batch, RunIds, SliceWriter

WHAT_TO_DO = {
    Schema.NONE: "has no tables of this project: materialize a slice, or set OTC_HOME or "
    "OTC_DATABASE_URL to the store that is meant",
    Schema.OLDER: "is of an earlier version: run `otc migrate`, which changes its tables and keeps "
    "its rows",
    Schema.NEWER: "is of a later version of otc_assets than this one: install that version",
}


class Store:
    """The tables of one dataset in a database, to be read."""

    def __init__(self, url: str, dataset: Dataset = ATS, recall: Recall = no_recall) -> None:
        """Use the database at ``url``; nothing is opened yet.

        Rows that retention has removed come from ``recall``.
        """
        self.url = url
        self.dataset = dataset
        self.recall = recall
        self.query_seconds: float | None = None
        """How long one query may take, of connections opened from now on (default: for ever)."""
        self._cache = FrameCache()
        self._names = NO_NAMES
        self._has_content = False

    @property
    def address(self) -> str:
        """Where the store is, without a password."""
        return shown(self.url)

    @cached_property
    def engine(self) -> sa.Engine:
        """The engine of a database that has the schema of this version, and that cannot write.

        Raises:
            StoreError: there is no store, or it is of another version; the message says where it
                was looked for, and what to do.

        """
        engine = create_engine(self.url, read_only=True, query_seconds=self.query_seconds)
        try:
            schema = schema_of(engine, self.dataset)
        except sa.exc.DatabaseError as error:
            reason = str(error.orig).strip().splitlines()[0]
            raise StoreError(f"the store {self.address} cannot be read: {reason}") from None
        if schema is not Schema.CURRENT:
            engine.dispose()
            raise StoreError(f"the store {self.address} {WHAT_TO_DO[schema]}")
        return engine

    def sql_table(self, name: str) -> sa.Table:
        """Return a table of the dataset, given its plain name."""
        return sql_table(name, self.dataset)

    @cached_property
    def store_id(self) -> str:
        """The id that the store has since its first migration."""
        with self.engine.connect() as connection:
            return str(connection.execute(sa.select(STORE.c.store_id)).scalar_one())

    def close(self) -> None:
        """Close its connections; the next use opens new ones, and looks at the schema again."""
        self._has_content, self._names = False, NO_NAMES
        if engine := self.__dict__.pop("engine", None):
            engine.dispose()

    def has_content(self) -> bool:
        """Tell whether some slice has content; a store that has some is not asked again."""
        if not self._has_content:
            with self.read() as reader:
                self._has_content = reader.has_content()
        return self._has_content

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Let the error of a connection name the store: the driver's says that it was closed."""
        try:
            yield
        except sa.exc.OperationalError as error:
            reason = str(error.orig).strip().splitlines()[0]
            raise StoreError(
                f"the store {self.address} failed: {reason}. Each slice is in it as it was before, "
                "or as it was to be: run the same again when that is over"
            ) from error

    @contextmanager
    def read(self) -> Iterator[SliceReader]:
        """Open a transaction that only reads."""
        with self._named(), self.engine.connect() as connection, connection.begin():
            yield from self._reader(connection)

    @contextmanager
    def read_as_of_now(self) -> Iterator[SliceReader]:
        """Open one that sees the store as it is now, whatever is written in the meantime."""
        with self._named(), self.engine.connect() as connection:
            if connection.dialect.name == "postgresql":  # as SQLite does by itself
                connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield from self._reader(connection)

    def _reader(self, connection: sa.Connection) -> Iterator[SliceReader]:
        """Yield a reader, and remember the names that it has seen."""
        reader = SliceReader(connection, self.dataset, self._cache, self.recall, self._names)
        yield reader
        self._names = reader.names.known


class Warehouse(Store):
    """The tables of one dataset in a database, created and migrated on first use."""

    def __init__(self, url: str, dataset: Dataset = ATS, recall: Recall = no_recall) -> None:
        """Use the database at ``url``; nothing is opened yet."""
        super().__init__(url, dataset, recall)
        self._years: set[int] = set()

    @cached_property
    def engine(self) -> sa.Engine:
        """The engine of a database that has the schema of this version.

        Raises:
            StoreError: it does not answer.

        """
        engine = create_engine(self.url)
        with self._named():
            migrate(engine, self.dataset)
        return engine

    @contextmanager
    def write(self, week: SliceKey, run: RunIds) -> Iterator[SliceWriter]:
        """Open the one transaction in which a slice changes, under the slice's lock.

        All of it is kept, or, after an error or a kill, none of it.

        Raises:
            StoreError: the connection was lost; if that was while all was being committed, nobody
                can tell which of both it is, and to do it again is right either way.

        """
        engine, name = self.engine, self.dataset.table_name(str(week))
        with self._named():
            self._ensure_partitions(week.period.year)
            with write_transaction(engine, name) as connection:
                writer = SliceWriter(
                    connection,
                    self.dataset,
                    self._cache,
                    self.recall,
                    week,
                    Batch(run),
                    self._names,
                )
                yield writer
                writer.close()
            self._names = writer.names.known  # now that they are there to stay

    def _ensure_partitions(self, year: int) -> None:
        if self.engine.dialect.name == "postgresql" and year not in self._years:
            ensure_partitions(self.engine, self.dataset, year)
            self._years.add(year)
