"""The rows of a table: page by page, or all of them as a stream that is read slice by slice."""

import threading
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any

import pandas as pd
import pyarrow as pa
from fastapi import APIRouter, Path, Query, Response

from otc_assets.domain.weeks import WeekKey
from otc_assets.research.extract import chunks, table_batches, table_names
from otc_assets.serving.arguments import FORMATS, Tiers, Weeks, tiers_named, weeks_named
from otc_assets.serving.asking import Ask, Asked, at_once, by_slice, refuse
from otc_assets.serving.described import responses
from otc_assets.serving.limits import MAX_STREAMS
from otc_assets.serving.problems import Problem
from otc_assets.warehouse.reader import table_named

router = APIRouter(prefix="/v1", tags=["tables"])
TableName = StrEnum("TableName", {name: name for name in table_names()})  # type: ignore[misc]
Name = Annotated[
    TableName, Path(description="See docs/tables.md for its columns.", examples=["venue_volume"])
]
Stream = Annotated[
    bool,
    Query(
        description="Send all rows that are asked for, as csv, parquet or arrow, and no page of "
        "them; ``limit`` and ``cursor`` do not count then.",
    ),
]
_reading = threading.Lock()
"""Held while a slice is read: it is large, and what recalls pruned rows is for one thread."""
_streams = threading.BoundedSemaphore(MAX_STREAMS)


def _any_columns() -> dict[int | str, Any]:
    """Describe an answer whose columns are those of the table that is named."""
    found = responses([])
    content = found[200]["content"][FORMATS["json"]]
    content["schema"]["properties"]["data"]["items"] = {"type": "object"}
    del content["example"]
    return found


@router.get("/tables/{table}", responses=_any_columns())
def rows_of_table(
    table: Name, tiers: Tiers = None, weeks: Weeks = None, stream: Stream = False, ask: Ask = Asked
) -> Response:
    """The rows of a table, tier by tier, the oldest week first, with our run ids."""
    wanted, fridays = tiers_named(tiers), weeks_named(weeks)
    slices = ask.slices(wanted, fridays)
    depends = ask.state.written_of(slices)
    if stream:
        if ask.kind == "json":
            raise refuse("a stream is csv, parquet or arrow", "format")
        return ask.stream(lambda: _streamed(ask, table.value, slices), depends=depends)
    key = [name for name in table_named(table.value).key if name not in ("week_ending", "tier")]

    def read(week: WeekKey) -> pd.DataFrame:
        return _rows(ask, table.value, [week])

    parts = by_slice(slices, read) or at_once(lambda: _rows(ask, table.value, []))
    return ask.answer(parts, key, depends=depends)


def _rows(ask: Ask, table: str, slices: list[WeekKey]) -> pd.DataFrame:
    rows: pd.DataFrame = pa.concat_tables(_batches(ask, table, slices)).to_pandas()
    return rows


def _streamed(ask: Ask, table: str, slices: list[WeekKey]) -> Iterator[bytes]:
    """Yield the bytes of all rows; one of the few places for streams is taken until the end.

    Raises:
        Problem: 503, there is no place.

    """
    if not _streams.acquire(blocking=False):
        detail = f"{MAX_STREAMS} tables are being sent already; ask for pages, or come back later"
        raise Problem(503, detail, headers={"Retry-After": "30"})
    try:
        yield from chunks(ask.kind, _batches(ask, table, slices))
    finally:
        _streams.release()


def _batches(ask: Ask, table: str, slices: list[WeekKey]) -> Iterator[pa.Table]:
    """Yield the rows of some slices, one after the other, the first batch without rows."""
    yield next(table_batches(table, [], dataset=ask.dataset))
    for week in slices:
        with _reading:
            _, batch = table_batches(table, week.tier.value, week.week_ending, dataset=ask.dataset)
        yield batch
