"""hypertables and weekly summaries.

Revision ID: 0001
Revises:

A partitioned table cannot become a hypertable: each is made anew, and its rows are moved. The time of a
row is its slice, the number YYYYMMDDT (T: the tier), so that 1,000 numbers are a calendar month, which
has four or five weeks, and 10 are a day, which has one.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

PREFIXES = ("", "non_ats_")
OWN_KEY = {"raw_rows": "line_number", "venue_volume_rows": "symbol, mpid"}
ORDER = {"raw_rows": "symbol, line_number", "venue_volume_rows": "symbol, mpid"}
A_MONTH, A_WEEK = 1000, 10
SUMMARY = "weekly_summary_agg"


def upgrade() -> None:
    """Apply the change."""
    # Numbers of slices cannot be subtracted to get weeks: what policies count from is 12 weeks ago.
    op.execute(
        "CREATE FUNCTION slice_of_12_weeks_ago() RETURNS integer LANGUAGE sql STABLE AS "
        "$$ SELECT CAST(to_char(current_date - 84, 'YYYYMMDD') AS integer) * 10 $$"
    )
    for prefix in PREFIXES:
        for name in OWN_KEY:
            _to_hypertable(prefix, name)
        _summarize(prefix)


def downgrade() -> None:
    """Take the change back."""
    for prefix in PREFIXES:
        op.execute(f"DROP MATERIALIZED VIEW {prefix}{SUMMARY}")
        for name in OWN_KEY:
            _to_partitions(prefix, name)
    op.execute("DROP FUNCTION slice_of_12_weeks_ago()")


def _to_hypertable(prefix: str, name: str) -> None:
    table, old = f"{prefix}{name}", f"{prefix}{name}_old"
    op.execute(f"ALTER TABLE {table} RENAME TO {old}")
    op.execute(f"CREATE TABLE {table} (LIKE {old})")
    op.execute(
        f"SELECT create_hypertable('{table}', by_range('slice', {A_MONTH}), "
        "create_default_indexes => false)"
    )
    _move(table, old, OWN_KEY[name])
    op.execute(f"SELECT set_integer_now_func('{table}', 'slice_of_12_weeks_ago')")
    # A write of a slice is a segment, so that it is read and deleted without another's rows.
    op.execute(
        f"ALTER TABLE {table} SET (timescaledb.compress, "
        "timescaledb.compress_segmentby = 'slice, lineage_number', "
        f"timescaledb.compress_orderby = '{ORDER[name]}')"
    )
    op.execute(f"SELECT add_compression_policy('{table}', compress_after => 0)")


def _to_partitions(prefix: str, name: str) -> None:
    table, old = f"{prefix}{name}", f"{prefix}{name}_old"
    # Copied from a compressed chunk into a partition, texts may come out wrong: timescaledb#10585.
    op.execute(
        f"SELECT decompress_chunk(chunk, if_compressed => true) FROM show_chunks('{table}') AS chunk"
    )
    op.execute(f"ALTER TABLE {table} RENAME TO {old}")
    op.execute(f"CREATE TABLE {table} (LIKE {old}) PARTITION BY RANGE (slice)")
    years = op.get_bind().exec_driver_sql(f"SELECT DISTINCT slice / 100000 FROM {old}")
    for (year,) in years.all():
        op.execute(
            f"CREATE TABLE {table}_y{year} PARTITION OF {table} "
            f"FOR VALUES FROM ({year}00000) TO ({year + 1}00000)"
        )
    _move(table, old, OWN_KEY[name])


def _move(table: str, old: str, own_key: str) -> None:
    op.execute(f"INSERT INTO {table} SELECT * FROM {old}")
    op.execute(f"DROP TABLE {old}")
    op.execute(
        f"ALTER TABLE {table} ADD CONSTRAINT pk_{table} "
        f"PRIMARY KEY (slice, lineage_number, {own_key})"
    )


def _summarize(prefix: str) -> None:
    """Create the aggregate; its first refresh is its policy's, outside of this transaction."""
    op.execute(
        f"CREATE MATERIALIZED VIEW {prefix}{SUMMARY} "
        "WITH (timescaledb.continuous, timescaledb.materialized_only = true) AS "
        f"SELECT time_bucket({A_WEEK}, slice) AS week, slice, "
        "make_date(slice / 100000, slice / 1000 % 100, slice / 10 % 100) AS week_ending, "
        "CASE slice % 10 WHEN 1 THEN 'NMS Tier 1' WHEN 2 THEN 'NMS Tier 2' ELSE 'OTC' END AS tier, "
        "symbol, sum(share_volume) AS total_volume, "
        "CAST(sum(trade_count) AS bigint) AS total_trades, count(mpid) AS venue_count "
        f"FROM {prefix}venue_volume_rows GROUP BY 1, 2, 3, 4, 5 WITH NO DATA"
    )
    # All that has changed, however old: a week may be backfilled or corrected after years.
    op.execute(
        f"SELECT add_continuous_aggregate_policy('{prefix}{SUMMARY}', start_offset => NULL, "
        "end_offset => NULL, schedule_interval => interval '1 hour')"
    )
