"""months, blocks and days.

Revision ID: 0011
Revises: 0010

The tables of the datasets of another grain: those that no calculation fills. Each is named by its dataset,
and its slices by the dataset's own period.
"""

import re
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

MONTHLY = (
    "symbol text, mpid text, issue_name text?, venue_name text?, share_volume exact, trade_count count, "
    "product_type text?, notional exact?, firm_crd text?, last_reported_date date?"
)
BLOCKS = (
    "block_type text, mpid text, venue_name text?, share_volume exact, trade_count count, "
    "block_volume exact, block_count count, avg_trade_size number?, avg_block_size number?, "
    "block_trade_part_pct number?, block_share_part_pct number?, block_market_pct number?, "
    "block_market_rank count?, market_pct number?"
)
SHORT_VOLUME = (
    "symbol text, market text, short_volume exact, short_exempt_volume exact, total_volume exact"
)
DATASETS = {
    "monthly_non_ats": ("month", MONTHLY),
    "ats_blocks": ("month", BLOCKS),
    "otc_blocks": ("month", BLOCKS),
    "reg_sho_daily": ("trade_date", SHORT_VOLUME),
}
"""By dataset: the column that names the period, and what a line of raw says."""

PARTITION = re.compile(r"_y[0-9]{4}$")
RUN = "execution_id text, batch_id text, correlation_id text"
TYPES: dict[str, sa.types.TypeEngine[Any]] = {
    "text": sa.Text(),
    "date": sa.Date(),
    "exact": sa.Numeric(asdecimal=False),
    "count": sa.BigInteger(),
    "small": sa.Integer(),
    "number": sa.Double(),
    "flag": sa.Boolean(),
    "hash": sa.LargeBinary(),
    "moment": sa.DateTime(timezone=True),
    "json": sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"),
}


def upgrade() -> None:
    """Apply the change."""
    for dataset, (period, content) in DATASETS.items():
        of_slice = f"{period} date, tier text"
        for name, columns, key in _tables(period, of_slice, content):
            _create(f"{dataset}_{name}", columns, key)
        op.create_index(f"ix_{dataset}_lineage_{period}_tier", f"{dataset}_lineage", [period, "tier"])


def downgrade() -> None:
    """Take the change back, with the rows, also those of the calculations' own tables."""
    for name in sa.inspect(op.get_bind()).get_table_names():
        is_ours = any(name.startswith(f"{dataset}_") for dataset in DATASETS)
        if is_ours and not PARTITION.search(name):
            op.drop_table(name)


def _tables(period: str, of_slice: str, content: str) -> list[tuple[str, str, list[str]]]:
    """Return the name, the columns and the key of each table of a dataset."""
    of_rows = "slice small, lineage_number small, line_number count"
    return [
        (
            "raw_rows",
            f"{of_rows}, {content}, content_hash hash",
            ["slice", "lineage_number", "line_number"],
        ),
        (
            "rejects_rows",
            f"{of_rows}, reason_code text, raw_line text",
            ["slice", "lineage_number", "line_number"],
        ),
        (
            "revisions",
            f"{of_slice}, source_revision count, content_sha256 text, publication_date date, "
            "revision_date date, as_of_source text, source text, source_file text, source_sha256 text, "
            "source_bytes count, archive_key text, line_count count, row_count count, reject_count count, "
            f"repeat_count count, {RUN}, ingested_at moment",
            [period, "tier", "source_revision"],
        ),
        (
            "manifest",
            f"{of_slice}, status text, reason text?, stage text, row_counts json, fingerprints json?, "
            "source_revision count?, source_file text?, source_sha256 text?, source_bytes count?, "
            "source_version text?, expected_publication_date date, revision_date date?, "
            "quality_score number?, quality_grade text?, quality_status text?, "
            f"{RUN}, updated_at moment",
            [period, "tier"],
        ),
        (
            "quality_checks",
            f"{of_slice}, table_name text, rule text, passed flag, severity text, is_expected flag, "
            f"details json, {RUN}, checked_at moment",
            [period, "tier", "table_name", "rule"],
        ),
        (
            "dead_letters",
            f"{of_slice}, error text, attempts count, archive_key text?, first_failed_at moment, "
            f"{RUN}, failed_at moment",
            [period, "tier"],
        ),
        (
            "lineage",
            "slice small, lineage_number small, table_name text, row_count count, pruned_at moment?, "
            f"{of_slice}, source_revision count, source text?, source_file text?, source_sha256 text?, "
            "publication_date date?, revision_date date?, calc_name text?, calc_version text?, "
            f"as_of_date date?, {RUN}, written_at moment",
            ["slice", "lineage_number"],
        ),
    ]


def _create(name: str, columns: str, key: list[str]) -> None:
    pairs = [column.split(" ") for column in columns.split(", ")]
    partitioned: dict[str, Any] = {"postgresql_partition_by": "RANGE (slice)"} if name.endswith("_rows") else {}
    op.create_table(
        name,
        *(sa.Column(c, TYPES[kind.rstrip("?")], nullable=kind.endswith("?")) for c, kind in pairs),
        sa.PrimaryKeyConstraint(*key, name=f"pk_{name}"),
        sqlite_with_rowid=False,
        **partitioned,
    )
