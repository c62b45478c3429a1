"""the store has an id.

Revision ID: 0004
Revises: 0003

Archive, features and page carry the id of the store that they are of, so that no other one writes
among them.
"""

import uuid
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    table = op.create_table(
        "store",
        sa.Column("store_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("store_id", name="pk_store"),
    )
    row = {"store_id": str(uuid.uuid4()), "created_at": datetime.now(UTC)}
    op.bulk_insert(table, [row])


def downgrade() -> None:
    op.drop_table("store")
