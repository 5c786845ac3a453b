"""Alembic's entry: runs the migrations on the connection that `governance.store` hands over."""

from alembic import context

from governance.store import Record

context.configure(connection=context.config.attributes["connection"], target_metadata=Record.metadata)
with context.begin_transaction():
    context.run_migrations()
