"""lineage in a table of its own.

Revision ID: 0003
Revises: 0002

Every row carried its slice, source, calculation and run as text. From here on that is one row of
`lineage` for all rows that share it, and a table `x` becomes `x_rows`; `x` itself is a view.
"""

import re
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

PREFIXES = ("non_ats_", "")
NOT_NULL = ("week_ending", "tier", "source_revision", "execution_id", "batch_id", "correlation_id")
NULLABLE = (
    "source",
    "source_file",
    "source_sha256",
    "publication_date",
    "revision_date",
    "calc_name",
    "calc_version",
    "as_of_date",
)
DATES = ("week_ending", "publication_date", "revision_date", "as_of_date")
OF_RAW = ("source", "source_file", "source_sha256", "publication_date", "revision_date")
OF_REJECTS = ("source_file", "source_sha256")
OF_CALCULATIONS = ("calc_name", "calc_version", "as_of_date")
PARTITION = re.compile(r"_y\d{4}$")


def upgrade() -> None:
    """Apply the change."""
    old = [
        name
        for name, columns in _tables().items()
        if "batch_id" in columns and columns & {"calc_name", "line_number"}
    ]
    for prefix in PREFIXES:
        _create_lineage(prefix)
    for name in old:
        _part(_prefix(name), name)


def downgrade() -> None:
    """Take the change back."""
    lineages = [f"{prefix}lineage" for prefix in PREFIXES]
    for name, columns in _tables().items():
        if "lineage_number" in columns and name not in lineages:
            _join(_prefix(name), name.removesuffix("_rows"))
    for name in lineages:
        op.drop_table(name)


def _tables() -> dict[str, set[str]]:
    """Return the columns of every table; raw, rejects and each calculation's are to be found."""
    inspector = sa.inspect(op.get_bind())
    return {
        name: {column["name"] for column in inspector.get_columns(name)}
        for name in inspector.get_table_names()
        if not PARTITION.search(name)
    }


def _prefix(name: str) -> str:
    return next(prefix for prefix in PREFIXES if name.startswith(prefix))


def _create_lineage(prefix: str) -> None:
    name = f"{prefix}lineage"
    op.create_table(
        name,
        sa.Column("slice", sa.Integer(), nullable=False),
        sa.Column("lineage_number", sa.Integer(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("row_count", sa.BigInteger(), nullable=False),
        *(sa.Column(c, _type(c), nullable=False) for c in NOT_NULL),
        *(sa.Column(c, _type(c), nullable=True) for c in NULLABLE),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("slice", "lineage_number", name=f"pk_{name}"),
        sqlite_with_rowid=False,
    )
    index = ["week_ending", "tier"]
    op.create_index(f"ix_{name}_{'_'.join(index)}", name, index)


def _type(column: str) -> sa.types.TypeEngine[Any]:
    if column == "source_revision":
        return sa.BigInteger()
    return sa.Date() if column in DATES else sa.Text()


def _part(prefix: str, name: str) -> None:
    """Move a table's rows into `lineage` and a table of what is their own."""
    inspector = sa.inspect(op.get_bind())
    columns = inspector.get_columns(name)
    key = inspector.get_pk_constraint(name)["constrained_columns"]
    names = [c["name"] for c in columns]
    moment = "computed_at" if "computed_at" in names else "ingested_at"
    shared = [c for c in (*NOT_NULL, *NULLABLE) if c in names]
    own = [c for c in columns if c["name"] not in (*shared, moment)]
    rows, plain = f"{name}_rows", name.removeprefix(prefix)
    op.create_table(
        rows,
        sa.Column("slice", sa.Integer(), nullable=False),
        sa.Column("lineage_number", sa.Integer(), nullable=False),
        *(sa.Column(c["name"], c["type"], nullable=c["nullable"]) for c in own),
        sa.PrimaryKeyConstraint(
            "slice", "lineage_number", *(k for k in key if k not in shared), name=f"pk_{rows}"
        ),
        postgresql_partition_by="RANGE (slice)",
        sqlite_with_rowid=False,
    )
    if plain == "research_snapshot":
        op.create_index(f"ix_{rows}_symbol", rows, ["symbol"])
    years = f"SELECT DISTINCT ({_slice()}) / 100000 FROM {name}"
    _create_partitions(rows, years, "{}00000")
    listed, mine = ", ".join(shared), ", ".join(c["name"] for c in own)
    op.execute(
        f"INSERT INTO {prefix}lineage "
        f"(slice, lineage_number, table_name, row_count, {listed}, written_at) "
        f"SELECT {_slice()}, row_number() OVER (PARTITION BY {_slice()} ORDER BY {listed}) "
        f"+ (SELECT coalesce(max(lineage_number), 0) FROM {prefix}lineage), "
        f"'{plain}', count(*), {listed}, min({moment}) FROM {name} GROUP BY {listed}"
    )
    op.execute(
        f"INSERT INTO {rows} (slice, lineage_number, {mine}) "
        f"SELECT slice, lineage_number, {mine} FROM {name} JOIN {prefix}lineage "
        f"USING ({listed}) WHERE table_name = '{plain}'"
    )
    op.drop_table(name)


def _join(prefix: str, name: str) -> None:
    """Move a table's rows back to where each has its whole lineage."""
    inspector = sa.inspect(op.get_bind())
    rows, plain = f"{name}_rows", name.removeprefix(prefix)
    lineage_key = ["slice", "lineage_number"]
    own = [c for c in inspector.get_columns(rows) if c["name"] not in lineage_key]
    key = inspector.get_pk_constraint(rows)["constrained_columns"][2:]
    of_table, in_key = {
        "raw": (OF_RAW, ["source_revision"]),
        "rejects": (OF_REJECTS, ["source_revision"]),
        "research_snapshot": (OF_CALCULATIONS, ["as_of_date"]),
        "concentration": (OF_CALCULATIONS, ["calc_version"]),
    }.get(plain, (OF_CALCULATIONS, []))
    moment = "ingested_at" if plain in ("raw", "rejects") else "computed_at"
    shared = [*NOT_NULL, *of_table]
    partitioned: dict[str, Any] = {} if plain == "rejects" else {"postgresql_partition_by": "RANGE (week_ending)"}
    op.create_table(
        name,
        *(sa.Column(c, _type(c), nullable=False) for c in shared),
        *(sa.Column(c["name"], c["type"], nullable=c["nullable"]) for c in own),
        sa.Column(moment, sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("week_ending", "tier", *key, *in_key, name=f"pk_{name}"),
        sqlite_with_rowid=False,
        **partitioned,
    )
    if partitioned:
        _create_partitions(name, f"SELECT DISTINCT slice / 100000 FROM {rows}", "'{}-01-01'")
    listed = ", ".join([*shared, *(c["name"] for c in own)])
    op.execute(
        f"INSERT INTO {name} ({listed}, {moment}) SELECT {listed}, written_at "
        f"FROM {rows} JOIN {prefix}lineage USING (slice, lineage_number)"
    )
    op.drop_table(rows)


def _slice() -> str:
    """Return the slice's number in SQL, from week_ending and tier."""
    is_postgres = op.get_bind().dialect.name == "postgresql"
    day = "to_char(week_ending, 'YYYYMMDD')" if is_postgres else "replace(week_ending, '-', '')"
    tier = "CASE tier WHEN 'NMS Tier 1' THEN 1 WHEN 'NMS Tier 2' THEN 2 ELSE 3 END"
    return f"CAST({day} AS integer) * 10 + {tier}"


def _create_partitions(name: str, years: str, bound: str) -> None:
    """Create PostgreSQL's partitions of a table for the years that a query gives."""
    if op.get_bind().dialect.name != "postgresql":
        return
    for (year,) in op.get_bind().execute(sa.text(years)).all():
        first, end = bound.format(year), bound.format(year + 1)
        op.execute(
            f"CREATE TABLE {name}_y{year} PARTITION OF {name} FOR VALUES FROM ({first}) TO ({end})"
        )
