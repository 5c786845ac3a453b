"""Which reading of a document took the place of which, and when: the pairs that a change feed is computed from."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "version_changes",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("collection", sa.String(200), nullable=False, index=True),
        sa.Column("document", sa.String(1000), nullable=False),
        sa.Column("before", sa.String(80), nullable=False),
        sa.Column("before_parser", sa.String(80), nullable=False),
        sa.Column("after", sa.String(80), nullable=False),
        sa.Column("after_parser", sa.String(80), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, index=True),
    )
