"""Retention: rows of old slices leave the store, which the archive gives again.

Rows are removed in one transaction under the lock of their slice, and not before the archive's
bytes have been read back and have given rows of the same fingerprint. Their lineage stays, and says
that they were pruned: whoever reads them gets them from the archive (`recall`).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa

from otc_assets.calculations import retired_versions
from otc_assets.domain.events import EventType
from otc_assets.domain.grains import SliceKey, oldest_first
from otc_assets.domain.quality import SliceStatus
from otc_assets.operations.events import ingestion_of
from otc_assets.operations.recall import UnreadableError
from otc_assets.settings import weeks_setting
from otc_assets.warehouse.fingerprint import part_column
from otc_assets.warehouse.reader import SliceReader
from otc_assets.warehouse.schema import bulk_tables
from otc_assets.warehouse.space import bytes_of, empty_partitions, free_bytes
from otc_assets.warehouse.store import Store, Warehouse
from otc_assets.warehouse.writer import OtherRowsError, RunIds, SliceWriter

POLICIES = {
    "raw": "OTC_RETAIN_RAW_WEEKS",
    "rejects": "OTC_RETAIN_RAW_WEEKS",
    "venue_volume": "OTC_RETAIN_VENUE_VOLUME_WEEKS",
}
"""The tables that are pruned, and the setting that says after how many weeks (design, 6.3).

What is computed from venue_volume stays for ever.
"""


@dataclass(frozen=True)
class SliceRows:
    """Rows of one slice that retention removes or brings back."""

    week: SliceKey
    rows: Mapping[str, int]
    """Of each table, how many."""

    def __str__(self) -> str:
        """Return them as one line."""
        counts = (f"{count:,} rows of {name}" for name, count in self.rows.items())
        return f"{self.week}: {', '.join(counts) or 'no rows'}"


class RetentionError(Exception):
    """A slice that was left as it was: why, and what to do."""


def expired(store: Store, today: date) -> list[SliceRows]:
    """Return the rows that the policies would remove on a day, oldest week first.

    Raises:
        ValueError: a policy is no number of weeks.

    """
    ends = {
        name: today - timedelta(weeks=weeks)
        for name, setting in POLICIES.items()
        if (weeks := weeks_setting(setting)) is not None
    }
    with store.read() as reader:
        return _rows(reader, {n: _in_store_before(reader, n, end) for n, end in ends.items()})


def pruned(store: Store) -> list[SliceRows]:
    """Return the rows that the archive alone keeps, oldest week first."""
    with store.read() as reader:
        lineage = reader.sql_table("lineage")
        return _rows(reader, dict.fromkeys(POLICIES, lineage.c.pruned_at.is_not(None)))


def _in_store_before(reader: SliceReader, name: str, end: date) -> sa.ColumnElement[bool]:
    """Return the condition that lineage is of rows in the store of weeks before a day."""
    lineage = reader.sql_table("lineage")
    period = lineage.c[reader.dataset.grain.column.name]
    there = sa.and_(lineage.c.pruned_at.is_(None), period < end)
    retired = retired_versions(name)  # nothing gives their rows again
    return sa.and_(there, lineage.c.calc_version.not_in(retired)) if retired else there


def _rows(reader: SliceReader, conditions: Mapping[str, sa.ColumnElement[bool]]) -> list[SliceRows]:
    """Return the rows of each table whose lineage meets a condition, by slice."""
    lineage, found = reader.sql_table("lineage"), dict[SliceKey, dict[str, int]]()
    slices = lineage.c[reader.dataset.grain.column.name], lineage.c.tier
    for name, condition in conditions.items():
        query = sa.select(*slices, sa.func.sum(lineage.c.row_count))
        query = query.where(lineage.c.table_name == name, condition).group_by(*slices)
        for period, tier, count in reader.connection.execute(query.order_by(*slices)):
            found.setdefault(reader.dataset.key(tier, period), {})[name] = int(count)
    return [SliceRows(week, found[week]) for week in oldest_first(found)]


def prune(
    warehouse: Warehouse, slices: Sequence[SliceRows], run: RunIds
) -> Iterator[SliceRows | RetentionError]:
    """Remove the rows of slices; yield what was removed of each, or why it was left as it was.

    Args:
        warehouse: the store of one dataset; its archive has to give the rows again.
        slices: what `expired` gives.
        run: who asks.

    """
    for each in slices:
        yield _change(warehouse, each, run, is_pruning=True)


def restore(
    warehouse: Warehouse, slices: Sequence[SliceRows], run: RunIds
) -> Iterator[SliceRows | RetentionError]:
    """Bring the rows of slices back; yield what was restored of each, or why it was not.

    Args:
        warehouse: the store of one dataset, with its archive.
        slices: what `pruned` gives, or some of it.
        run: who asks.

    """
    for each in slices:
        yield _change(warehouse, each, run, is_pruning=False)


def _change(
    warehouse: Warehouse, each: SliceRows, run: RunIds, *, is_pruning: bool
) -> SliceRows | RetentionError:
    """Prune or restore one slice, in one transaction."""
    week = each.week
    try:
        with warehouse.write(week, run) as writer:
            change = writer.prune if is_pruning else writer.restore
            done = {
                name: sum(change(name, **part) for part in _parts(writer, name, is_pruning))
                for name in each.rows
            }
            _tell(writer, done, is_pruning=is_pruning)
            return SliceRows(week, done)
    except UnreadableError as error:
        remedy = f"put {error.name} back into the source and materialize raw of this week"
        told = f"{error}; {remedy}" if error.name else str(error)
        return RetentionError(f"{week} was left as it is: {told}")
    except OtherRowsError as error:
        named = f"`otc verify --tier '{week.section}' --week {week.period}` names the values"
        return RetentionError(f"{week} was left as it is: {error}; {named}")


def _parts(writer: SliceWriter, name: str, is_pruning: bool) -> list[dict[str, Any]]:
    """Return the revisions, or versions, of which a table has rows to prune or to restore."""
    column, retired = part_column(writer.table(name)), retired_versions(name)
    values = {
        record[column]
        for record in writer.lineage(name, writer.week)
        if (record["pruned_at"] is None) is is_pruning and record["calc_version"] not in retired
    }
    return [{column: value} for value in sorted(values)]


def _tell(writer: SliceWriter, rows: Mapping[str, int], *, is_pruning: bool) -> None:
    """Enter into the manifest how the slice stands, and tell of it."""
    if not any(rows.values()):
        return
    manifest = writer.manifest(writer.week) or {}
    if SliceStatus(manifest["status"]).is_loaded:
        is_archived = writer.is_archived(writer.week)
        writer.save_manifest(
            status=(SliceStatus.ARCHIVED if is_archived else SliceStatus.LOADED).value
        )
    told = EventType.ROWS_PRUNED if is_pruning else EventType.ROWS_RESTORED
    ingested = ingestion_of(writer, manifest["source_revision"])
    writer.events.append(told, {"rows": dict(rows)}, ingested)


def told(slices: Iterable[SliceRows]) -> str:
    """Say how many rows of how many slices they are."""
    counts = [sum(each.rows.values()) for each in slices]
    return f"{sum(counts):,} rows of {len(counts):,} slices"


def room_of(store: Store, slices: Iterable[SliceRows]) -> str:
    """Say about how much room the rows of slices take in the store."""
    rows: Counter[str] = Counter()
    for each in slices:
        rows.update(each.rows)
    with store.read() as reader:
        return _in_megabytes(bytes_of(reader.connection, store.dataset, rows))


def give_back(store: Warehouse) -> Iterator[str]:
    """Give the room of removed rows back, or say how to; yield a line for each thing."""
    if store.engine.dialect.name == "postgresql":
        tables = [table.name for table in bulk_tables(store.dataset) if table.name in POLICIES]
        for name, freed in empty_partitions(store.engine, store.dataset, tables).items():
            yield f"the partition {name} has no rows: {_in_megabytes(freed)} given back to the disk"
    elif free := free_bytes(store.engine):
        yield (
            f"{_in_megabytes(free)} of {store.address} are free for new rows; to give them back to "
            "the disk, run VACUUM on the file while nothing else uses it, with as much room beside "
            "it as it takes"
        )


def _in_megabytes(count: int) -> str:
    """Return a number of bytes as people read it."""
    return f"{count / 1e6:,.1f} MB"
