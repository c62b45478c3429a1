"""The fingerprint of a slice's rows in a table: one hash over their content alone.

Equal for equal content on both databases, on every supported Python, and in whatever order rows
come. It is taken of the frame that is written, and again of the rows that are read.

A table is fingerprinted in parts that are written by themselves: raw and rejects by revision, a
derived table by version of its calculation. The fingerprint of a part is the SHA-256, in hex, of:

- the table's name, and the number of rows;
- then, in the order of the table's description, every column that is not null throughout, except
  for the slice, the part's own number and the lineage of runs (`NOT_CONTENT`): its name and type, a
  byte for each row that says whether it has a value (left out where all have one), and the values.

Rows are in the order of their key, texts compared as bytes. Values are little-endian: quantities as
int64 millionths, counts as int64, numbers as IEEE doubles (-0.0 as 0.0), days as int32 days since
1970, flags as bytes (null counts as false), texts and hashes as their int32 lengths followed by all
their bytes (UTF-8). Where there is no value, 0 or nothing stands for it. A column of which every
row has the same value counts that value once, so that lineage kept once costs nothing.

Fractional quantities of 2**33 shares and more are first rounded as SQLite rounds them, whatever the
database: the last decimals of such a quantity are in no fingerprint. A column that is null
throughout counts for nothing, so a later version's new column changes no older fingerprint.
"""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import date
from functools import reduce
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from otc_assets.domain.shares import MILLIONTHS
from otc_assets.domain.tables import (
    COMPUTED_AT,
    EXACT,
    INGESTED_AT,
    RUN,
    SLICE,
    Column,
    ColumnType,
    Table,
)
from otc_assets.warehouse.bulk import rounded
from otc_assets.warehouse.cache import DOUBLES_ARE_EXACT_BELOW

NOT_CONTENT = {column.name for column in (*SLICE, *RUN, INGESTED_AT, COMPUTED_AT)}
"""Columns that say which slice it is, who wrote a row and when."""

Fingerprints = dict[str, str]
"""Of one table of a slice: each part (a revision, or a calculation's version) and its hash."""

_TYPES = {
    ColumnType.TEXT: pa.large_string(),
    ColumnType.HASH: pa.large_binary(),
    ColumnType.DATE: pa.date32(),
    ColumnType.NUMBER: pa.float64(),
    ColumnType.COUNT: pa.int64(),
    **dict.fromkeys(EXACT, pa.int64()),
}


def part_column(table: Table) -> str:
    """Return the column whose values part a table: calc_version, or else source_revision."""
    names = {column.name for column in table.columns}
    return "calc_version" if "calc_version" in names else "source_revision"


def content_of(table: Table) -> list[str]:
    """Return the columns that are content; those of `NOT_CONTENT` and the period are not."""
    apart = {*NOT_CONTENT, table.key[0]}
    return [column.name for column in table.columns if column.name not in apart]


def fingerprints(
    table: Table, frame: pd.DataFrame, constants: Mapping[str, Any] | None = None
) -> Fingerprints:
    """Return the fingerprint of each part of a slice's rows in a table.

    Args:
        table: the table.
        frame: rows of one slice; quantities are in millionths.
        constants: the value of each column that all rows share and the frame lacks.

    """
    part, shared = part_column(table), dict(constants or {})
    if part in shared:
        return {str(shared[part]): _digest(table, frame, shared)}
    parts = frame[part].unique()
    if len(parts) == 1:
        return {str(parts[0]): _digest(table, frame, shared)}
    return {str(each): _digest(table, frame[frame[part] == each], shared) for each in parts}


def fingerprint_of_nothing(table: Table) -> str:
    """Return the fingerprint of a part that has no rows."""
    return _digest(table, pd.DataFrame(), {})


def _digest(table: Table, frame: pd.DataFrame, constants: Mapping[str, Any]) -> str:
    names = {*content_of(table)} - {part_column(table)}
    content = [column for column in table.columns if column.name in names]
    digest = hashlib.sha256(f"{table.name} {len(frame)}\n".encode())
    if frame.empty:
        return digest.hexdigest()
    arrays = {
        column.name: _array(frame[column.name], column.type)
        if column.name in frame
        else pa.array([constants[column.name]], _TYPES[column.type])
        for column in content
    }
    order = _order([arrays[column.name] for column in content if column.name in table.key])
    for column in content:
        array = arrays[column.name]
        if array.null_count == len(array):
            continue
        if order is not None and len(array) > 1:
            array = array.take(order)
        for piece in _pieces(column, array):
            digest.update(piece)
    return digest.hexdigest()


def _array(values: "pd.Series[Any]", kind: ColumnType) -> pa.Array:
    """Return a column's values in the one type that stands for its kind; a shared value once."""
    if kind is ColumnType.FLAG:
        return _shared(pa.array(values.astype("boolean").fillna(False).to_numpy("uint8")))
    if kind is ColumnType.COUNT and values.dtype.kind == "f":
        values = values.astype("Int64")
    as_bytes = pa.large_binary() if kind is ColumnType.HASH else None  # spares a cast
    array = pa.array(values, as_bytes, from_pandas=True)
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0) if array.num_chunks == 1 else pa.concat_arrays(array.chunks)
    array = _shared(array).cast(_TYPES[kind])
    return _as_both_hold(array) if kind in EXACT else array


def _shared(array: pa.Array) -> pa.Array:
    """Return the one value that all rows have, or else all values."""
    may_be = array.null_count == 0 and array[0] == array[-1]  # which is cheap to see
    return array[:1] if may_be and pc.all(pc.equal(array, array[0])).as_py() else array


def _as_both_hold(millionths: pa.Array) -> pa.Array:
    """Round those quantities that SQLite cannot hold exactly as it does."""
    largest = pc.max(pc.abs(millionths)).as_py() or 0
    if largest < DOUBLES_ARE_EXACT_BELOW:
        return millionths
    exact = pd.Series(millionths.to_pandas(integer_object_nulls=True), dtype="Int64")
    inexact = (exact.abs() >= DOUBLES_ARE_EXACT_BELOW) & (exact % MILLIONTHS != 0)
    inexact = inexact.fillna(False).astype(bool)
    exact = exact.mask(inexact, rounded(exact[inexact]).astype("Int64"))
    return pa.array(exact, pa.int64(), from_pandas=True)


def _order(key: list[pa.Array]) -> pa.Array | None:
    """Return the places of the rows in the order of their key; None if they are in it.

    They mostly are, and to look costs a tenth of sorting them.
    """
    key = [column for column in key if len(column) > 1]  # not those that all rows share
    if not key or pc.all(_rises(key)).as_py():
        return None
    names = [str(number) for number in range(len(key))]
    rows = pa.table(dict(zip(names, key, strict=True)))
    return pc.sort_indices(rows, sort_keys=[(name, "ascending") for name in names])


def _rises(key: list[pa.Array]) -> pa.Array:
    """Tell of each row whether its key is above that of the row before."""
    pairs = [(column[:-1], column[1:]) for column in reversed(key)]
    first, *rest = pairs
    return reduce(
        lambda above, pair: pc.or_(pc.less(*pair), pc.and_(pc.equal(*pair), above)),
        rest,
        pc.less(*first),
    )


def _pieces(column: Column, array: pa.Array) -> Iterator[Any]:
    """Yield the bytes that a column is hashed as."""
    yield f"{column.name} {column.type.value} {len(array)} {array.null_count}\n".encode()
    if array.null_count:
        yield array.is_valid().cast(pa.uint8()).to_numpy()
        nothing = {ColumnType.TEXT: "", ColumnType.HASH: b"", ColumnType.DATE: date(1970, 1, 1)}
        array = array.fill_null(nothing.get(column.type, 0))
    if column.type in (ColumnType.TEXT, ColumnType.HASH):
        yield from _texts(array)
    elif column.type is ColumnType.DATE:
        yield array.cast(pa.int32()).to_numpy()
    elif column.type is ColumnType.NUMBER:
        yield array.to_numpy() + 0.0  # -0.0 becomes 0.0
    else:
        yield array.to_numpy()


def _texts(array: pa.Array) -> Iterator[Any]:
    """Yield the lengths of all texts, then their bytes, one after the other."""
    _, offsets, data = array.buffers()
    places = np.frombuffer(offsets, "int64")[array.offset : array.offset + len(array) + 1]
    yield np.diff(places).astype("int32")
    if data is not None:
        yield memoryview(data)[places[0] : places[-1]]
