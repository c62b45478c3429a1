"""Dagster's own storage, with less to do for each event than Dagster's classes have.

On PostgreSQL (``deploy/dagster.yaml``) connections stay open: dagster-postgres opens one for every
statement, except in the webserver: two to four for each event, which were two thirds of what an
event costs. Here runs and the daemon do as the webserver does.

On SQLite (``dagster.yaml``) they stay open too: Dagster opens one for every event and closes it
again, which compiles each statement anew and empties the write-ahead log each time.

Dagster's files lie in the home (OTC_HOME), so that an instance shows the partitions of the store
that the home has, and of no other.
"""

import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg
import sqlalchemy as sa
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._core.storage.root import LocalArtifactStorage
from dagster._core.storage.runs import SqliteRunStorage
from dagster._core.storage.schedules import SqliteScheduleStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.utils import get_token_provider_from_config, pg_url_from_config

from otc_assets.settings import setting

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


def dagster_folder() -> str:
    """Return where Dagster keeps its files: OTC_DAGSTER_DIR, by default in the home."""
    return str(Path(setting("OTC_DAGSTER_DIR")).absolute())


class InstanceError(RuntimeError):
    """Dagster's instance cannot be read; the message says what to do."""


def instance_that_is_set() -> dg.DagsterInstance:
    """Return Dagster's instance, and make none.

    Raises:
        InstanceError: there is none.

    """
    if not os.environ.get("DAGSTER_HOME"):
        raise InstanceError("DAGSTER_HOME is not set: set it as for dagster itself")
    if not os.environ.get("DAGSTER_POSTGRES_URL") and not Path(dagster_folder()).is_dir():
        raise InstanceError(f"there is no folder {dagster_folder()}: Dagster has never run here")
    return dg.DagsterInstance.get()


class HomeArtifactStorage(LocalArtifactStorage):
    """Dagster's folder of run artifacts, in the home; it needs no configuration."""

    @classmethod
    def config_type(cls) -> Any:
        """Take no configuration."""
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "HomeArtifactStorage":
        """Build it from the section ``local_artifact_storage`` of dagster.yaml."""
        return cls(dagster_folder(), inst_data)


class HomeComputeLogManager(LocalComputeLogManager):
    """Dagster's logs of what runs print, in the home; it needs no configuration."""

    @classmethod
    def config_type(cls) -> Any:
        """Take no configuration."""
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "HomeComputeLogManager":
        """Build it from the section ``compute_logs`` of dagster.yaml."""
        return cls(base_dir=str(Path(dagster_folder(), "logs")), inst_data=inst_data)


class PooledSqliteStorage(DagsterSqliteStorage):
    """Dagster's SQLite storage, with the same files, in the home or in ``base_dir``."""

    @classmethod
    def config_type(cls) -> Any:
        """Take ``base_dir``, by default the home's folder."""
        return {"base_dir": dg.Field(dg.StringSource, is_required=False)}

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        """Keep runs, events and schedules in files under ``base_dir``."""
        # Not by the class above, which would open each of the three once for nothing.
        super(DagsterSqliteStorage, self).__init__()  # type: ignore[no-untyped-call]
        self.base_dir = base_dir
        self._run_storage = PooledSqliteRunStorage.from_local(str(Path(base_dir, "history")))
        self._event_log_storage = PooledSqliteEventLogStorage(str(Path(base_dir, "history/runs")))
        schedules = str(Path(base_dir, "schedules"))
        self._schedule_storage = PooledSqliteScheduleStorage.from_local(schedules)
        self._inst_data = inst_data

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "PooledSqliteStorage":
        """Build the storage from the section ``storage`` of dagster.yaml."""
        return cls.from_local(config_value.get("base_dir") or dagster_folder(), inst_data)


def _engine_of(address: str) -> sa.Engine:
    """Return an engine that does not wait for the disk at each event, as the store's does not.

    A killed process loses nothing by it, a machine without power at most its last events.
    """
    engine = sa.create_engine(address, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS})

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
        connection.execute("PRAGMA synchronous = NORMAL")

    return engine


class _Kept:
    """Keeps the connections of a storage that has one database."""

    _conn_string: str

    @cached_property
    def _engine(self) -> sa.Engine:
        return _engine_of(self._conn_string)

    @contextmanager
    def connect(self) -> Iterator[sa.Connection]:
        """Connect to the database, in a transaction."""
        with self._engine.begin() as connection:
            yield connection

    def dispose(self) -> None:
        """Close everything."""
        self._engine.dispose()


class PooledSqliteRunStorage(_Kept, SqliteRunStorage):
    """Of runs."""


class PooledSqliteScheduleStorage(_Kept, SqliteScheduleStorage):
    """Of schedules, sensors and their ticks."""


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
                self._engines[shard] = _engine_of(self.conn_string_for_shard(shard))
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
