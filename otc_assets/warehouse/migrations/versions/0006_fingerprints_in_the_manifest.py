"""fingerprints in the manifest.

Revision ID: 0006
Revises: 0005

The manifest says what the rows of each table of a slice hash to, so that a row that was changed
afterwards shows. Slices that are there have none until they are written again.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

MANIFESTS = ("manifest", "non_ats_manifest")


def upgrade() -> None:
    """Apply the change."""
    kind = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
    for name in MANIFESTS:
        op.add_column(name, sa.Column("fingerprints", kind, nullable=True))


def downgrade() -> None:
    """Take the change back."""
    for name in MANIFESTS:
        op.drop_column(name, "fingerprints")
