"""Stored sources, which job came from which, and since when a job runs."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the sources and widen the jobs."""
    op.create_table(
        "sources",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("collection", sa.String(200), nullable=False, index=True),
        sa.Column("path", sa.String(2000), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("labels", sa.JSON, nullable=False),
        sa.Column("schedule", sa.String(40), nullable=False),
        sa.Column("seen", sa.String(80), nullable=False),
        sa.Column("problem", sa.String, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("queued_at", sa.DateTime(timezone=True)),
        sa.UniqueConstraint("collection", "path"),
    )
    op.add_column("jobs", sa.Column("source", sa.String(40), nullable=False, server_default=""))
    op.add_column("jobs", sa.Column("started_at", sa.DateTime(timezone=True)))
    op.add_column("jobs", sa.Column("ended_at", sa.DateTime(timezone=True)))
    op.create_index("ix_jobs_source", "jobs", ["source"])
