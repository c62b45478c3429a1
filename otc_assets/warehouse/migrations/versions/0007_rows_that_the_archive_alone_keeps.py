"""rows that the archive alone keeps.

Revision ID: 0007
Revises: 0006

Retention removes rows and keeps their lineage, which says when. All rows that are there stay.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

LINEAGES = ("lineage", "non_ats_lineage")


def upgrade() -> None:
    """Apply the change."""
    for name in LINEAGES:
        op.add_column(name, sa.Column("pruned_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    """Take the change back, unless that would forget which rows the archive alone keeps."""
    for name in LINEAGES:
        lineage = sa.table(name, sa.column("pruned_at"))
        pruned = sa.select(lineage.c.pruned_at).where(lineage.c.pruned_at.is_not(None)).limit(1)
        if op.get_bind().execute(pruned).first():
            raise ValueError(f"{name}: rows are kept in the archive alone; run `otc restore` first")
        op.drop_column(name, "pruned_at")
