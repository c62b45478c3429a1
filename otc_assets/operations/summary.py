"""One hash over all that is in the store."""

import hashlib
from collections.abc import Iterable

import sqlalchemy as sa

from otc_assets.calculations import tables_of
from otc_assets.domain.tables import REJECTS, REVISIONS
from otc_assets.warehouse.reader import SliceReader

LINEAGE = {
    "execution_id",
    "batch_id",
    "correlation_id",
    "ingested_at",
    "computed_at",
}
"""Columns that say who wrote a row and when: all that a second run may change."""


def fingerprint(reader: SliceReader) -> str:
    """Return one hash over all content of the store, lineage aside.

    Equal for equal content, on both databases, whatever runs have written it.
    """
    digest = hashlib.sha256()
    raw, *derived = tables_of(reader.dataset)
    kept = [reader.table(name) for name in (REVISIONS.name, REJECTS.name)]
    for table in (raw, *kept, *derived):
        target = reader.sql_table(table.name)
        columns = [target.c[c.name] for c in table.columns if c.name not in LINEAGE]
        digest.update(table.name.encode())
        # In the order of the bytes, which does not depend on a server's collation.
        lines = sorted(_line(row) for row in reader.connection.execute(sa.select(*columns)))
        digest.update("\n".join(lines).encode())
    return digest.hexdigest()


def _line(row: Iterable[object]) -> str:
    return "|".join(_text(value) for value in row)


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float):
        return repr(int(value)) if value.is_integer() else repr(value)
    return str(value)
