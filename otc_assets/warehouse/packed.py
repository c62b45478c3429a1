"""Reads PostgreSQL column by column: a query answers with one value for each, and not with rows.

A row costs the server a message, the driver a tuple and Python an object for each value. A packed
column is the bytes of its values one after the other, which NumPy and Arrow take as they are. The
server has the whole answer in memory for a moment, up to 1 GB a column.
"""

import json
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from otc_assets.domain.shares import MILLIONTHS
from otc_assets.domain.tables import EXACT, ColumnType

END_OF_TEXT = b"\0"
"""Between two texts: none can hold it in PostgreSQL."""
NULL_TEXT = b"\xff"
"""Stands for null: no UTF-8 has this byte."""
NULL_INTEGER = int(np.iinfo("int64").min)
"""Stands for null among counts and quantities, none of which is so low."""

FROM_TEXT: dict[ColumnType, Callable[[str], Any]] = {
    ColumnType.DATE: date.fromisoformat,
    ColumnType.TIMESTAMP: datetime.fromisoformat,
    ColumnType.JSON: json.loads,
}
"""What SQLite has as text, and a packed column too."""


def select_packed(
    connection: sa.Connection, query: sa.Select[Any], kinds: Mapping[str, ColumnType]
) -> dict[str, Any]:
    """Return the columns of a query as arrays, in the order of its rows, given their types."""
    quote = connection.dialect.identifier_preparer.quote
    columns: list[Any] = [
        sa.literal_column(_packed(quote(name), kind)) for name, kind in kinds.items()
    ]
    answer = connection.execute(sa.select(*columns).select_from(query.subquery())).one()
    return {
        name: _unpacked(values, kind)
        for (name, kind), values in zip(kinds.items(), answer, strict=True)
    }


def _packed(name: str, kind: ColumnType) -> str:
    """Return the SQL of a column's bytes, given its quoted name."""
    if kind is ColumnType.NUMBER:
        return f"string_agg(float8send(coalesce({name}, 'NaN')), '')"
    if kind in (ColumnType.COUNT, *EXACT):
        number = f"{name} * {MILLIONTHS}" if kind in EXACT else name
        return f"string_agg(int8send(coalesce(({number})::bigint, {NULL_INTEGER})), '')"
    text = f"encode({name}, 'hex')" if kind is ColumnType.HASH else f"{name}::text"
    null, end = (rf"'\x{each.hex()}'" for each in (NULL_TEXT, END_OF_TEXT))
    return f"string_agg(coalesce(textsend({text}), {null}), {end})"


def _unpacked(values: bytes | None, kind: ColumnType) -> Any:
    """Return a column's values as an array; None: the query has no rows."""
    if kind is ColumnType.NUMBER:
        return np.frombuffer(values or b"", ">f8").astype("float64")
    if kind in (ColumnType.COUNT, *EXACT):
        numbers = np.frombuffer(values or b"", ">i8").astype("int64")
        is_null = numbers == NULL_INTEGER
        return pd.arrays.IntegerArray(numbers, is_null) if is_null.any() else numbers
    texts = pa.array([], pa.large_string()) if values is None else _texts(values)
    if kind is ColumnType.TEXT:
        return pd.array(texts, dtype="str")
    if kind is ColumnType.FLAG:
        return pc.equal(texts, "true").fill_null(False).to_numpy(zero_copy_only=False)
    parse = bytes.fromhex if kind is ColumnType.HASH else FROM_TEXT[kind]
    found = [None if text is None else parse(text) for text in texts.to_pylist()]
    return pd.Series(found, dtype=object)


def _texts(values: bytes) -> pa.Array:
    texts = pc.split_pattern(pa.array([values], pa.large_binary()), END_OF_TEXT).values
    if NULL_TEXT in values:
        texts = pc.if_else(pc.equal(texts, NULL_TEXT), None, texts)
    return texts.cast(pa.large_string())
