"""Brings a database to the schema of this version, by itself, on first use.

Alembic's migrations carry every change to what exists. A calculation that is new in the code and
has no table yet needs no migration: its table is created from its description. The views are always
made anew.
"""

import sqlite3
import tempfile
from enum import Enum
from functools import cache

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from otc_assets.domain.datasets import ATS, Dataset, every_dataset
from otc_assets.warehouse import timescale
from otc_assets.warehouse.engine import create_engine, write_transaction
from otc_assets.warehouse.schema import POSTGRES_SCHEMA, bulk_tables, metadata, rows_of, views

MAKES_RAW_ANEW = "0012"
"""The newest migration that cannot change a hypertable: its rows may be compressed."""


class Schema(Enum):
    """How the tables of a database stand against those of this version."""

    NONE = "none"
    OLDER = "older"
    CURRENT = "current"
    NEWER = "newer"


def alembic_config(connection: sa.Connection | None = None, folder: str = "migrations") -> Config:
    """Return Alembic's configuration for the migrations in a folder of this package."""
    config = Config()
    config.set_main_option("script_location", f"otc_assets:warehouse/{folder}")
    config.set_main_option("path_separator", "os")
    if connection is not None:
        config.attributes["connection"] = connection
    return config


def migrate(engine: sa.Engine, dataset: Dataset = ATS, revision: str = "head") -> None:
    """Run the migrations up to ``revision``, and create a dataset's new tables. Safe to repeat.

    Several processes may do it at once: one does the work, the others wait and find it done.
    """
    if engine.dialect.name == "sqlite":
        _use_write_ahead_log(engine)
    if revision == "head" and schema_of(engine, dataset) is Schema.CURRENT:
        return
    with write_transaction(engine, "migrations") as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.schema.CreateSchema(POSTGRES_SCHEMA, if_not_exists=True))
        _drop_views(connection)
        found = MigrationContext.configure(connection).get_current_revision()
        if found is not None and found < MAKES_RAW_ANEW:
            _leave_timescale(connection)
        command.upgrade(alembic_config(connection), revision)
        if revision == "head":
            for each in dict.fromkeys((*every_dataset(), dataset)):
                metadata(each).create_all(connection)
            if timescale.extension_schema(connection):
                command.upgrade(alembic_config(connection, timescale.FOLDER), revision)
            _create_views(connection, dataset)


def _create_views(connection: sa.Connection, dataset: Dataset) -> None:
    for each in dict.fromkeys((*every_dataset(), dataset)):
        for view in views(each).values():
            connection.execute(view)


def _drop_views(connection: sa.Connection) -> None:
    quoted = connection.dialect.identifier_preparer.quote
    names = sa.inspect(connection).get_view_names()
    for name in set(names) - timescale.aggregates(connection):
        connection.exec_driver_sql(f"DROP VIEW {quoted(name)}")


def _use_write_ahead_log(engine: sa.Engine) -> None:
    """Let readers and a writer work side by side; the file remembers it."""
    connection = engine.raw_connection()
    try:
        driver = connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        if driver.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            driver.execute("PRAGMA journal_mode = WAL")
    finally:
        connection.close()


def schema_of(engine: sa.Engine, dataset: Dataset) -> Schema:
    """Return how the tables of a dataset stand against those of this version; changes nothing."""
    with engine.connect() as connection:
        found = _standing(connection, alembic_config())
        if found is Schema.CURRENT and timescale.extension_schema(connection):
            config = alembic_config(folder=timescale.FOLDER)
            beside = _standing(connection, config, version_table=timescale.VERSION_TABLE)
            found = Schema.OLDER if beside is Schema.NONE else beside
        inspector = sa.inspect(connection)
        there = {*inspector.get_table_names(), *inspector.get_view_names()}
    is_whole = {*metadata(dataset).tables, *views(dataset)} <= there
    return Schema.OLDER if found is Schema.CURRENT and not is_whole else found


def _standing(connection: sa.Connection, config: Config, **options: str) -> Schema:
    """Return how a database stands against the migrations of one folder."""
    head, known = _revisions(str(config.get_main_option("script_location")))
    found = MigrationContext.configure(connection, opts=options).get_current_revision()
    if found is None:
        return Schema.NONE
    if found not in known:
        return Schema.NEWER
    return Schema.CURRENT if found == head else Schema.OLDER


@cache
def _revisions(folder: str) -> tuple[str | None, frozenset[str]]:
    """Return the newest migration, and all of them; they stay the same while a process runs."""
    config = alembic_config()
    config.set_main_option("script_location", folder)
    scripts = ScriptDirectory.from_config(config)
    return scripts.get_current_head(), frozenset(s.revision for s in scripts.walk_revisions())


def downgrade(engine: sa.Engine, revision: str) -> None:
    """Take the migrations back to ``revision`` (``base``: all of them, with the data)."""
    with write_transaction(engine, "migrations") as connection:
        _drop_views(connection)
        _leave_timescale(connection)
        command.downgrade(alembic_config(connection), revision)
        if revision == "base":
            for dataset in every_dataset():  # what was created from its description alone
                metadata(dataset).drop_all(connection)


def leave_timescale(engine: sa.Engine) -> None:
    """Make TimescaleDB's tables plain ones again, with all rows, so that it can be dropped.

    As long as the extension is there, the next `migrate` makes them hypertables again.
    """
    with write_transaction(engine, "migrations") as connection:
        _drop_views(connection)
        _leave_timescale(connection)
        _create_views(connection, ATS)


def _leave_timescale(connection: sa.Connection) -> None:
    if timescale.extension_schema(connection):
        command.downgrade(alembic_config(connection, timescale.FOLDER), "base")


def write_migration(message: str) -> None:
    """Write a migration from the schema that the migrations give to the one that is described."""
    with tempfile.TemporaryDirectory() as folder:
        engine = create_engine(f"sqlite:///{folder}/otc.db")
        with write_transaction(engine, "migrations") as connection:
            config = alembic_config(connection)
            command.upgrade(config, "head")
            head = ScriptDirectory.from_config(config).get_current_head() or "0"
            command.revision(config, message, autogenerate=True, rev_id=f"{int(head) + 1:04}")


def ensure_partitions(engine: sa.Engine, dataset: Dataset, year: int) -> None:
    """Create the PostgreSQL partitions of a year where they are missing.

    A partition is made beside its table and then attached, which, unlike creating it in place,
    stops no reader or writer. TimescaleDB's tables have none: they make chunks by themselves.
    """
    tables = [dataset.table_name(rows_of(table).name) for table in bulk_tables(dataset)]
    with engine.connect() as connection:
        query = "SELECT relname FROM pg_partitioned_table JOIN pg_class ON oid = partrelid"
        partitioned = set(connection.exec_driver_sql(query).scalars())
        names = {f"{table}_y{year}": table for table in tables if table in partitioned}
        missing = set(names) - set(sa.inspect(connection).get_table_names())
    if not missing:
        return
    with write_transaction(engine, "migrations") as connection:
        quoted = connection.dialect.identifier_preparer.quote
        for name in sorted(missing - set(sa.inspect(connection).get_table_names())):
            part, whole = quoted(name), quoted(names[name])
            connection.exec_driver_sql(f"CREATE TABLE {part} (LIKE {whole} INCLUDING ALL)")
            connection.exec_driver_sql(
                f"ALTER TABLE {whole} ATTACH PARTITION {part} "
                f"FOR VALUES FROM ({year}00000) TO ({year + 1}00000)"
            )
