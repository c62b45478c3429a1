"""What the Query API tells, a second dataset, and slices that failed.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "dead_letters",
        sa.Column("week_ending", sa.Date(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("archive_key", sa.Text(), nullable=True),
        sa.Column("first_failed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("correlation_id", sa.Text(), nullable=False),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("week_ending", "tier", name="pk_dead_letters"),
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    op.create_table(
        "non_ats_concentration",
        sa.Column("week_ending", sa.Date(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("venue_count", sa.BigInteger(), nullable=False),
        sa.Column("hhi", sa.Double(), nullable=True),
        sa.Column("concentration_level", sa.Text(), nullable=True),
        sa.Column("top_venue_mpid", sa.Text(), nullable=True),
        sa.Column("top_venue_share_pct", sa.Double(), nullable=True),
        sa.Column("calc_name", sa.Text(), nullable=False),
        sa.Column("calc_version", sa.Text(), nullable=False),
        sa.Column("as_of_date", sa.Date(), nullable=False),
        sa.Column("source_revision", sa.BigInteger(), nullable=False),
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("correlation_id", sa.Text(), nullable=False),
        sa.Column("computed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "week_ending", "tier", "symbol", "calc_version", name="pk_non_ats_concentration"
        ),
        postgresql_partition_by="RANGE (week_ending)",
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    op.create_table(
        "non_ats_dead_letters",
        sa.Column("week_ending", sa.Date(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("archive_key", sa.Text(), nullable=True),
        sa.Column("first_failed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("correlation_id", sa.Text(), nullable=False),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("week_ending", "tier", name="pk_non_ats_dead_letters"),
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    op.create_table(
        "non_ats_events",
        sa.Column(
            "event_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("week_ending", sa.Date(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column(
            "payload",
            sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"),
            nullable=False,
        ),
        sa.Column("causation_id", sa.Text(), nullable=True),
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("correlation_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("event_number", name="pk_non_ats_events"),
        if_not_exists=True,
    )
    op.create_index(
        "ix_non_ats_events_week_ending_tier_event_number",
        "non_ats_events",
        ["week_ending", "tier", "event_number"],
        unique=False,
    )
    op.create_table(
        "non_ats_liquidity_score",
        sa.Column("week_ending", sa.Date(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("liquidity_score", sa.Double(), nullable=True),
        sa.Column("calc_name", sa.Text(), nullable=False),
        sa.Column("calc_version", sa.Text(), nullable=False),
        sa.Column("as_of_date", sa.Date(), nullable=False),
        sa.Column("source_revision", sa.BigInteger(), nullable=False),
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("correlation_id", sa.Text(), nullable=False),
        sa.Column("computed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("week_ending", "tier", "symbol", name="pk_non_ats_liquidity_score"),
        postgresql_partition_by="RANGE (week_ending)",
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    op.create_table(
        "non_ats_manifest",
        sa.Column("week_ending", sa.Date(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column(
            "row_counts",
            sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"),
            nullable=False,
        ),
        sa.Column("source_revision", sa.BigInteger(), nullable=True),
        sa.Column("source_file", sa.Text(), nullable=True),
        sa.Column("source_sha256", sa.Text(), nullable=True),
        sa.Column("source_bytes", sa.BigInteger(), nullable=True),
        sa.Column("source_version", sa.Text(), nullable=True),
        sa.Column("expected_publication_date", sa.Date(), nullable=False),
        sa.Column("revision_date", sa.Date(), nullable=True),
        sa.Column("quality_score", sa.Double(), nullable=True),
        sa.Column("quality_grade", sa.Text(), nullable=True),
        sa.Column("quality_status", sa.Text(), nullable=True),
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("correlation_id", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("week_ending", "tier", name="pk_non_ats_manifest"),
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    op.create_table(
        "non_ats_quality_checks",
        sa.Column("week_ending", sa.Date(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("is_expected", sa.Boolean(), nullable=False),
        sa.Column(
            "details",
            sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"),
            nullable=False,
        ),
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("correlation_id", sa.Text(), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "week_ending", "tier", "table_name", "rule", name="pk_non_ats_quality_checks"
        ),
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    op.create_table(
        "non_ats_raw",
        sa.Column("week_ending", sa.Date(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("source_revision", sa.BigInteger(), nullable=False),
        sa.Column("line_number", sa.BigInteger(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("mpid", sa.Text(), nullable=False),
        sa.Column("issue_name", sa.Text(), nullable=True),
        sa.Column("venue_name", sa.Text(), nullable=True),
        sa.Column("share_volume", sa.Numeric(asdecimal=False), nullable=False),
        sa.Column("trade_count", sa.BigInteger(), nullable=False),
        sa.Column("product_type", sa.Text(), nullable=True),
        sa.Column("notional", sa.Numeric(asdecimal=False), nullable=True),
        sa.Column("firm_crd", sa.Text(), nullable=True),
        sa.Column("last_reported_date", sa.Date(), nullable=True),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("source_file", sa.Text(), nullable=False),
        sa.Column("source_sha256", sa.Text(), nullable=False),
        sa.Column("publication_date", sa.Date(), nullable=False),
        sa.Column("revision_date", sa.Date(), nullable=False),
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("correlation_id", sa.Text(), nullable=False),
        sa.Column("ingested_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "week_ending", "tier", "source_revision", "line_number", name="pk_non_ats_raw"
        ),
        postgresql_partition_by="RANGE (week_ending)",
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    op.create_table(
        "non_ats_rejects",
        sa.Column("week_ending", sa.Date(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("source_revision", sa.BigInteger(), nullable=False),
        sa.Column("line_number", sa.BigInteger(), nullable=False),
        sa.Column("reason_code", sa.Text(), nullable=False),
        sa.Column("raw_line", sa.Text(), nullable=False),
        sa.Column("source_file", sa.Text(), nullable=False),
        sa.Column("source_sha256", sa.Text(), nullable=False),
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("correlation_id", sa.Text(), nullable=False),
        sa.Column("ingested_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "week_ending", "tier", "source_revision", "line_number", name="pk_non_ats_rejects"
        ),
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    op.create_table(
        "non_ats_research_snapshot",
        sa.Column("week_ending", sa.Date(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("total_volume", sa.Numeric(asdecimal=False), nullable=True),
        sa.Column("total_trades", sa.BigInteger(), nullable=True),
        sa.Column("total_notional", sa.Numeric(asdecimal=False), nullable=True),
        sa.Column("venue_count", sa.BigInteger(), nullable=True),
        sa.Column("avg_trade_size", sa.Double(), nullable=True),
        sa.Column("avg_6w_volume", sa.Double(), nullable=True),
        sa.Column("avg_6w_trades", sa.Double(), nullable=True),
        sa.Column("current_volume", sa.Numeric(asdecimal=False), nullable=True),
        sa.Column("volume_vs_avg_pct", sa.Double(), nullable=True),
        sa.Column("trend", sa.Text(), nullable=True),
        sa.Column("weeks_in_window", sa.BigInteger(), nullable=True),
        sa.Column("is_complete", sa.Boolean(), nullable=True),
        sa.Column("hhi", sa.Double(), nullable=True),
        sa.Column("concentration_level", sa.Text(), nullable=True),
        sa.Column("top_venue_mpid", sa.Text(), nullable=True),
        sa.Column("top_venue_share_pct", sa.Double(), nullable=True),
        sa.Column("liquidity_score", sa.Double(), nullable=True),
        sa.Column("has_rolling_data", sa.Boolean(), nullable=False),
        sa.Column("quality_score", sa.Double(), nullable=True),
        sa.Column("quality_grade", sa.Text(), nullable=True),
        sa.Column("quality_status", sa.Text(), nullable=True),
        sa.Column("is_removed", sa.Boolean(), nullable=False),
        sa.Column("as_of_source", sa.Text(), nullable=False),
        sa.Column("calc_name", sa.Text(), nullable=False),
        sa.Column("calc_version", sa.Text(), nullable=False),
        sa.Column("as_of_date", sa.Date(), nullable=False),
        sa.Column("source_revision", sa.BigInteger(), nullable=False),
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("correlation_id", sa.Text(), nullable=False),
        sa.Column("computed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "week_ending", "tier", "symbol", "as_of_date", name="pk_non_ats_research_snapshot"
        ),
        postgresql_partition_by="RANGE (week_ending)",
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    op.create_table(
        "non_ats_revisions",
        sa.Column("week_ending", sa.Date(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("source_revision", sa.BigInteger(), nullable=False),
        sa.Column("content_sha256", sa.Text(), nullable=False),
        sa.Column("publication_date", sa.Date(), nullable=False),
        sa.Column("revision_date", sa.Date(), nullable=False),
        sa.Column("as_of_source", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("source_file", sa.Text(), nullable=False),
        sa.Column("source_sha256", sa.Text(), nullable=False),
        sa.Column("source_bytes", sa.BigInteger(), nullable=False),
        sa.Column("archive_key", sa.Text(), nullable=False),
        sa.Column("line_count", sa.BigInteger(), nullable=False),
        sa.Column("row_count", sa.BigInteger(), nullable=False),
        sa.Column("reject_count", sa.BigInteger(), nullable=False),
        sa.Column("repeat_count", sa.BigInteger(), nullable=False),
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("correlation_id", sa.Text(), nullable=False),
        sa.Column("ingested_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "week_ending", "tier", "source_revision", name="pk_non_ats_revisions"
        ),
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    op.create_table(
        "non_ats_rolling_6w",
        sa.Column("week_ending", sa.Date(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("avg_6w_volume", sa.Double(), nullable=False),
        sa.Column("avg_6w_trades", sa.Double(), nullable=False),
        sa.Column("current_volume", sa.Numeric(asdecimal=False), nullable=False),
        sa.Column("volume_vs_avg_pct", sa.Double(), nullable=True),
        sa.Column("trend", sa.Text(), nullable=False),
        sa.Column("weeks_in_window", sa.BigInteger(), nullable=False),
        sa.Column("is_complete", sa.Boolean(), nullable=False),
        sa.Column("calc_name", sa.Text(), nullable=False),
        sa.Column("calc_version", sa.Text(), nullable=False),
        sa.Column("as_of_date", sa.Date(), nullable=False),
        sa.Column("source_revision", sa.BigInteger(), nullable=False),
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("correlation_id", sa.Text(), nullable=False),
        sa.Column("computed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("week_ending", "tier", "symbol", name="pk_non_ats_rolling_6w"),
        postgresql_partition_by="RANGE (week_ending)",
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    op.create_table(
        "non_ats_symbol_summary",
        sa.Column("week_ending", sa.Date(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("total_volume", sa.Numeric(asdecimal=False), nullable=False),
        sa.Column("total_trades", sa.BigInteger(), nullable=False),
        sa.Column("total_notional", sa.Numeric(asdecimal=False), nullable=True),
        sa.Column("venue_count", sa.BigInteger(), nullable=False),
        sa.Column("avg_trade_size", sa.Double(), nullable=True),
        sa.Column("calc_name", sa.Text(), nullable=False),
        sa.Column("calc_version", sa.Text(), nullable=False),
        sa.Column("as_of_date", sa.Date(), nullable=False),
        sa.Column("source_revision", sa.BigInteger(), nullable=False),
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("correlation_id", sa.Text(), nullable=False),
        sa.Column("computed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("week_ending", "tier", "symbol", name="pk_non_ats_symbol_summary"),
        postgresql_partition_by="RANGE (week_ending)",
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    op.create_table(
        "non_ats_venue_share",
        sa.Column("week_ending", sa.Date(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("mpid", sa.Text(), nullable=False),
        sa.Column("total_volume", sa.Numeric(asdecimal=False), nullable=False),
        sa.Column("total_trades", sa.BigInteger(), nullable=False),
        sa.Column("total_notional", sa.Numeric(asdecimal=False), nullable=True),
        sa.Column("symbol_count", sa.BigInteger(), nullable=False),
        sa.Column("market_share_pct", sa.Double(), nullable=True),
        sa.Column("rank", sa.BigInteger(), nullable=False),
        sa.Column("calc_name", sa.Text(), nullable=False),
        sa.Column("calc_version", sa.Text(), nullable=False),
        sa.Column("as_of_date", sa.Date(), nullable=False),
        sa.Column("source_revision", sa.BigInteger(), nullable=False),
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("correlation_id", sa.Text(), nullable=False),
        sa.Column("computed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("week_ending", "tier", "mpid", name="pk_non_ats_venue_share"),
        postgresql_partition_by="RANGE (week_ending)",
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    op.create_table(
        "non_ats_venue_volume",
        sa.Column("week_ending", sa.Date(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("mpid", sa.Text(), nullable=False),
        sa.Column("share_volume", sa.Numeric(asdecimal=False), nullable=False),
        sa.Column("trade_count", sa.BigInteger(), nullable=False),
        sa.Column("notional", sa.Numeric(asdecimal=False), nullable=True),
        sa.Column("avg_trade_size", sa.Double(), nullable=True),
        sa.Column("record_hash", sa.LargeBinary(), nullable=False),
        sa.Column("calc_name", sa.Text(), nullable=False),
        sa.Column("calc_version", sa.Text(), nullable=False),
        sa.Column("as_of_date", sa.Date(), nullable=False),
        sa.Column("source_revision", sa.BigInteger(), nullable=False),
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("correlation_id", sa.Text(), nullable=False),
        sa.Column("computed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "week_ending", "tier", "symbol", "mpid", name="pk_non_ats_venue_volume"
        ),
        postgresql_partition_by="RANGE (week_ending)",
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    op.add_column("manifest", sa.Column("source_version", sa.Text(), nullable=True))
    op.add_column("raw", sa.Column("notional", sa.Numeric(asdecimal=False), nullable=True))
    op.add_column("raw", sa.Column("firm_crd", sa.Text(), nullable=True))
    op.add_column("raw", sa.Column("last_reported_date", sa.Date(), nullable=True))
    op.add_column(
        "research_snapshot", sa.Column("total_notional", sa.Numeric(asdecimal=False), nullable=True)
    )
    op.add_column(
        "symbol_summary", sa.Column("total_notional", sa.Numeric(asdecimal=False), nullable=True)
    )
    op.add_column(
        "venue_share", sa.Column("total_notional", sa.Numeric(asdecimal=False), nullable=True)
    )
    op.add_column("venue_volume", sa.Column("notional", sa.Numeric(asdecimal=False), nullable=True))


def downgrade() -> None:
    """Take the change back."""
    op.drop_column("venue_volume", "notional")
    op.drop_column("venue_share", "total_notional")
    op.drop_column("symbol_summary", "total_notional")
    op.drop_column("research_snapshot", "total_notional")
    op.drop_column("raw", "last_reported_date")
    op.drop_column("raw", "firm_crd")
    op.drop_column("raw", "notional")
    op.drop_column("manifest", "source_version")
    op.drop_table("non_ats_venue_volume")
    op.drop_table("non_ats_venue_share")
    op.drop_table("non_ats_symbol_summary")
    op.drop_table("non_ats_rolling_6w")
    op.drop_table("non_ats_revisions")
    op.drop_table("non_ats_research_snapshot")
    op.drop_table("non_ats_rejects")
    op.drop_table("non_ats_raw")
    op.drop_table("non_ats_quality_checks")
    op.drop_table("non_ats_manifest")
    op.drop_table("non_ats_liquidity_score")
    op.drop_index("ix_non_ats_events_week_ending_tier_event_number", table_name="non_ats_events")
    op.drop_table("non_ats_events")
    op.drop_table("non_ats_dead_letters")
    op.drop_table("non_ats_concentration")
    op.drop_table("dead_letters")
