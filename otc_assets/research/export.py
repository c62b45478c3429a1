"""Feature files: one Parquet file for each slice, whole or not there, under a folder or a bucket.

``tier_slug=nms_tier_1/week=2025-05-16/features.parquet``. The parts of the path are not called tier
and week_ending: readers of partitioned folders add them as columns of text, which would clash with
the columns of those names in the file.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from upath import UPath

from otc_assets.domain.weeks import WeekKey
from otc_assets.research.features import COLUMNS, REACH_WEEKS, VERSION, feature_history
from otc_assets.research.knowledge import known_from
from otc_assets.sources.places import is_local, make_folder
from otc_assets.tracing import current, span, traced
from otc_assets.warehouse.reader import SliceReader
from otc_assets.warehouse.store import Warehouse
from otc_assets.warehouse.writer import RunIds, SliceWriter

FILE = "features.parquet"
SNAPSHOT = "research_snapshot"
"""Computed last of a slice's tables, and only if nothing before it was blocked."""

ABOUT = {
    "source": "FINRA OTC (ATS and non-ATS) Transparency data, weekly summary",
    "attribution": "Data provided by FINRA (Financial Industry Regulatory Authority). The features "
    "were computed from them by otc_assets and are not endorsed by FINRA.",
    "licence": "For your own, non-commercial use; no redistribution. See FINRA's terms of use: "
    "https://www.finra.org/terms-of-use",
    "features_version": VERSION,
    "point_in_time": "A row is known from event_timestamp on; a correction is a later row.",
}
"""In the metadata of each file's schema."""


@dataclass(frozen=True)
class Exported:
    """What became of the file of one slice."""

    week: WeekKey
    path: str
    rows: int = 0
    symbols: int = 0
    bytes: int = 0
    reason: str | None = None
    """Why nothing was written; the file, if there is one, is as it was."""


@cache
def schema() -> pa.Schema:
    """Return the schema of a file; each field's metadata has its description."""
    fields = [
        pa.field(c.name, c.type, nullable=c.nullable, metadata={"description": c.description})
        for c in COLUMNS
    ]
    return pa.schema(fields, metadata=ABOUT)


def file_of(root: UPath, week: WeekKey) -> UPath:
    """Return where the file of a slice is."""
    return root / f"tier_slug={week.tier.slug}" / f"week={week.week_ending}" / FILE


def export(ats: Warehouse, non_ats: Warehouse, root: UPath, week: WeekKey, run: RunIds) -> Exported:
    """Compute the features of one slice and write its file."""
    with _locked(ats, non_ats, week, run) as (writer, dealers):
        return _export(writer, dealers, root)


def export_again(
    ats: Warehouse, non_ats: Warehouse, root: UPath, week: WeekKey, run: RunIds
) -> Exported | None:
    """Export one slice again if it has a file; None if it has not, which is seen under its lock."""
    with _locked(ats, non_ats, week, run) as (writer, dealers):
        return _export(writer, dealers, root) if is_written(file_of(root, week)) else None


@contextmanager
def _locked(
    ats: Warehouse, non_ats: Warehouse, week: WeekKey, run: RunIds
) -> Iterator[tuple[SliceWriter, SliceReader]]:
    """Hold the slice's lock, though no row is written.

    Of two exports the second reads what both have committed, so none puts back an older state.
    """
    # The other dataset first: its tables may have to be migrated, which needs the lock in SQLite.
    with non_ats.read() as dealers, ats.write(week, run) as writer:
        yield writer, dealers


def _export(writer: SliceWriter, dealers: SliceReader, root: UPath) -> Exported:
    week, path = writer.week, file_of(root, writer.week)
    manifest = writer.manifest(week)
    if manifest is None or manifest["source_revision"] is None:
        return Exported(week, str(path), reason="the week has no ATS content in the store")
    if SNAPSHOT not in manifest["row_counts"]:
        why = manifest["reason"] or "materialize it first"
        return Exported(week, str(path), reason=f"{SNAPSHOT} was not computed: {why}")
    with span("compute") as compute:
        rows = feature_history(writer, dealers, week)
        compute.set(rows=len(rows))
    symbols = int(rows["symbol"].nunique())
    return Exported(week, str(path), len(rows), symbols, write_file(path, rows))


def later_slices(ats: Warehouse, weeks: list[WeekKey]) -> list[WeekKey]:
    """Return the later slices whose file, if there is one, depends on some of ``weeks``.

    Whether there is one is seen under the slice's lock (`export_again`): another process may be
    writing it, from what it had read before ``weeks`` were committed.
    """
    found: set[WeekKey] = set()
    with ats.read() as reader:
        for week in weeks:
            first, reach = week.week_ending + timedelta(weeks=1), timedelta(weeks=REACH_WEEKS)
            days = reader.weeks_of(SNAPSHOT, week.tier, first, week.week_ending + reach)
            found |= {WeekKey(week.tier, day) for day in days}
    return sorted(found - set(weeks))


def is_written(path: UPath) -> bool:
    """Tell whether a slice has a file."""
    path.fs.invalidate_cache()  # another process may have written it
    return path.exists()


@traced("write")
def write_file(path: UPath, rows: pd.DataFrame) -> int:
    """Write a slice's rows so that a reader sees the old file or the new one; return its bytes."""
    table = pa.Table.from_pandas(rows, schema(), preserve_index=False)
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(schema().metadata), buffer, compression="zstd")
    data = buffer.getvalue()
    current().set(rows=len(rows), bytes=len(data))
    if not is_local(path):
        path.write_bytes(data)  # object stores show an object only when it is whole
        return len(data)
    make_folder(path.parent)
    part = path.with_name(f".{FILE}.part")  # one name is enough: the slice is locked
    try:
        part.write_bytes(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return len(data)


def read_file(path: UPath) -> pd.DataFrame:
    """Return the rows of a slice's file."""
    rows: pd.DataFrame = pq.read_table(io.BytesIO(path.read_bytes())).to_pandas()
    return rows


@dataclass(frozen=True)
class Inspected:
    """What was found in the file of one slice."""

    faults: list[str]
    """What is wrong with it."""
    rows: int = 0
    score: float | None = None
    """The slice's quality score, 0 to 1; None if it has none."""


def inspect(ats: Warehouse, root: UPath, week: WeekKey) -> Inspected:
    """Look for faults in the file of a slice; there are none where none is to be written."""
    path = file_of(root, week)
    with ats.read() as reader:
        manifest = reader.manifest(week)
        days = [revision.revision_date for revision in reader.revisions([week])[week]]
    if manifest is None or not days or SNAPSHOT not in manifest["row_counts"]:
        return Inspected([])
    score = manifest["quality_score"]
    if not is_written(path):
        return Inspected([f"{path} is missing: materialize features"], score=score)
    rows = read_file(path)
    return Inspected(faults_in(rows, week, min(days)), len(rows), score)


def faults_in(rows: pd.DataFrame, week: WeekKey, published: date) -> list[str]:
    """Return what is wrong with the rows of a slice that was first public on a day."""
    of_week = (rows["week_ending"] == week.week_ending) & (rows["tier"] == week.tier.value)
    found = {
        "rows of another slice": ~of_week,
        "rows that repeat symbol and event_timestamp": rows.duplicated(
            ["symbol", "event_timestamp"]
        ),
        f"rows known before the week was public on {published}": rows["event_timestamp"]
        < pd.Timestamp(known_from(published)),
        "rows without volume that are not removals": rows["volume"].isna() != rows["is_removed"],
    }
    return [f"{int(wrong.sum())} {what}" for what, wrong in found.items() if wrong.any()]
