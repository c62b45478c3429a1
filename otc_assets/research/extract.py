"""Files of a table or of an answer, for other programs: Parquet, CSV or Arrow.

The schema's metadata name the source and FINRA's terms, as those of the feature files do.
"""

import io
import json
import os
import sys
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import IO, Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from upath import UPath

from otc_assets.calculations import output_tables
from otc_assets.domain.shares import to_shares
from otc_assets.domain.tables import EXACT, RAW, REJECTS, ColumnType, Table
from otc_assets.domain.weeks import WeekKey
from otc_assets.research.arguments import Names, Weeks, asked_of
from otc_assets.research.export import ABOUT
from otc_assets.research.knowledge import store_of
from otc_assets.sources.places import is_local
from otc_assets.warehouse.reader import table_named

FORMATS = ("parquet", "csv", "arrow")
ARROW_TYPES = {
    ColumnType.TEXT: pa.string(),
    ColumnType.DATE: pa.date32(),
    ColumnType.SHARES: pa.float64(),
    ColumnType.DOLLARS: pa.float64(),
    ColumnType.COUNT: pa.int64(),
    ColumnType.NUMBER: pa.float64(),
    ColumnType.FLAG: pa.bool_(),
    ColumnType.HASH: pa.string(),
    ColumnType.TIMESTAMP: pa.timestamp("us", tz="UTC"),
}
Batches = Iterator[pa.Table]
"""Parts of one answer, all of one schema; the first may have no row."""


def table_names() -> list[str]:
    """Return the names of the tables that can be written."""
    return [table.name for table in (RAW, REJECTS, *output_tables())]


def table_batches(
    name: str,
    tiers: Names = None,
    weeks: Weeks = None,
    *,
    dataset: str = "ats",
    database_url: str | None = None,
) -> Batches:
    """Yield the rows of a table slice by slice: tier by tier, the oldest week first.

    Quantities are in shares and dollars, hashes are hex text. Raises what `as_of` raises.
    """
    table, store = table_named(name), store_of(dataset, database_url)
    with store.read() as reader:
        slices = asked_of(reader.loaded_slices(), tiers, weeks)
    schema = _schema(table)
    yield schema.empty_table()
    for week in slices:
        with store.read() as reader:
            rows = reader.frame(name, week, fresh=True)
        # After the transaction: who takes the batch may be slow.
        yield _batch(table, schema, week, rows)


def frame_batch(frame: pd.DataFrame, about: Mapping[str, str] | None = None) -> Batches:
    """Yield an answer as it is; ``about`` is added to the metadata of its schema."""
    frame = _without_objects(frame)
    schema = pa.Schema.from_pandas(frame, preserve_index=False)
    for at, field in enumerate(schema):
        if pa.types.is_list(field.type):  # of which nothing is known where all lists are empty
            schema = schema.set(at, field.with_type(pa.list_(pa.string())))
        if pa.types.is_timestamp(field.type) and field.type.tz is None:  # as pandas has days
            schema = schema.set(at, field.with_type(pa.date32()))
    whole = pa.Table.from_pandas(frame, schema, preserve_index=False)
    more = {name.encode(): text.encode() for name, text in (about or {}).items()}
    yield whole.replace_schema_metadata(_about(whole.schema.metadata or {}) | more)


def _without_objects(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame whose columns of JSON are text: Parquet wants the same fields in each row."""
    objects = {
        name: [json.dumps(value, default=str) for value in values]
        for name, values in frame.items()
        if len(values) and isinstance(values.iloc[0], dict)
    }
    return frame.assign(**{str(name): values for name, values in objects.items()})


def write(file: str, kind: str, batches: Batches) -> int:
    """Write batches to a path, an address, or standard output (-); return the number of rows.

    A file is written whole or not at all, and not if there is no row.
    """
    if file == "-":
        return _write_to(sys.stdout.buffer, kind, batches)
    path = UPath(file)
    if not is_local(path):
        buffer = io.BytesIO()  # an object is shown only when it is whole
        if rows := _write_to(buffer, kind, batches):
            path.write_bytes(buffer.getvalue())
        return rows
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as stream:
            rows = _write_to(stream, kind, batches)
        if rows:
            part.replace(path)
        return rows
    finally:
        part.unlink(missing_ok=True)


def chunks(kind: str, batches: Batches) -> Iterator[bytes]:
    """Yield the same bytes as `write` writes, as they come: a batch at a time is in memory."""
    sink = _Drain()
    if kind == "csv":
        batches = map(_without_lists, batches)
    first = next(batches)
    with _writer(sink, kind, first.schema) as writer:
        for batch in chain([first], batches):
            if batch.num_rows:
                writer.write_table(batch)
            yield sink.drained()
    yield sink.drained()


class _Drain(io.RawIOBase):
    """A file that gives what was written to it, once."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def drained(self) -> bytes:
        """Return what was written since the last time."""
        data, self._parts = b"".join(self._parts), []
        return data


def _write_to(stream: IO[bytes], kind: str, batches: Batches) -> int:
    if kind == "csv":
        batches = map(_without_lists, batches)
    rows, first = 0, next(batches)
    with _writer(stream, kind, first.schema) as writer:
        for batch in chain([first], batches):
            if batch.num_rows:
                writer.write_table(batch)
                rows += batch.num_rows
    return rows


def _without_lists(batch: pa.Table) -> pa.Table:
    """Return a table with the texts of each list joined by a space: CSV has no lists."""
    for at, field in enumerate(batch.schema):
        if pa.types.is_list(field.type):
            batch = batch.set_column(at, field.name, pc.binary_join(batch[at], " "))
    return batch


def _writer(stream: IO[bytes] | io.RawIOBase, kind: str, schema: pa.Schema) -> Any:
    if kind == "parquet":
        return pq.ParquetWriter(stream, schema, compression="zstd")
    if kind == "csv":
        return pyarrow.csv.CSVWriter(stream, schema)
    return pa.ipc.new_stream(stream, schema)


def _schema(table: Table) -> pa.Schema:
    fields = [
        pa.field(c.name, ARROW_TYPES[c.type], c.nullable, {"description": c.description})
        for c in table.columns
    ]
    return pa.schema(fields, _about({}))


def _about(metadata: dict[bytes, bytes]) -> dict[bytes, bytes]:
    names = ("source", "attribution", "licence")
    return metadata | {name.encode(): ABOUT[name].encode() for name in names}


def _batch(table: Table, schema: pa.Schema, week: WeekKey, frame: pd.DataFrame) -> pa.Table:
    frame = frame.assign(week_ending=week.week_ending, tier=str(week.tier))
    for column in table.columns:
        if column.type in EXACT:
            frame[column.name] = to_shares(frame[column.name].astype("Float64"))
        if column.type is ColumnType.HASH:
            frame[column.name] = [value.hex() for value in frame[column.name]]
    return pa.Table.from_pandas(frame[schema.names], schema, preserve_index=False)
