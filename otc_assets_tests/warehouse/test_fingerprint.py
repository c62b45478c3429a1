"""The fingerprint of rows: what changes it and what does not, against a plain form of its text."""

import hashlib
import struct
from datetime import date, datetime

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otc_assets.calculations import output_tables
from otc_assets.domain.tables import RAW, ColumnType
from otc_assets.warehouse.bulk import as_series
from otc_assets.warehouse.fingerprint import NOT_CONTENT, fingerprints
from otc_assets.warehouse.schema import bulk_tables

LONG_AGO = date(1970, 1, 1)
VALUES = {
    ColumnType.TEXT: st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
    ColumnType.DATE: st.none() | st.dates(date(2014, 1, 1), date(2030, 1, 1)),
    ColumnType.SHARES: st.integers(0, 2**33 * 10**6 - 1),
    ColumnType.DOLLARS: st.none() | st.integers(0, 2**33 * 10**6 - 1),
    ColumnType.COUNT: st.integers(0, 2**40),
    ColumnType.NUMBER: st.none() | st.floats(allow_nan=False, allow_infinity=False),
    ColumnType.FLAG: st.booleans(),
    ColumnType.HASH: st.binary(min_size=16, max_size=16),
}


def packed(value: object, kind: ColumnType) -> bytes:
    if kind is ColumnType.FLAG:
        return struct.pack("<B", bool(value))
    if kind is ColumnType.NUMBER:
        return struct.pack("<d", (value or 0.0) + 0.0)
    if kind is ColumnType.DATE:
        return struct.pack("<i", ((value or LONG_AGO) - LONG_AGO).days)
    return struct.pack("<q", value or 0)


def plainly(table, rows: list[dict], part: str) -> str:
    """The definition, word by word, with no frame, no Arrow and no NumPy."""
    content = [c for c in table.columns if c.name not in NOT_CONTENT and c.name != part]
    key = [c.name for c in content if c.name in table.key]
    rows = sorted(
        rows, key=lambda r: [v.encode() if isinstance(v := r[name], str) else v for name in key]
    )
    text = f"{table.name} {len(rows)}\n".encode()
    for column in content:
        values = [row[column.name] for row in rows]
        nulls = sum(value is None for value in values)
        if nulls == len(values):
            continue
        if all(value == values[0] for value in values):
            values = values[:1]
        text += f"{column.name} {column.type.value} {len(values)} {nulls}\n".encode()
        if nulls:
            text += bytes(value is not None for value in values)
        if column.type in (ColumnType.TEXT, ColumnType.HASH):
            parts = [
                b"" if value is None else value.encode() if isinstance(value, str) else value
                for value in values
            ]
            text += b"".join(struct.pack("<i", len(each)) for each in parts) + b"".join(parts)
        else:
            text += b"".join(packed(value, column.type) for value in values)
    return hashlib.sha256(text).hexdigest()


def frame_of(table, rows: list[dict]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            column.name: as_series([row[column.name] for row in rows], column.type)
            for column in table.columns
            if column.name not in NOT_CONTENT
        }
    )


@st.composite
def tables_with_rows(draw: st.DrawFn):
    table = draw(st.sampled_from(bulk_tables()))
    columns = {c.name: c.type for c in table.columns if c.name not in NOT_CONTENT}
    row = st.fixed_dictionaries({name: VALUES[kind] for name, kind in columns.items()})
    rows = draw(st.lists(row, min_size=1, max_size=5))
    for number, each in enumerate(rows):  # a key of its own, and of one part
        for name in {*table.key} & {*columns}:
            if columns[name] is ColumnType.TEXT:
                each[name] = f"{each[name] or ''}é{number}"
            elif columns[name] is ColumnType.DATE:
                each[name] = each[name] or date(2020, 1, 1)
        if "line_number" in each:
            each["line_number"] = each["line_number"] * 10 + number
        each[part_of(table)] = "v1" if part_of(table) == "calc_version" else 3
    return table, rows


def part_of(table) -> str:
    return "source_revision" if table.name in ("raw", "rejects") else "calc_version"


@given(tables_with_rows(), st.randoms())
def test_it_is_what_its_definition_says_whatever_the_order_of_rows(drawn, random):
    table, rows = drawn
    expected = {str(rows[0][part_of(table)]): plainly(table, rows, part_of(table))}
    assert fingerprints(table, frame_of(table, rows)) == expected
    random.shuffle(rows)
    assert fingerprints(table, frame_of(table, rows)) == expected


@given(tables_with_rows(), st.data())
def test_every_value_counts(drawn, data: st.DataObject):
    table, rows = drawn
    before = fingerprints(table, frame_of(table, rows))
    row = data.draw(st.sampled_from(rows))
    name = data.draw(st.sampled_from([n for n in row if n != part_of(table)]))
    other = data.draw(VALUES[table.column(name).type].filter(lambda value: value != row[name]))
    row[name] = other
    assert fingerprints(table, frame_of(table, rows)) != before


def test_who_wrote_it_and_when_does_not_count():
    (table,) = (table for table in output_tables() if table.name == "venue_share")
    row = {c.name: None for c in table.columns} | {"calc_version": "v1", "mpid": "A"}
    frame = frame_of(table, [row])
    before = fingerprints(table, frame)
    lineage = {"execution_id": "x", "batch_id": "y", "correlation_id": "z"}
    assert fingerprints(table, frame.assign(**lineage, computed_at=datetime.now())) == before


def test_what_all_rows_share_counts_the_same_as_a_column_and_as_a_constant():
    columns = [c for c in RAW.columns if c.name not in NOT_CONTENT]
    row = {column.name: None for column in columns} | {"symbol": "A", "source_revision": 1}
    frame = frame_of(RAW, [row | {"line_number": n, "source_file": "x"} for n in (2, 3)])
    shared = {"source_revision": 1, "source_file": "x"}
    apart = frame.drop(columns=list(shared))
    assert fingerprints(RAW, apart, shared) == fingerprints(RAW, frame)


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (8_589_934_592_000_001, 8_589_934_592_000_002, True),  # from 2**33 shares on
        (8_589_934_591_000_001, 8_589_934_591_000_000, False),
        (8_589_934_593_000_000, 8_589_934_592_000_000, False),  # whole ones are exact
    ],
)
def test_only_what_sqlite_cannot_hold_does_not_count(one: int, other: int, equal: bool):
    columns = [c for c in RAW.columns if c.name not in NOT_CONTENT]
    row = {column.name: None for column in columns} | {"line_number": 2, "source_revision": 1}
    prints = [fingerprints(RAW, frame_of(RAW, [row | {"share_volume": v}])) for v in (one, other)]
    assert (prints[0] == prints[1]) is equal
