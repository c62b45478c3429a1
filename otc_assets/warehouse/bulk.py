"""Bulk writes and reads of frames by the drivers' own fast paths.

The one place where a quantity in millionths of a share becomes a number in the database and back.
"""

import io
import json
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from itertools import repeat
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import sqlalchemy as sa

from otc_assets.domain.shares import MILLIONTHS, format_shares
from otc_assets.domain.tables import EXACT, ColumnType, Table

Constant = str | int | date | datetime | None


def insert_frame(
    connection: sa.Connection,
    table: Table,
    sql_table: sa.Table,
    frame: pd.DataFrame,
    constants: dict[str, Constant],
) -> None:
    """Insert every row of ``frame``; ``constants`` are columns with one value for all of them.

    Raises:
        ValueError: a column of the table is neither in the frame nor among the constants.

    """
    names = [column.name for column in table.columns]
    if unknown := set(names) - set(frame.columns) - set(constants):
        raise ValueError(f"{table.name}: no value for {', '.join(sorted(unknown))}")
    if frame.empty:
        return
    if connection.dialect.name == "postgresql":
        _copy(connection, table, sql_table, frame, constants)
    else:
        _executemany(connection, table, sql_table, frame, constants)


def _executemany(
    connection: sa.Connection,
    table: Table,
    sql_table: sa.Table,
    frame: pd.DataFrame,
    constants: dict[str, Constant],
) -> None:
    columns: list[Any] = []
    for column in table.columns:
        if column.name in frame:
            columns.append(_sqlite_values(frame[column.name], column.type))
        else:
            columns.append(repeat(sqlite_value(constants[column.name])))
    names = ", ".join(column.name for column in table.columns)
    marks = ", ".join("?" * len(columns))
    driver = connection.connection.driver_connection
    assert driver is not None
    driver.executemany(
        f"INSERT INTO {sql_table.name} ({names}) VALUES ({marks})",
        zip(*columns, strict=False),
    )


def sqlite_value(value: Constant) -> Constant:
    """Return a date or time in the text form in which SQLAlchemy keeps it in SQLite."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    return value.isoformat() if isinstance(value, date) else value


def _sqlite_values(values: "pd.Series[Any]", kind: ColumnType) -> list[Any]:
    if kind in EXACT:
        return _numbers(values)
    if values.isna().any():
        return values.astype(object).where(values.notna(), None).tolist()
    if kind is ColumnType.TEXT:  # Arrow's strings are slow to walk through one by one
        return list(values.to_numpy(dtype=object))
    return values.tolist()


def _numbers(values: "pd.Series[Any]") -> list[Any]:
    """Return quantities in shares: whole ones as int, which stay whole in SQLite."""
    if values.isna().any():
        return [None if pd.isna(v) else int(v) / MILLIONTHS for v in values]
    if (values % MILLIONTHS == 0).all():
        return list((values // MILLIONTHS).tolist())
    return [v // MILLIONTHS if v % MILLIONTHS == 0 else v / MILLIONTHS for v in values.tolist()]


def _copy(
    connection: sa.Connection,
    table: Table,
    sql_table: sa.Table,
    frame: pd.DataFrame,
    constants: dict[str, Constant],
) -> None:
    out: dict[str, pa.Array] = {}
    for column in table.columns:
        name = column.name
        if name not in frame:
            value = constants[name]
            text = value.isoformat() if isinstance(value, date) else value
            out[name] = pa.repeat(pa.scalar(text), len(frame))
        elif column.type in EXACT:
            out[name] = pa.array(_decimal_text(frame[name]), from_pandas=True)
        elif column.type is ColumnType.HASH:
            out[name] = pa.array([rf"\x{value.hex()}" for value in frame[name]])
        elif column.type is ColumnType.COUNT and frame[name].dtype.kind == "f":
            out[name] = pa.array(frame[name].astype("Int64"), from_pandas=True)
        elif column.type is ColumnType.TEXT:
            # Anew: Arrow writes the strings of a part of a longer array wrongly.
            out[name] = pa.array(frame[name].to_numpy(dtype=object), from_pandas=True)
        else:
            out[name] = pa.array(frame[name], from_pandas=True)
    buffer = io.BytesIO()
    pa.csv.write_csv(pa.table(out), buffer, pa.csv.WriteOptions(include_header=False))
    driver = connection.connection.driver_connection
    assert driver is not None
    names = ", ".join(out)
    with (
        driver.cursor() as cursor,
        cursor.copy(f"COPY {sql_table.name} ({names}) FROM STDIN (FORMAT csv)") as copy,
    ):
        copy.write(buffer.getvalue())


def _decimal_text(values: "pd.Series[Any]") -> Any:
    if values.notna().all() and (values % MILLIONTHS == 0).all():
        return values // MILLIONTHS
    return [None if pd.isna(v) else format_shares(v) for v in values]


def select_frame(
    connection: sa.Connection,
    table: Table,
    sql_table: sa.Table,
    columns: Sequence[str],
    *where: sa.ColumnElement[bool],
    order_by: Sequence[str] = (),
) -> pd.DataFrame:
    """Read columns of a table into a frame, with the types that `insert_frame` takes."""
    exact = connection.dialect.name == "postgresql"
    expressions = [_expression(sql_table.c[name], table, name, exact=exact) for name in columns]
    query = sa.select(*expressions).where(*where).order_by(*(sql_table.c[n] for n in order_by))
    # The driver's own tuples: SQLAlchemy's rows cost as much again.
    rows = connection.execute(query).cursor.fetchall()
    values = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
    return pd.DataFrame(
        {
            name: _typed(column, table.column(name).type, exact=exact)
            for name, column in zip(columns, values, strict=True)
        }
    )


def _expression(
    column: sa.Column[Any], table: Table, name: str, *, exact: bool
) -> sa.ColumnElement[Any]:
    if table.column(name).type in EXACT and exact:
        return sa.cast(column * MILLIONTHS, sa.BigInteger).label(name)
    return column


def _typed(values: Sequence[Any], kind: ColumnType, *, exact: bool) -> "pd.Series[Any]":
    if kind in EXACT and not exact:
        return _millionths(values)
    if kind in (ColumnType.COUNT, *EXACT):
        missing = any(value is None for value in values)
        return pd.Series(values, dtype="Int64" if missing else "int64")
    if kind is ColumnType.NUMBER:
        return pd.Series(values, dtype="float64")
    if kind is ColumnType.FLAG:
        return pd.Series(values, dtype="bool")
    if kind is ColumnType.TEXT:
        return pd.Series(values, dtype="str")
    if kind in FROM_SQLITE and not exact:
        parse = FROM_SQLITE[kind]
        values = [None if value is None else parse(value) for value in values]
    return pd.Series(values, dtype=object)


FROM_SQLITE: dict[ColumnType, Callable[[str], Any]] = {
    ColumnType.DATE: date.fromisoformat,
    ColumnType.TIMESTAMP: datetime.fromisoformat,
    ColumnType.JSON: json.loads,
}
"""What SQLite has as text."""


def _millionths(values: Sequence[Any]) -> "pd.Series[Any]":
    """Turn SQLite's numbers into millionths.

    Exact for whole numbers, and for six decimals below 2**33 (8.59e9) shares: from there on the
    doubles lie more than a millionth apart.
    """
    if any(value is None for value in values):
        return pd.Series(
            [None if v is None else round(v * MILLIONTHS) for v in values], dtype="Int64"
        )
    numbers = np.array(values, dtype="float64")
    whole = np.floor(numbers)
    fraction = np.rint((numbers - whole) * MILLIONTHS)
    return pd.Series(whole.astype("int64") * MILLIONTHS + fraction.astype("int64"))
