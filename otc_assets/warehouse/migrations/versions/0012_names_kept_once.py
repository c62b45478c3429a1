"""names kept once.

Revision ID: 0012
Revises: 0011

Rows of raw repeated the names of their issue and venue, half of the table. From here on they have the
number of a row of `names`, and the view shows the name. A column cannot change its type in place in
SQLite, nor by a join in PostgreSQL: each table is made anew, by one statement over its rows.
"""

import hashlib
import re
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

COLUMNS = ("issue_name", "venue_name")
PARTITION = re.compile(r"_y[0-9]{4}$")
HASH_BYTES = 16
BATCH = 10_000


def upgrade() -> None:
    """Apply the change."""
    names = op.create_table(
        "names",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_names"),
    )
    op.create_index("ix_names_name_hash", "names", ["name_hash"], unique=True)
    tables = _tables_with_names()
    _enter_names(names, tables)
    _help_to_look_up()
    for table, columns in tables.items():
        _make_anew(table, columns, sa.Integer(), "number", "name")
    if not _is_postgres():
        op.drop_index("ix_names_name", "names")


def downgrade() -> None:
    """Take the change back."""
    for table, columns in _tables_with_names().items():
        _make_anew(table, columns, sa.Text(), "name", "number")
    op.drop_table("names")


def _is_postgres() -> bool:
    return bool(op.get_bind().dialect.name == "postgresql")


def _tables_with_names() -> dict[str, list[str]]:
    """Return the rows of raw of each dataset that has names, and their columns."""
    inspector = sa.inspect(op.get_bind())
    found = {
        table: [c["name"] for c in inspector.get_columns(table) if c["name"] in COLUMNS]
        for table in inspector.get_table_names()
        if table.endswith("raw_rows") and not PARTITION.search(table)
    }
    return {table: columns for table, columns in found.items() if columns}


def _enter_names(names: sa.Table, tables: dict[str, list[str]]) -> None:
    """Insert each name once, in the order of texts."""
    found: set[str] = set()
    for table, columns in tables.items():
        for column in columns:
            query = f"SELECT DISTINCT {column} FROM {table} WHERE {column} IS NOT NULL"
            found.update(op.get_bind().exec_driver_sql(query).scalars())
    rows = [{"name": name, "name_hash": _hash_of(name)} for name in sorted(found)]
    for start in range(0, len(rows), BATCH):
        op.get_bind().execute(sa.insert(names), rows[start : start + BATCH])


def _hash_of(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()[:HASH_BYTES]


def _help_to_look_up() -> None:
    """Let the join with names be a fast one: PostgreSQL hashes them, SQLite needs an index."""
    if _is_postgres():
        op.execute("ANALYZE names")
    else:
        op.create_index("ix_names_name", "names", ["name"])


def _make_anew(table: str, names: list[str], kind: sa.types.TypeEngine[Any], gives: str, by: str) -> None:
    """Make a table anew with other values in its columns of names: each one's row of `names` has them."""
    inspector = sa.inspect(op.get_bind())
    columns = inspector.get_columns(table)
    key = inspector.get_pk_constraint(table)["constrained_columns"]
    old = f"{table}_old"
    partitions = _partitions_of(table)
    op.rename_table(table, old)
    for partition in partitions:
        op.rename_table(partition, f"{partition}_old")
    op.create_table(
        table,
        *(
            sa.Column(c["name"], kind if c["name"] in names else c["type"], nullable=c["nullable"])
            for c in columns
        ),
        # PostgreSQL gets it when the rows are there, and the old table has left its name.
        *([] if _is_postgres() else [sa.PrimaryKeyConstraint(*key, name=f"pk_{table}")]),
        postgresql_partition_by="RANGE (slice)",
        sqlite_with_rowid=False,
    )
    for partition, bounds in partitions.items():
        op.execute(f"CREATE TABLE {partition} PARTITION OF {table} {bounds}")
    values = [f"{c}s.{gives}" if c in names else f"{old}.{c}" for c in (c["name"] for c in columns)]
    joins = [f"LEFT JOIN names AS {name}s ON {name}s.{by} = {old}.{name}" for name in names]
    op.execute(f"INSERT INTO {table} SELECT {', '.join(values)} FROM {old} {' '.join(joins)}")
    op.drop_table(old)
    if _is_postgres():
        op.create_primary_key(f"pk_{table}", table, key)


def _partitions_of(table: str) -> dict[str, str]:
    """Return PostgreSQL's partitions of a table, and what each is for."""
    if not _is_postgres():
        return {}
    query = (
        "SELECT relname, pg_get_expr(relpartbound, oid) FROM pg_class "
        "JOIN pg_inherits ON inhrelid = oid WHERE inhparent = CAST(:t AS regclass)"
    )
    found = op.get_bind().execute(sa.text(query), {"t": table})
    return dict(sorted((name, bounds) for name, bounds in found))
