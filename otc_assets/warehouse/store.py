"""The store: a slice is read, and written whole or not at all.

Every write of a slice goes through `Warehouse.write`: one transaction under the slice's lock, in
which rows, rejects, verdicts, events and the manifest change together.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

import sqlalchemy as sa

from otc_assets.domain.datasets import ATS, Dataset
from otc_assets.domain.weeks import WeekKey
from otc_assets.warehouse.cache import FrameCache
from otc_assets.warehouse.engine import create_engine, write_transaction
from otc_assets.warehouse.migrate import ensure_partitions, migrate
from otc_assets.warehouse.reader import SliceReader
from otc_assets.warehouse.schema import sql_table
from otc_assets.warehouse.writer import Batch, RunIds, SliceWriter


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
