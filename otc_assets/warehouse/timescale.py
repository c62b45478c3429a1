"""What is different where PostgreSQL has the extension TimescaleDB (docs/timescale.md).

The extension is found, never created. Where it is, migrations of their own turn the rows of raw and
venue_volume into hypertables, whose chunks take the place of partitions, and add an aggregate of
each dataset. Nothing of this concerns who writes or reads a slice.
"""

import pandas as pd
import sqlalchemy as sa

from otc_assets.calculations.symbol_summary import symbol_summary
from otc_assets.domain.datasets import Dataset
from otc_assets.domain.grains import SliceKey
from otc_assets.domain.tables import Table
from otc_assets.warehouse.bulk import select_frame

FOLDER = "timescale_migrations"
VERSION_TABLE = "alembic_version_timescale"

_SUMMED = ("symbol", "total_volume", "total_trades", "venue_count")
WEEKLY_SUMMARY = Table(
    name="weekly_summary_agg",
    grain="(week, tier, symbol)",
    description="TimescaleDB's own sums over venue_volume, as of their last refresh.",
    key=("symbol",),
    columns=tuple(symbol_summary.table.column(name) for name in _SUMMED),
)
"""The continuous aggregate, as far as `symbol_summary` has the same columns."""


def extension_schema(connection: sa.Connection) -> str | None:
    """Return the schema of the extension's functions; None where there is no TimescaleDB."""
    if connection.dialect.name != "postgresql":
        return None
    query = (
        "SELECT nspname FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace "
        "WHERE extname = 'timescaledb'"
    )
    return connection.exec_driver_sql(query).scalar()


def aggregates(connection: sa.Connection) -> set[str]:
    """Return the names of our continuous aggregates, which are no views that may be dropped."""
    if extension_schema(connection) is None:
        return set()
    query = (
        "SELECT view_name FROM timescaledb_information.continuous_aggregates "
        "WHERE view_schema = current_schema()"
    )
    return set(connection.exec_driver_sql(query).scalars())


def weekly_summary(
    connection: sa.Connection, dataset: Dataset, week: SliceKey
) -> pd.DataFrame | None:
    """Return a slice's rows of the aggregate; None where there is no aggregate."""
    name = dataset.table_name(WEEKLY_SUMMARY.name)
    if name not in aggregates(connection):
        return None
    columns = (sa.Column(each, sa.Text()) for each in _SUMMED)
    target = sa.Table(name, sa.MetaData(), sa.Column("slice", sa.Integer()), *columns)
    mine = target.c.slice == week.number
    return select_frame(connection, WEEKLY_SUMMARY, target, _SUMMED, mine, order_by=["symbol"])


def is_hypertable(connection: sa.Connection, table: str) -> bool:
    """Tell whether one of our tables is a hypertable."""
    if extension_schema(connection) is None:
        return False
    query = (
        "SELECT 1 FROM timescaledb_information.hypertables "
        "WHERE hypertable_schema = current_schema() AND hypertable_name = :t"
    )
    return connection.execute(sa.text(query), {"t": table}).first() is not None


def size(connection: sa.Connection, table: str) -> int:
    """Return the bytes of a hypertable's chunks and their indexes, compressed ones included."""
    schema = extension_schema(connection)
    query = sa.text(f"SELECT {schema}.hypertable_size(CAST(:t AS regclass))")
    return int(connection.execute(query, {"t": table}).scalar() or 0)


def drop_empty_chunks(engine: sa.Engine, table: str) -> dict[str, int]:
    """Drop the chunks of a hypertable that have no rows; return the bytes that each took.

    A late correction makes its chunk anew.
    """
    with engine.connect() as connection:
        query = (
            f"SELECT chunk_schema || '.' || chunk_name, total_bytes "
            f"FROM {extension_schema(connection)}.chunks_detailed_size(CAST(:t AS regclass))"
        )
        chunks = connection.execute(sa.text(query), {"t": table}).all()
    return {name: taken for name, taken in sorted(chunks) if _drop_if_empty(engine, name)}


def _drop_if_empty(engine: sa.Engine, chunk: str) -> bool:
    """Drop a chunk that has no row; tell whether it was dropped."""
    any_row = f"SELECT 1 FROM {chunk} LIMIT 1"
    with engine.connect() as connection:
        if connection.exec_driver_sql(any_row).first():
            return False
    with engine.begin() as connection:  # who writes to it waits, and is waited for
        connection.exec_driver_sql(f"LOCK TABLE {chunk} IN ACCESS EXCLUSIVE MODE")
        if connection.exec_driver_sql(any_row).first():
            return False
        connection.exec_driver_sql(f"DROP TABLE {chunk}")
    return True
