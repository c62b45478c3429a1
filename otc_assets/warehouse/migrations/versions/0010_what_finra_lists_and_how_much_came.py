"""what FINRA lists, and how much came.

Revision ID: 0010
Revises: 0009

Which weeks FINRA no longer offers is known without asking it, and so is how much of a month's
volume has been received.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")


def upgrade() -> None:
    """Apply the change; of earlier requests nobody knows the bytes."""
    op.create_table(
        "finra_listings",
        sa.Column("set_name", sa.Text(), nullable=False),
        sa.Column("weeks", JSON, nullable=False),
        sa.Column("asked_on", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("set_name", name="pk_finra_listings"),
        sqlite_with_rowid=False,
    )
    received = sa.Column("received_bytes", sa.BigInteger(), nullable=False, server_default="0")
    op.add_column("finra_requests", received)


def downgrade() -> None:
    """Take the change back, with the bytes that were counted."""
    op.drop_column("finra_requests", "received_bytes")
    op.drop_table("finra_listings")
