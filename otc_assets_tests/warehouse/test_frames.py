"""Rows that SQLAlchemy has written, value by value, are what a frame of them holds."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa

from otc_assets.domain.shares import MILLIONTHS
from otc_assets.domain.tables import Column, ColumnType, Table
from otc_assets.warehouse.bulk import select_frame
from otc_assets.warehouse.engine import create_engine
from otc_assets.warehouse.schema import SQL_TYPES

pytestmark = pytest.mark.unmigrated

MOMENT = datetime(2026, 1, 26, 9, 0, 0, 120_000, tzinfo=UTC)
VALUES: dict[ColumnType, list[Any]] = {
    ColumnType.TEXT: ["", "a", None, "two\nlines\r\n", "ÿ", "🏛", "\\x00", "NULL", "\x1f|,\"'"],
    ColumnType.DATE: [date(2014, 5, 16), None, date(2026, 2, 28)],
    ColumnType.SHARES: [Decimal(0), Decimal("0.000001"), None, Decimal("8589934591.999999")],
    ColumnType.DOLLARS: [Decimal("12.5"), None, Decimal(9_000_000_000)],
    ColumnType.COUNT: [0, -1, None, 2**62],
    ColumnType.NUMBER: [0.1, -1e300, None, 5e-324, float("inf")],
    ColumnType.FLAG: [True, False],
    ColumnType.HASH: [bytes(16), bytes(range(240, 256)), b"\\x" * 8],
    ColumnType.TIMESTAMP: [MOMENT, None],
    ColumnType.JSON: [{"a": [1, "é", None]}, [], "text"],
}
KEY = Column("number", ColumnType.COUNT, "")


@pytest.fixture
def connection(database_url: str) -> Iterator[sa.Connection]:
    """A connection to an empty database, with the settings that a store has."""
    engine = create_engine(database_url)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@pytest.mark.parametrize("kind", ColumnType)
def test_every_value_of_a_type_is_read_as_it_is(connection: sa.Connection, kind: ColumnType):
    for values in ([], *([value] for value in VALUES[kind]), VALUES[kind]):
        found = read_back(connection, kind, values)
        assert [None if missing(value) else value for value in found] == values


@pytest.mark.parametrize("kind", ColumnType)
def test_the_type_of_a_column_does_not_depend_on_the_database(
    connection: sa.Connection, kind: ColumnType
):
    types = {
        ColumnType.TEXT: "str",
        ColumnType.SHARES: "int64",
        ColumnType.DOLLARS: "int64",
        ColumnType.COUNT: "int64",
        ColumnType.NUMBER: "float64",
        ColumnType.FLAG: "bool",
    }
    known = [value for value in VALUES[kind] if value is not None]
    assert frame_of(connection, kind, known)["value"].dtype == types.get(kind, "object")
    assert len(frame_of(connection, kind, [])) == 0


def read_back(connection: sa.Connection, kind: ColumnType, values: list[Any]) -> list[Any]:
    """Return values that were written and read; quantities in shares again."""
    found = frame_of(connection, kind, values)["value"].tolist()
    if kind in (ColumnType.SHARES, ColumnType.DOLLARS):
        return [v if missing(v) else Decimal(v) / MILLIONTHS for v in found]
    if kind is ColumnType.TIMESTAMP:  # SQLite has no zone: all of ours are UTC
        return [v if missing(v) else v.replace(tzinfo=UTC) for v in found]
    return found


def frame_of(connection: sa.Connection, kind: ColumnType, values: list[Any]) -> pd.DataFrame:
    """Write values into a table of their own, and return it read into a frame."""
    value = Column("value", kind, "", nullable=True)
    described = Table("things", "thing", "", ("number",), (KEY, value))
    table = sa.Table(
        "things",
        sa.MetaData(),
        sa.Column("number", sa.BigInteger, primary_key=True),
        sa.Column("value", SQL_TYPES[kind]),
        prefixes=["TEMPORARY"],
    )
    table.create(connection)
    if values:
        rows = [{"number": number, "value": each} for number, each in enumerate(values)]
        connection.execute(sa.insert(table), rows[::-1])
    found = select_frame(connection, described, table, ["number", "value"], order_by=["number"])
    table.drop(connection)
    assert found["number"].tolist() == list(range(len(values)))
    return found


def missing(value: Any) -> bool:
    """Tell whether a cell is null."""
    return value is None or (pd.api.types.is_scalar(value) and bool(pd.isna(value)))
