"""Writes that are not worth a wait for another writer: what is kept of FINRA beside the slices."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

LOCK_WAIT_MS = 1000

IMPATIENT = {
    "sqlite": f"PRAGMA busy_timeout = {LOCK_WAIT_MS}",
    "postgresql": f"SET lock_timeout = {LOCK_WAIT_MS}",
}


def insert_of(table: sa.Table, engine: sa.Engine) -> postgresql.Insert | sqlite.Insert:
    """Return the INSERT of a database that can update what is there."""
    if engine.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


def execute_impatiently(
    engine: sa.Engine, statement: sa.Executable, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Execute a statement for rows, all or none of them.

    Raises:
        sqlalchemy.exc.DatabaseError: another writer took too long.

    """
    with engine.connect() as connection:
        try:
            connection.exec_driver_sql(IMPATIENT[engine.dialect.name])
            connection.execute(statement, rows)
            connection.commit()
        finally:
            connection.invalidate()  # who has it next is more patient
