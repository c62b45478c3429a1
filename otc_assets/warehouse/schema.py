"""The SQL form of every table description."""

from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from otc_assets.calculations import output_tables
from otc_assets.domain.datasets import Dataset
from otc_assets.domain.tables import EVENTS, RAW, STORE_TABLES, ColumnType, Table

POSTGRES_SCHEMA = "otc"
"""Where the tables live in PostgreSQL (through the search path of our connections)."""

SQL_TYPES: dict[ColumnType, sa.types.TypeEngine[Any]] = {
    ColumnType.TEXT: sa.Text(),
    ColumnType.DATE: sa.Date(),
    # No scale: exact in PostgreSQL, and whole numbers print as whole numbers in both.
    ColumnType.SHARES: sa.Numeric(asdecimal=False),
    ColumnType.DOLLARS: sa.Numeric(asdecimal=False),
    ColumnType.COUNT: sa.BigInteger(),
    ColumnType.NUMBER: sa.Double(),
    ColumnType.FLAG: sa.Boolean(),
    ColumnType.HASH: sa.LargeBinary(),
    ColumnType.TIMESTAMP: sa.DateTime(timezone=True),
    ColumnType.JSON: sa.JSON().with_variant(postgresql.JSONB(), "postgresql"),
}


def partitioned_tables() -> tuple[Table, ...]:
    """Return the tables that PostgreSQL partitions by year: those that grow with every week."""
    return (RAW, *output_tables())


def all_tables() -> tuple[Table, ...]:
    """Return the description of every table."""
    return (*STORE_TABLES, *output_tables())


@cache
def metadata(dataset: Dataset) -> sa.MetaData:
    """Return the SQLAlchemy schema of all tables of one dataset."""
    schema = sa.MetaData()
    partitioned = partitioned_tables()
    for table in all_tables():
        _sql_table(table, dataset.table_name(table.name), schema, partitioned=table in partitioned)
    return schema


def sql_table(name: str, dataset: Dataset) -> sa.Table:
    """Return one table of a dataset, given its plain name."""
    return metadata(dataset).tables[dataset.table_name(name)]


def _sql_table(table: Table, name: str, schema: sa.MetaData, *, partitioned: bool) -> None:
    options: dict[str, Any] = {}
    if partitioned:
        options["postgresql_partition_by"] = "RANGE (week_ending)"
    if table is not EVENTS:  # its number counts up by itself, which needs SQLite's rowid
        options["sqlite_with_rowid"] = False
    sa.Table(
        name,
        schema,
        *(_sql_column(table, column.name) for column in table.columns),
        sa.PrimaryKeyConstraint(*table.key, name=f"pk_{name}"),
        *(sa.Index(f"ix_{name}_{'_'.join(names)}", *names) for names in table.indexes),
        **options,
    )


def _sql_column(table: Table, name: str) -> sa.Column[Any]:
    column = table.column(name)
    sql_type = SQL_TYPES[column.type]
    if table is EVENTS and name in table.key:
        sql_type = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column(name, sql_type, nullable=column.nullable)
