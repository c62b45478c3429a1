"""Alembic's entry: run the migrations on the connection that `otc_assets.warehouse.migrate` opened.

To write a migration: `alembic` needs a database, which `make migration m="what changes"` provides.
"""

from typing import Any

from alembic import context
from alembic.operations.ops import CreateTableOp

from otc_assets.domain.datasets import every_dataset
from otc_assets.warehouse.schema import STORE, metadata

connection = context.config.attributes["connection"]


def _create_only_what_is_new(_context: object, _revision: object, directives: list[Any]) -> None:
    """Let a generated migration pass by a table that `migrate` has made from its description."""
    for operation in directives[0].upgrade_ops.ops if directives else ():
        if isinstance(operation, CreateTableOp):
            operation.if_not_exists = True


context.configure(
    connection=connection,
    target_metadata=[STORE.metadata, *(metadata(dataset) for dataset in every_dataset())],
    render_as_batch=False,
    process_revision_directives=_create_only_what_is_new,
)
with context.begin_transaction():
    context.run_migrations()
