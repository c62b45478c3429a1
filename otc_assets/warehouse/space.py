"""How much room rows take in the database, and what gives it back once they are gone."""

from collections.abc import Collection, Mapping

import sqlalchemy as sa

from otc_assets.domain.datasets import Dataset
from otc_assets.warehouse import timescale
from otc_assets.warehouse.schema import rows_table, sql_table

PARTITIONS = "pg_partition_tree(CAST(:t AS regclass))"


def bytes_of(connection: sa.Connection, dataset: Dataset, rows: Mapping[str, int]) -> int:
    """Return about how many bytes some rows of bulk tables take, with their indexes.

    Args:
        connection: to the database.
        dataset: whose tables.
        rows: of each table, how many.

    """
    lineage = sql_table("lineage", dataset)
    total = 0.0
    for name, count in rows.items():
        stored = sa.select(sa.func.coalesce(sa.func.sum(lineage.c.row_count), 0)).where(
            lineage.c.table_name == name, lineage.c.pruned_at.is_(None)
        )
        if there := int(connection.execute(stored).scalar_one()):
            table = rows_table(name, dataset).name
            total += _size(connection, table) * count / there
    return round(total)


def _size(connection: sa.Connection, table: str) -> int:
    """Return the bytes of a table and its indexes; of all its partitions in PostgreSQL."""
    if timescale.is_hypertable(connection, table):
        return timescale.size(connection, table)
    if connection.dialect.name == "postgresql":
        query = f"SELECT sum(pg_total_relation_size(relid)) FROM {PARTITIONS}"
    else:
        query = (
            "SELECT sum(pgsize) FROM dbstat WHERE aggregate = TRUE AND name IN "
            "(SELECT name FROM sqlite_schema WHERE tbl_name = :t)"
        )
    return int(connection.execute(sa.text(query), {"t": table}).scalar() or 0)


def free_bytes(engine: sa.Engine) -> int:
    """Return how many bytes of a SQLite file are free for new rows; VACUUM would give them back."""
    with engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA freelist_count").scalar_one()
        return int(pages) * int(connection.exec_driver_sql("PRAGMA page_size").scalar_one())


def empty_partitions(engine: sa.Engine, dataset: Dataset, names: Collection[str]) -> dict[str, int]:
    """Give back to the disk what PostgreSQL's partitions without rows take; return their bytes.

    They are truncated and not dropped: that frees as much, and a writer that knows the partition
    from before still finds it, to store a correction of an old week in. TimescaleDB's chunks are
    dropped: it makes one again when it is needed.

    Args:
        engine: of the database.
        dataset: whose tables.
        names: the bulk tables.

    Returns:
        Of each partition that was emptied, how many bytes it took.

    """
    freed: dict[str, int] = {}
    for name in names:
        table = rows_table(name, dataset).name
        with engine.connect() as connection:
            leaves = f"SELECT relid::regclass::text FROM {PARTITIONS} WHERE isleaf"
            partitions = connection.execute(sa.text(leaves), {"t": table}).scalars().all()
            has_chunks = timescale.is_hypertable(connection, table)
        if has_chunks:
            freed |= timescale.drop_empty_chunks(engine, table)
        for partition in sorted(partitions):
            if size := _truncate_if_empty(engine, str(partition)):
                freed[str(partition)] = size
    return freed


def _truncate_if_empty(engine: sa.Engine, partition: str) -> int:
    """Truncate a partition that has no row; return the bytes that this freed."""
    size = sa.text("SELECT pg_total_relation_size(CAST(:t AS regclass))")
    with engine.begin() as connection:
        before = connection.execute(size, {"t": partition}).scalar_one()
        if connection.exec_driver_sql(f"SELECT 1 FROM {partition} LIMIT 1").first():
            return 0
    with engine.begin() as connection:  # who writes to it waits, and is waited for
        connection.exec_driver_sql(f"LOCK TABLE {partition} IN ACCESS EXCLUSIVE MODE")
        if connection.exec_driver_sql(f"SELECT 1 FROM {partition} LIMIT 1").first():
            return 0
        connection.exec_driver_sql(f"TRUNCATE {partition}")
        after = connection.execute(size, {"t": partition}).scalar_one()
    return max(int(before) - int(after), 0)
