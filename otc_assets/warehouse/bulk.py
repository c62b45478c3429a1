"""Bulk writes and reads of frames by the drivers' own fast paths.

The one place where a quantity in millionths of a share becomes a number in the database and back.
"""

import io
from collections.abc import Sequence
from decimal import Decimal
from itertools import chain, islice
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import sqlalchemy as sa

from otc_assets.domain.records import HASH_BYTES
from otc_assets.domain.shares import DECIMALS, MILLIONTHS
from otc_assets.domain.tables import EXACT, ColumnType, Table
from otc_assets.warehouse.packed import FROM_TEXT, select_packed

ROWS_A_STATEMENT = 100
"""SQLite takes a third less time for them than for one row a statement."""


def insert_frame(
    connection: sa.Connection, table: Table, sql_table: sa.Table, frame: pd.DataFrame
) -> None:
    """Insert every row of ``frame``, which has a column for each of the table."""
    if frame.empty:
        return
    if connection.dialect.name == "postgresql":
        _copy(connection, table, sql_table, frame)
    else:
        _executemany(connection, table, sql_table, frame)


def _executemany(
    connection: sa.Connection, table: Table, sql_table: sa.Table, frame: pd.DataFrame
) -> None:
    columns = {}
    for column in table.columns:
        values, is_null = frame[column.name], frame[column.name].isna()
        if not is_null.all():  # null by itself, and cheaper so
            columns[column.name] = _sqlite_values(values, is_null, column.type)
    row = f"({', '.join('?' * len(columns))})"

    def insert(rows: int) -> str:
        marks = ", ".join([row] * rows)
        return f"INSERT INTO {sql_table.name} ({', '.join(columns)}) VALUES {marks}"

    driver = connection.connection.driver_connection
    assert driver is not None
    flat = chain.from_iterable(zip(*columns.values(), strict=True))
    whole, rest = divmod(len(frame), ROWS_A_STATEMENT)
    size = ROWS_A_STATEMENT * len(columns)
    driver.executemany(insert(ROWS_A_STATEMENT), (tuple(islice(flat, size)) for _ in range(whole)))
    if rest:
        driver.execute(insert(rest), tuple(flat))


def _sqlite_values(
    values: "pd.Series[Any]", is_null: "pd.Series[bool]", kind: ColumnType
) -> list[Any]:
    if kind in EXACT:
        return _numbers(values)
    if is_null.any():
        return values.astype(object).where(~is_null, None).tolist()
    if kind is ColumnType.TEXT:  # Arrow's strings are slow to walk through one by one
        return list(values.to_numpy(dtype=object))
    return values.tolist()


def _numbers(values: "pd.Series[Any]") -> list[Any]:
    """Return quantities in shares: whole ones as int, which stay whole in SQLite."""
    known = values.dropna()
    whole, rest = known // MILLIONTHS, known % MILLIONTHS
    numbers = whole.astype(object).where(rest == 0, known / MILLIONTHS)
    return list(numbers.reindex(values.index).to_numpy())  # NaN is null to SQLite


def _copy(
    connection: sa.Connection,
    table: Table,
    sql_table: sa.Table,
    frame: pd.DataFrame,
) -> None:
    out: dict[str, pa.Array] = {}
    for column in table.columns:
        name = column.name
        if column.type in EXACT:
            out[name] = _decimal_text(frame[name])
        elif column.type is ColumnType.HASH:
            out[name] = _hex_text(frame[name])
        elif column.type is ColumnType.COUNT and frame[name].dtype.kind == "f":
            out[name] = pa.array(frame[name].astype("Int64"), from_pandas=True)
        else:
            out[name] = pa.array(frame[name], from_pandas=True)
    buffer = io.BytesIO()
    whole = pa.table(out).combine_chunks()  # Arrow writes the strings of some parts wrongly
    pa.csv.write_csv(whole, buffer, pa.csv.WriteOptions(include_header=False))
    driver = connection.connection.driver_connection
    assert driver is not None
    names = ", ".join(out)
    with (
        driver.cursor() as cursor,
        cursor.copy(f"COPY {sql_table.name} ({names}) FROM STDIN (FORMAT csv)") as copy,
    ):
        copy.write(buffer.getvalue())


def _decimal_text(values: "pd.Series[Any]") -> pa.Array:
    """Return quantities in millionths as exact decimals, without zeros at their ends."""
    millionths = pa.array(values, pa.int64(), from_pandas=True).cast(pa.decimal128(19, 0))
    exact = pc.multiply(millionths, pa.scalar(Decimal(1) / MILLIONTHS, pa.decimal128(7, DECIMALS)))
    return pc.utf8_rtrim(pc.utf8_rtrim(exact.cast(pa.string()), "0"), ".")


def _hex_text(hashes: "pd.Series[Any]") -> pa.Array:
    """Return hashes as PostgreSQL reads them, all at once rather than one by one."""
    is_there, stored = pa.array(hashes, pa.binary(HASH_BYTES)).buffers()
    digits = pa.py_buffer(stored.to_pybytes().hex().encode())
    each = pa.Array.from_buffers(pa.binary(2 * HASH_BYTES), len(hashes), [is_there, digits])
    return pc.binary_join_element_wise(r"\x", each.cast(pa.string()), "")


def as_stored(connection: sa.Connection, table: Table, frame: pd.DataFrame) -> pd.DataFrame:
    """Return rows of a table with the values that they have once they were written and read back.

    SQLite rounds fractional quantities of a certain size (see `_millionths`).
    """
    if connection.dialect.name == "postgresql":
        return frame
    exact = [c.name for c in table.columns if c.type in EXACT and c.name in frame]
    return frame.assign(**{name: rounded(frame[name]) for name in exact})


def rounded(quantities: "pd.Series[Any]") -> "pd.Series[Any]":
    """Return quantities with the values that SQLite gives back (see `_millionths`)."""
    numbers = [None if pd.isna(number) else number for number in _numbers(quantities)]
    return pd.Series(_millionths(numbers), quantities.index)


def select_frame(
    connection: sa.Connection,
    table: Table,
    sql_table: sa.Table,
    columns: Sequence[str],
    *where: sa.ColumnElement[bool],
    order_by: Sequence[str] = (),
) -> pd.DataFrame:
    """Read columns of a table into a frame, with the types that `insert_frame` takes."""
    return pd.DataFrame(
        select_columns(connection, table, sql_table, columns, *where, order_by=order_by)
    )


def select_columns(
    connection: sa.Connection,
    table: Table,
    sql_table: sa.Table,
    columns: Sequence[str],
    *where: sa.ColumnElement[bool],
    order_by: Sequence[str] = (),
) -> dict[str, Any]:
    """Read the same as an array for each column: of few rows, a frame costs more than they do."""
    query = sa.select(*(sql_table.c[name] for name in columns)).where(*where)
    query = query.order_by(*(sql_table.c[name] for name in order_by))
    kinds = {name: table.column(name).type for name in columns}
    if connection.dialect.name == "postgresql":
        return select_packed(connection, query, kinds)
    # The driver's own tuples: SQLAlchemy's rows cost as much again.
    rows = connection.execute(query).cursor.fetchall()
    # Column by column: zip(*rows) makes an iterator for each row, and so work for the collector.
    return {
        name: _from_sqlite([row[at] for row in rows], kind)
        for at, (name, kind) in enumerate(kinds.items())
    }


def _from_sqlite(values: Sequence[Any], kind: ColumnType) -> Any:
    if kind in EXACT:
        return _millionths(values)
    if parse := FROM_TEXT.get(kind):
        values = [None if value is None else parse(value) for value in values]
    return _as_array(values, kind)


def as_series(values: Sequence[Any], kind: ColumnType) -> "pd.Series[Any]":
    """Return Python's values of a column, in the type that frames have."""
    return pd.Series(_as_array(values, kind))


def _as_array(values: Sequence[Any], kind: ColumnType) -> Any:
    """Return the same without an index: to align those of all columns costs more than a query."""
    if kind in (ColumnType.COUNT, *EXACT):
        if None in values:
            return pd.array(values, dtype="Int64")
        return np.array(values, dtype="int64")
    if kind is ColumnType.NUMBER:
        return np.array(values, dtype="float64")
    if kind is ColumnType.FLAG:
        return np.array(values, dtype="bool")
    if kind is ColumnType.TEXT:
        return pd.array(values, dtype="str")
    return pd.Series(values, dtype=object)  # pandas would make something else of an array


def _millionths(values: Sequence[Any]) -> Any:
    """Turn SQLite's numbers into millionths.

    Exact for whole numbers, and for six decimals below 2**33 (8.59e9) shares: from there on the
    doubles lie more than a millionth apart.
    """
    if None in values:
        exact = [None if v is None else round(v * MILLIONTHS) for v in values]
        return pd.array(exact, dtype="Int64")
    numbers = np.array(values, dtype="float64")
    whole = np.floor(numbers)
    fraction = np.rint((numbers - whole) * MILLIONTHS)
    return whole.astype("int64") * MILLIONTHS + fraction.astype("int64")
