"""Connections that are safe with several processes, and the lock of a slice."""

import hashlib
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

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
    # A slice is one transaction, and in TimescaleDB all its rows may be compressed: with the usual
    # limit of 100,000 rows a large slice could not be replaced. Elsewhere it means nothing.
    "timescaledb.max_tuples_decompressed_per_dml_transaction": "0",
}


DEADLINE = "otc_deadline"
STEPS_BETWEEN_LOOKS = 20_000
"""Of SQLite's virtual machine: a fraction of a millisecond."""

READ_ONLY = {"default_transaction_read_only": "on"}


class StoreError(RuntimeError):
    """A store that cannot be read; the message says where it was looked for, and what to do."""


def create_engine(
    url: str, *, read_only: bool = False, query_seconds: float | None = None
) -> sa.Engine:
    """Return an engine for ``sqlite:///...`` or ``postgresql+psycopg://...``.

    With ``read_only`` the database itself refuses to write, and no file and no folder is made. A
    query that takes longer than ``query_seconds`` is ended.

    Raises:
        ValueError: another database, or another driver; the message has no password in it.
        StoreError: there is no file to read.

    """
    parsed = _parsed(url)
    if parsed.drivername in ("sqlite", "sqlite+pysqlite"):
        engine = _sqlite(parsed, read_only=read_only)
        if query_seconds:
            _end_long_queries(engine, query_seconds)
        return engine
    if parsed.drivername == "postgresql+psycopg":
        settings = POSTGRES_OPTIONS | (READ_ONLY if read_only else {})
        if query_seconds:
            settings |= {"statement_timeout": f"{round(1000 * query_seconds)}ms"}
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        return sa.create_engine(
            parsed,
            connect_args={"options": options},
            pool_pre_ping=True,
            # To begin and to end a transaction costs as much as a small query, and its statements
            # would not see one state of the store anyway; who reads and needs that asks for it.
            isolation_level="AUTOCOMMIT" if read_only else "READ COMMITTED",
        )
    raise ValueError(
        f"OTC_DATABASE_URL: {parsed.drivername!r} is no store of this project; "
        "use sqlite:///path/to/file.db or postgresql+psycopg://user:password@host/database"
    )


def shown(url: str) -> str:
    """Return the address of a store as people may see it, without its password."""
    address = _parsed(url)
    if "password" in address.query:  # where libpq takes it too
        address = address.update_query_dict({"password": "***"})
    return address.render_as_string(hide_password=True)


def _parsed(url: str) -> sa.URL:
    try:
        return sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):  # which say the text, a password included
        raise ValueError(
            "OTC_DATABASE_URL is no address of a database; use sqlite:///path/to/file.db or "
            "postgresql+psycopg://user:password@host/database"
        ) from None


def _sqlite(url: sa.URL, *, read_only: bool) -> sa.Engine:
    if not url.database or url.database == ":memory:":
        raise ValueError(
            "OTC_DATABASE_URL: SQLite needs a file, for example sqlite:////data/otc.db"
        )
    path = Path(url.database).absolute()
    if read_only:
        if not path.is_file():
            raise StoreError(
                f"there is no store: no file {path}. Materialize a slice first, or set OTC_HOME or "
                "OTC_DATABASE_URL to the store that is meant"
            )
        engine = sa.create_engine(url, creator=lambda: _read_only(path))
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
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


def _end_long_queries(engine: sa.Engine, seconds: float) -> None:
    """Do in SQLite what statement_timeout does in PostgreSQL."""

    @sa.event.listens_for(engine, "connect")
    def _watch(connection: sqlite3.Connection, record: Any) -> None:
        def is_late() -> bool:
            return bool(time.monotonic() > record.info.get(DEADLINE, float("inf")))

        connection.set_progress_handler(is_late, STEPS_BETWEEN_LOOKS)

    @sa.event.listens_for(engine, "before_cursor_execute")
    def _begin(connection: sa.Connection, *_: object) -> None:
        connection.info[DEADLINE] = time.monotonic() + seconds


def _read_only(path: Path) -> sqlite3.Connection:
    options = "mode=ro"
    # SQLite shares what is being written by files beside the database. Where it may not make them,
    # nobody can be writing, unless such a file is there.
    if not os.access(path.parent, os.W_OK) and not Path(f"{path}-wal").exists():
        options += "&immutable=1"
    return sqlite3.connect(
        f"file:{quote(str(path))}?{options}",
        uri=True,
        timeout=LOCK_WAIT_SECONDS,
        check_same_thread=False,  # as SQLAlchemy's own, whose pool gives it to one at a time
    )


@contextmanager
def write_transaction(engine: sa.Engine, lock: str) -> Iterator[sa.Connection]:
    """Open a transaction that holds the lock named ``lock`` until it ends.

    Others who ask for the same name wait. SQLite has one writer at a time, whatever the name;
    PostgreSQL an advisory lock for each. A killed process lets go of both.
    """
    with engine.connect().execution_options(otc_writes=True) as connection, connection.begin():
        hold(connection, lock)
        yield connection


def hold(connection: sa.Connection, lock: str) -> None:
    """Take the lock named ``lock`` in PostgreSQL, until the transaction ends."""
    if connection.dialect.name == "postgresql":
        number = int.from_bytes(hashlib.sha256(lock.encode()).digest()[:8], signed=True)
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(number)))
