"""Where a version that was moved went, and which texts stood in a collection's index from when until when."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
_INDEXED_NOW = """
INSERT INTO indexed_texts (collection, document, digest, since)
SELECT documents.collection, documents.name, versions.digest, versions.added_at
FROM versions JOIN documents ON documents.id = versions.document_id
WHERE versions.status IN ('active', 'superseded')
"""


def upgrade() -> None:
    """Widen the versions and create the table, with what stands in the index now."""
    op.add_column("versions", sa.Column("moved_to", sa.String(1000), nullable=False, server_default=""))
    op.create_table(
        "indexed_texts",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("collection", sa.String(200), nullable=False, index=True),
        sa.Column("document", sa.String(1000), nullable=False),
        sa.Column("digest", sa.String(80), nullable=False, index=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True)),
    )
    op.execute(_INDEXED_NOW)
