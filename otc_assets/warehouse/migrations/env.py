"""Alembic's entry: run the migrations on the connection that `otc_assets.warehouse.migrate` opened.

To write a migration: `alembic` needs a database, which `make migration m="what changes"` provides.
"""

from alembic import context

from otc_assets.warehouse.schema import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata(), render_as_batch=False)
with context.begin_transaction():
    context.run_migrations()
