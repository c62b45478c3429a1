"""Connections that are safe with several processes, and the lock of a slice."""

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from otc_assets.warehouse.schema import POSTGRES_SCHEMA

LOCK_WAIT_SECONDS = 300
"""How long a writer waits for another one before it gives up."""

POSTGRES_OPTIONS = {
    "search_path": POSTGRES_SCHEMA,
    "timezone": "UTC",
    # With the usual 4 MB to sort in, a slice would be sorted on disk.
    "work_mem": "64MB",
    # A slice's rows lie together, in the order of their key. With the usual 4, which is for turning
    # disks, the planner would read them out of order and sort them, or even read a whole year.
    "random_page_cost": "1.1",
}


def create_engine(url: str) -> sa.Engine:
    """Return an engine for ``sqlite:///...`` or ``postgresql+psycopg://...``.

    Raises:
        ValueError: another database, or another driver; the message has no password in it.

    """
    parsed = sa.make_url(url)
    if parsed.drivername in ("sqlite", "sqlite+pysqlite"):
        return _sqlite(parsed)
    if parsed.drivername == "postgresql+psycopg":
        options = " ".join(f"-c {name}={value}" for name, value in POSTGRES_OPTIONS.items())
        return sa.create_engine(parsed, connect_args={"options": options}, pool_pre_ping=True)
    raise ValueError(
        f"OTC_DATABASE_URL: {parsed.drivername!r} is no store of this project; "
        "use sqlite:///path/to/file.db or postgresql+psycopg://user:password@host/database"
    )


def _sqlite(url: sa.URL) -> sa.Engine:
    if not url.database or url.database == ":memory:":
        raise ValueError("OTC_DATABASE_URL: SQLite needs a file, for example sqlite:///.otc/otc.db")
    Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url, connect_args={"timeout": LOCK_WAIT_SECONDS})

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself; `_begin` does
        connection.execute("PRAGMA synchronous = NORMAL")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # A deferred transaction that reads and then writes fails when another wrote in between,
        # however long it may wait: a writer takes the write lock at once.
        writes = connection.get_execution_options().get("otc_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


@contextmanager
def write_transaction(engine: sa.Engine, lock: str) -> Iterator[sa.Connection]:
    """Open a transaction that holds the lock named ``lock`` until it ends.

    Others who ask for the same name wait. SQLite has one writer at a time, whatever the name;
    PostgreSQL an advisory lock for each. A killed process lets go of both.
    """
    with engine.connect().execution_options(otc_writes=True) as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            number = int.from_bytes(hashlib.sha256(lock.encode()).digest()[:8], signed=True)
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(number)))
        yield connection
