"""Dagster's own storage, with less to do for each event than Dagster's classes have.

On PostgreSQL (``deploy/dagster.yaml``) connections stay open: dagster-postgres opens one for every
statement, except in the webserver: two to four for each event, which were two thirds of what an
event costs. Here runs and the daemon do as the webserver does.

On SQLite (``dagster.yaml``) they stay open too: Dagster opens one for every event and closes it
again, which compiles each statement anew and empties the write-ahead log each time.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.utils import get_token_provider_from_config, pg_url_from_config

NO_TIMEOUT = 0
RECYCLE_SECONDS = 3600
MAX_CONNECTIONS = 20
MAX_ENGINES = 20
"""Of SQLite's, which has a database for each run."""


class PooledPostgresStorage(DagsterPostgresStorage):
    """Takes the configuration of dagster-postgres, and keeps its connections."""

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "PooledPostgresStorage":
        """Build the storage from the section ``storage`` of dagster.yaml."""
        storage = cls(
            postgres_url=pg_url_from_config(config_value),
            should_autocreate_tables=config_value.get("should_autocreate_tables", True),
            inst_data=inst_data,
            token_provider=get_token_provider_from_config(config_value),
        )
        for part in (storage.run_storage, storage.event_log_storage, storage.schedule_storage):
            part.optimize_for_webserver(NO_TIMEOUT, RECYCLE_SECONDS, MAX_CONNECTIONS)
        return storage


class PooledSqliteStorage(DagsterSqliteStorage):
    """Takes the configuration of Dagster's SQLite storage, and has the same files."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        """Keep runs, events and schedules in files under ``base_dir``."""
        super().__init__(base_dir, inst_data)
        self._event_log_storage = PooledSqliteEventLogStorage(str(Path(base_dir, "history/runs")))

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "PooledSqliteStorage":
        """Build the storage from the section ``storage`` of dagster.yaml."""
        return cls.from_local(config_value["base_dir"], inst_data)


class PooledSqliteEventLogStorage(SqliteEventLogStorage):
    """Keeps connections to the databases that it used last: one for each run, and the index."""

    def __init__(self, base_dir: str) -> None:
        """Keep each run's events, and the index of all, in files of ``base_dir``."""
        self._engines: dict[str, sa.Engine] = {}
        self._tables: set[str] = set()
        self._turn = threading.Lock()
        super().__init__(base_dir)

    def run_connection(self, run_id: str | None = None) -> Any:
        """Connect to the database of a run, in a transaction."""
        return self._connection(str(run_id), super().run_connection(run_id))

    def index_connection(self) -> Any:
        """Connect to the database of what is known across runs, in a transaction."""
        return self._connection(INDEX_SHARD_NAME, super().index_connection())

    @contextmanager
    def _connection(
        self, shard: str, unpooled: AbstractContextManager[sa.Connection]
    ) -> Iterator[sa.Connection]:
        with self._turn:  # one thread at a time, as in Dagster's own class
            if shard not in self._engines:
                with unpooled:
                    pass  # has made the tables where there were none
                if len(self._engines) == MAX_ENGINES:
                    self._close()
                self._engines[shard] = sa.create_engine(
                    self.conn_string_for_shard(shard),
                    connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS},
                )
            with self._engines[shard].begin() as connection:
                yield connection

    def has_table(self, table_name: str) -> bool:
        """Whether the index has this table, which no later version takes away."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def wipe(self) -> None:
        """Delete every run's database and empty the index."""
        self._close()
        super().wipe()

    def dispose(self) -> None:
        """Close everything."""
        self._close()
        super().dispose()

    def _close(self) -> None:
        for engine in self._engines.values():
            engine.dispose()
        self._engines.clear()
