"""one stream of events, which the database keeps from being changed.

Revision ID: 0005
Revises: 0004

`events` and `non_ats_events` become one table of the store. Old events keep their ids, causes, facts
and order; both streams are joined by time. What an event is of becomes its aggregate.
"""

from datetime import date
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

STREAMS = {"ats": "events", "non_ats": "non_ats_events"}
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")
MOMENT = sa.DateTime(timezone=True)
SHARED = ("event_id", "event_type", "payload", "causation_id", "correlation_id", "created_at")
INDEXES = (("aggregate_type", "aggregate_id", "sequence"), ("event_type", "created_at"), ("causation_id",))
STATUS = {"RAW_RECORDS_INGESTED": "ingested", "CALCULATION_COMPLETED": "written"}
REFUSAL = "events are only ever appended: they are not changed, deleted or truncated"


def upgrade() -> None:
    """Apply the change."""
    streams = [_old_stream(dataset, name) for dataset, name in STREAMS.items()]
    for name in STREAMS.values():
        op.drop_table(name)
    table = op.create_table(
        "events",
        sa.Column("sequence", NUMBER, nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("aggregate_type", sa.Text(), nullable=False),
        sa.Column("aggregate_id", sa.Text(), nullable=False),
        sa.Column("payload", JSON, nullable=False),
        sa.Column("metadata", JSON, nullable=False),
        sa.Column("correlation_id", sa.Text(), nullable=False),
        sa.Column("causation_id", sa.Text(), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_events"),
    )
    op.create_index("ix_events_event_id", "events", ["event_id"], unique=True)
    for columns in INDEXES:
        op.create_index(f"ix_events_{'_'.join(columns)}", "events", list(columns))
    ordered = sorted((pair for stream in streams for pair in stream), key=lambda pair: pair[0])
    op.bulk_insert(table, [event for _, event in ordered])
    _refuse_changes()


def downgrade() -> None:
    """Take the change back."""
    query = sa.text("SELECT * FROM events ORDER BY sequence").columns(
        payload=JSON, metadata=JSON, created_at=MOMENT
    )
    events = [dict(row) for row in op.get_bind().execute(query).mappings()]
    op.drop_table("events")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION refuse_change_of_events()")
    for dataset, name in STREAMS.items():
        table = op.create_table(
            name,
            sa.Column("event_number", NUMBER, nullable=False),
            sa.Column("event_id", sa.Text(), nullable=False),
            sa.Column("event_type", sa.Text(), nullable=False),
            sa.Column("week_ending", sa.Date(), nullable=False),
            sa.Column("tier", sa.Text(), nullable=False),
            sa.Column("payload", JSON, nullable=False),
            sa.Column("causation_id", sa.Text(), nullable=True),
            sa.Column("execution_id", sa.Text(), nullable=False),
            sa.Column("batch_id", sa.Text(), nullable=False),
            sa.Column("correlation_id", sa.Text(), nullable=False),
            sa.Column("created_at", MOMENT, nullable=False),
            sa.PrimaryKeyConstraint("event_number", name=f"pk_{name}"),
        )
        index = ["week_ending", "tier", "event_number"]
        op.create_index(f"ix_{name}_{'_'.join(index)}", name, index)
        op.bulk_insert(table, [e for each in events if (e := _downgraded(each, dataset))])


def _old_stream(dataset: str, name: str) -> list[tuple[Any, dict[str, Any]]]:
    """Return the events of a dataset in their order, each with where it belongs among all."""
    query = sa.text(f"SELECT * FROM {name} ORDER BY event_number").columns(
        payload=JSON, week_ending=sa.Date(), created_at=MOMENT
    )
    stream: list[tuple[Any, dict[str, Any]]] = []
    for row in op.get_bind().execute(query).mappings():
        # A clock that was set back does not change the order within a dataset.
        at = max(stream[-1][0][0], row["created_at"]) if stream else row["created_at"]
        stream.append(((at, dataset, row["event_number"]), _upgraded(row, dataset)))
    return stream


def _upgraded(row: Any, dataset: str) -> dict[str, Any]:
    day, payload = row["week_ending"].isoformat(), dict(row["payload"])
    aggregate = ("slice", f"{dataset} {row['tier']}:{day}")
    if row["event_type"] == "FILE_DOWNLOADED" and "source_sha256" in payload:
        aggregate = ("file", payload["source_sha256"])
        payload |= {"dataset": dataset, "tier": row["tier"], "week_ending": day}
    if status := STATUS.get(row["event_type"]):
        payload["status"] = status
    if "calculation" in payload and row["event_type"] == "CALCULATION_COMPLETED":
        payload["table"] = payload["calculation"]
    return {
        **{name: row[name] for name in SHARED},
        "aggregate_type": aggregate[0],
        "aggregate_id": aggregate[1],
        "payload": payload,
        "metadata": {name: row[name] for name in ("execution_id", "batch_id")},
    }


def _downgraded(event: dict[str, Any], dataset: str) -> dict[str, Any] | None:
    payload = event["payload"]
    if event["aggregate_type"] == "file":
        name, tier, day = payload["dataset"], payload["tier"], payload["week_ending"]
    else:
        name, _, week = event["aggregate_id"].partition(" ")
        tier, _, day = week.partition(":")
    if name != dataset:
        return None
    return {
        **{column: event[column] for column in SHARED},
        "week_ending": date.fromisoformat(day),
        "tier": tier,
        **{column: event["metadata"][column] for column in ("execution_id", "batch_id")},
    }


def _refuse_changes() -> None:
    """Let the database refuse what would change the past."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION refuse_change_of_events() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{REFUSAL}'; END $$"
        )
        op.execute(
            "CREATE TRIGGER events_are_only_appended BEFORE UPDATE OR DELETE OR TRUNCATE ON events "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_events()"
        )
        return
    for change in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER events_refuse_{change.lower()} BEFORE {change} ON events "
            f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
        )
    # INSERT OR REPLACE deletes the row that is in its way, and no trigger for DELETE sees it.
    op.execute(
        "CREATE TRIGGER events_refuse_replace BEFORE INSERT ON events WHEN EXISTS (SELECT 1 FROM "
        "events WHERE sequence = NEW.sequence OR event_id = NEW.event_id) "
        f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
    )
