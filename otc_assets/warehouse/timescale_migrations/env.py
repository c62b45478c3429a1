"""Alembic's entry for the migrations that only TimescaleDB needs, with a version of their own."""

from alembic import context

from otc_assets.warehouse.schema import POSTGRES_SCHEMA
from otc_assets.warehouse.timescale import VERSION_TABLE, extension_schema

connection = context.config.attributes["connection"]
schema = extension_schema(connection)
connection.exec_driver_sql(f"SET LOCAL search_path TO {POSTGRES_SCHEMA}, {schema}")

context.configure(connection=connection, version_table=VERSION_TABLE)
with context.begin_transaction():
    context.run_migrations()
