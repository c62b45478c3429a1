"""What feature files have in common: how one is written, and what is wrong with one.

Belongs here: what holds for the weekly files (`export`) and for those of months and days
(`period_export`) alike. Does not belong here: what a feature is, and where a file lies.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from upath import UPath

from otc_assets.domain.grains import SliceKey
from otc_assets.research.feature_layout import Layout
from otc_assets.research.knowledge import known_from
from otc_assets.sources.places import is_local, make_folder
from otc_assets.tracing import current, span, traced
from otc_assets.warehouse.reader import SliceReader, named
from otc_assets.warehouse.store import Store

FILE = "features.parquet"


@dataclass(frozen=True)
class Exported:
    """What became of the file of one slice."""

    week: SliceKey
    path: str
    rows: int = 0
    records: int = 0
    """Of how many symbols, or of how many others of what a row is of."""
    bytes: int = 0
    reason: str | None = None
    """Why nothing was written; the file, if there is one, is as it was."""


def export_slice(
    reader: SliceReader,
    week: SliceKey,
    table: str,
    path: UPath,
    layout: Layout,
    history: Callable[[], pd.DataFrame],
) -> Exported:
    """Compute the rows of one slice and write its file, if ``table`` was computed of the slice."""
    manifest, dataset = reader.manifest(week), reader.dataset
    if manifest is None or manifest["source_revision"] is None:
        why = f"the {dataset.grain.name} has no {dataset.title} content in the store"
        return Exported(week, str(path), reason=why)
    if table not in manifest["row_counts"]:
        why = manifest["reason"] or "materialize it first"
        return Exported(week, str(path), reason=f"{table} was not computed: {why}")
    with span("compute") as compute:
        rows = history()
        compute.set(rows=len(rows))
    records = int((~rows.duplicated(layout.key)).sum())
    return Exported(week, str(path), len(rows), records, write_file(path, rows, layout))


def is_written(path: UPath) -> bool:
    """Tell whether a slice has a file."""
    path.fs.invalidate_cache()  # another process may have written it
    return path.exists()


@traced("write")
def write_file(path: UPath, rows: pd.DataFrame, layout: Layout) -> int:
    """Write a slice's rows so that a reader sees the old file or the new one; return its bytes."""
    table = pa.Table.from_pandas(rows, layout.schema, preserve_index=False)
    table, buffer = table.replace_schema_metadata(layout.schema.metadata), io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
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


def inspect_slice(
    store: Store, week: SliceKey, table: str, path: UPath, layout: Layout
) -> Inspected:
    """Look for faults in the file of a slice; there are none where none is to be written."""
    with store.read() as reader:
        manifest = reader.manifest(week)
        days = [revision.revision_date for revision in reader.revisions([week])[week]]
    if manifest is None or not days or table not in manifest["row_counts"]:
        return Inspected([])
    score = manifest["quality_score"]
    if not is_written(path):
        return Inspected([f"{path} is missing: materialize features"], score=score)
    rows = read_file(path)
    return Inspected(faults_in(rows, week, min(days), layout), len(rows), score)


def faults_in(rows: pd.DataFrame, week: SliceKey, published: date, layout: Layout) -> list[str]:
    """Return what is wrong with the rows of a slice that was first public on a day."""
    place, unit = named(week), week.slicing.grain.name
    mine = [rows[column.name] == place[column.name] for column in layout.slice]
    found = {
        "rows of another slice": ~pd.concat(mine, axis=1).all(axis=1),
        f"rows that repeat {', '.join(layout.key)} and event_timestamp": rows.duplicated(
            [*layout.key, "event_timestamp"]
        ),
        f"rows known before the {unit} was public on {published}": rows["event_timestamp"]
        < pd.Timestamp(known_from(published)),
        f"rows without {layout.measure} that are not removals": rows[layout.measure].isna()
        != rows["is_removed"],
    }
    return [f"{int(wrong.sum())} {what}" for what, wrong in found.items() if wrong.any()]
