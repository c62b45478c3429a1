"""requests to FINRA are counted.

Revision ID: 0008
Revises: 0007

What FINRA answered, and how fast, outlives the processes that asked.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "finra_requests",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("le", sa.Text(), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("day", "outcome", "le", name="pk_finra_requests"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Take the change back, with the counts."""
    op.drop_table("finra_requests")
