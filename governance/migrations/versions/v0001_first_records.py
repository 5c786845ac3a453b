"""The first records: documents with versions, generations, releases, channels, principals, traces, jobs."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    _create_corpus_tables()
    _create_release_tables()
    _create_work_tables()


def _create_corpus_tables() -> None:
    op.create_table(
        "documents",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("collection", sa.String(200), nullable=False, index=True),
        sa.Column("name", sa.String(1000), nullable=False),
        sa.Column("source_root", sa.String(2000), nullable=False),
        sa.UniqueConstraint("collection", "name"),
    )
    op.create_table(
        "versions",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("document_id", sa.Integer, sa.ForeignKey("documents.id"), nullable=False, index=True),
        sa.Column("digest", sa.String(80), nullable=False, index=True),
        sa.Column("parser", sa.String(80), nullable=False),
        sa.Column("title", sa.String(2000), nullable=False),
        sa.Column("media_type", sa.String(100), nullable=False),
        sa.Column("labels", sa.JSON, nullable=False),
        sa.Column("status", sa.String(20), nullable=False, index=True),
        sa.Column("effective_from", sa.Date, nullable=False),
        sa.Column("effective_to", sa.Date),
        sa.Column("pages", sa.Integer, nullable=False),
        sa.Column("characters", sa.Integer, nullable=False),
        sa.Column("chunks", sa.Integer, nullable=False),
        sa.Column("warnings", sa.JSON, nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("document_id", "digest"),
    )


def _create_release_tables() -> None:
    op.create_table(
        "generations",
        sa.Column("id", sa.String(80), primary_key=True),
        sa.Column("collection", sa.String(200), nullable=False, index=True),
        sa.Column("snapshot", sa.String(80), nullable=False),
        sa.Column("embedder", sa.String(80), nullable=False),
        sa.Column("points", sa.Integer, nullable=False),
        sa.Column("documents", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "releases",
        sa.Column("id", sa.String(80), primary_key=True),
        sa.Column("manifest", sa.JSON, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "channels",
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("release_id", sa.String(80), sa.ForeignKey("releases.id"), nullable=False),
        sa.Column("switched_at", sa.DateTime(timezone=True), nullable=False),
    )


def _create_work_tables() -> None:
    op.create_table(
        "principals",
        sa.Column("name", sa.String(200), primary_key=True),
        sa.Column("role", sa.String(40), nullable=False),
        sa.Column("labels", sa.JSON, nullable=False),
    )
    op.create_table(
        "traces",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, index=True),
        sa.Column("collection", sa.String(200), nullable=False, index=True),
        sa.Column("principal", sa.String(200), nullable=False),
        sa.Column("conversation", sa.String(80), nullable=False, index=True),
        sa.Column("release_id", sa.String(80), nullable=False),
        sa.Column("question", sa.String, nullable=False),
        sa.Column("abstained", sa.Boolean, nullable=False),
        sa.Column("body", sa.JSON, nullable=False),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("parameters", sa.JSON, nullable=False),
        sa.Column("status", sa.String(20), nullable=False, index=True),
        sa.Column("progress", sa.Double, nullable=False),
        sa.Column("message", sa.String, nullable=False),
        sa.Column("result", sa.JSON, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, index=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
    )
