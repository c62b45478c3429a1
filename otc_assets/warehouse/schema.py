"""The SQL form of every table description.

A table that is written slice by slice is two things in the database: its rows, each with the number
of its lineage (`raw_rows`), and, under the table's own name, the view that shows both together. A
column of names has numbers in the rows, and names in the view.
"""

from dataclasses import replace
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from otc_assets.calculations import tables_of
from otc_assets.calculations.research_snapshot import research_snapshot
from otc_assets.domain.datasets import ATS, Dataset
from otc_assets.domain.tables import (
    EVENTS,
    INCIDENTS,
    LINEAGE,
    LISTINGS,
    NAMES,
    REJECTS,
    REQUESTS,
    Column,
    ColumnType,
    Table,
    from_lineage,
)

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

STORE = sa.Table(
    "store",
    sa.MetaData(),
    sa.Column("store_id", sa.Text(), nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint("store_id", name="pk_store"),
)
"""The one row that says which store this is; of the whole database, not of a dataset."""


def bulk_tables(dataset: Dataset = ATS) -> tuple[Table, ...]:
    """Return the tables that grow with every slice, and are written as frames."""
    raw, *derived = tables_of(dataset)
    return (raw, dataset.described(REJECTS), *derived)


def rows_of(table: Table) -> Table:
    """Return what the database keeps of a bulk table: its own columns, and where they belong."""
    shared = from_lineage(table)
    own = [
        replace(column, type=ColumnType.COUNT) if column.is_name else column
        for column in table.columns
        if column.name not in shared
    ]
    lineage = [LINEAGE.column(name) for name in LINEAGE.key]
    return Table(
        name=f"{table.name}_rows",
        grain=table.grain,
        description=table.description,
        key=(*LINEAGE.key, *(name for name in table.key if name not in shared)),
        columns=(*lineage, *own),
        indexes=table.indexes,
    )


@cache
def metadata(dataset: Dataset) -> sa.MetaData:
    """Return the SQLAlchemy schema of what the database keeps of one dataset."""
    schema = sa.MetaData()
    bulk = bulk_tables(dataset)
    for table in bulk:
        rows = rows_of(table)
        _sql_table(rows, dataset.table_name(rows.name), schema, partitioned=True)
    for table in (t for t in dataset.store_tables if t not in bulk):
        _sql_table(table, dataset.table_name(table.name), schema, partitioned=False)
    return schema


@cache
def views(dataset: Dataset) -> dict[str, sa.schema.CreateView]:
    """Return the views of a dataset by name: one of each bulk table, and research_latest."""
    stored, schema = metadata(dataset).tables, sa.MetaData()
    lineage = stored[dataset.table_name(LINEAGE.name)]
    found = {}
    for table in bulk_tables(dataset):
        query = _whole(table, stored[dataset.table_name(f"{table.name}_rows")], lineage)
        name = dataset.table_name(table.name)
        found[name] = sa.schema.CreateView(query, name, metadata=schema)
        if table.name == research_snapshot.table.name:
            latest = dataset.table_name("research_latest")
            newest = _newest(query, dataset.grain.column.name)
            found[latest] = sa.schema.CreateView(newest, latest, metadata=schema)
    return found


def _whole(table: Table, rows: sa.Table, lineage: sa.Table) -> sa.Select[Any]:
    """Return the rows of a bulk table, each with its lineage and its names."""
    shared, source = from_lineage(table), with_lineage(rows, lineage)
    columns: list[sa.ColumnElement[Any]] = []
    for column in table.columns:
        if column.is_name:
            names = NAME_TABLE.alias(f"{column.name}s")
            source = source.outerjoin(names, names.c.number == rows.c[column.name])
            columns.append(names.c.name.label(column.name))
        elif column.name in shared:
            columns.append(lineage.c[shared[column.name]].label(column.name))
        else:
            columns.append(rows.c[column.name])
    return sa.select(*columns).select_from(source)


def name_of(number: sa.ColumnElement[Any]) -> sa.ScalarSelect[Any]:
    """Return, as a value of a query, the name that a number of a bulk table's row stands for."""
    named = sa.select(NAME_TABLE.c.name).where(NAME_TABLE.c.number == number)
    return named.correlate_except(NAME_TABLE).scalar_subquery()


def with_lineage(rows: sa.Table, lineage: sa.Table) -> sa.Join:
    """Return rows of a bulk table, each beside what it has in common with others."""
    return rows.join(lineage, sa.and_(*(rows.c[name] == lineage.c[name] for name in LINEAGE.key)))


def _newest(snapshot: sa.Select[Any], period: str) -> sa.Select[Any]:
    """Return what is known now: of each symbol in a week the newest row, unless it was removed."""
    rows = snapshot.subquery()
    newest = sa.func.row_number().over(
        partition_by=[rows.c[period], rows.c.tier, rows.c.symbol],
        order_by=rows.c.as_of_date.desc(),
    )
    ranked = sa.select(*rows.c, newest.label("newest")).subquery()
    known = sa.select(*(ranked.c[column.name] for column in rows.c))
    return known.where(ranked.c.newest == sa.literal_column("1"), sa.not_(ranked.c.is_removed))


def sql_table(name: str, dataset: Dataset) -> sa.Table:
    """Return one table of a dataset to read from, given its plain name."""
    name = dataset.table_name(name)
    view = views(dataset).get(name)
    return metadata(dataset).tables[name] if view is None else view.table


def rows_table(name: str, dataset: Dataset) -> sa.Table:
    """Return the rows of a bulk table, to write to, given its plain name."""
    return metadata(dataset).tables[dataset.table_name(f"{name}_rows")]


def _sql_table(table: Table, name: str, schema: sa.MetaData, *, partitioned: bool) -> sa.Table:
    options: dict[str, Any] = {}
    if partitioned:
        options["postgresql_partition_by"] = "RANGE (slice)"
    if table not in (EVENTS, NAMES):  # their numbers count up, which needs SQLite's rowid
        options["sqlite_with_rowid"] = False
    return sa.Table(
        name,
        schema,
        *(_sql_column(table, column) for column in table.columns),
        sa.PrimaryKeyConstraint(*table.key, name=f"pk_{name}"),
        *(sa.Index(f"ix_{name}_{'_'.join(names)}", *names) for names in table.indexes),
        **options,
    )


def _sql_column(table: Table, column: Column) -> sa.Column[Any]:
    sql_type = SQL_TYPES[column.type]
    if table is EVENTS and column.name in table.key:
        sql_type = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    # In every row: four bytes rather than eight.
    if column.name in (*LINEAGE.key, *NAMES.key) or column.is_name:
        sql_type = sa.Integer()
    return sa.Column(column.name, sql_type, nullable=column.nullable)


EVENT_LOG = _sql_table(EVENTS, EVENTS.name, STORE.metadata, partitioned=False)
"""Of the whole database as well: its migration makes it, with what keeps it from being changed."""
sa.Index("ix_events_event_id", EVENT_LOG.c.event_id, unique=True)

NAME_TABLE = _sql_table(NAMES, NAMES.name, STORE.metadata, partitioned=False)
"""Of the whole database too: what bulk tables of every dataset have numbers of."""
sa.Index("ix_names_name_hash", NAME_TABLE.c.name_hash, unique=True)

REQUEST_COUNTS = _sql_table(REQUESTS, REQUESTS.name, STORE.metadata, partitioned=False)
"""Of the whole database too."""
SET_LISTINGS = _sql_table(LISTINGS, LISTINGS.name, STORE.metadata, partitioned=False)
"""Of the whole database too."""
INCIDENT_LOG = _sql_table(INCIDENTS, INCIDENTS.name, STORE.metadata, partitioned=False)
"""Of the whole database too."""
IS_OPEN = INCIDENT_LOG.c.resolved_at.is_(None)
sa.Index(
    "ix_incidents_open",
    INCIDENT_LOG.c.subject,
    unique=True,
    sqlite_where=IS_OPEN,
    postgresql_where=IS_OPEN,
)
