"""What feature files have in common: their columns, how one is written, and what is wrong with one.

Belongs here: what holds for the weekly files (`export`) and for those of months and days
(`period_export`) alike. Does not belong here: what a feature is, and where a file lies.
"""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from upath import UPath

from otc_assets.domain.grains import SliceKey
from otc_assets.research.knowledge import known_from
from otc_assets.sources.places import is_local, make_folder
from otc_assets.tracing import current, span, traced
from otc_assets.warehouse.reader import SliceReader, named
from otc_assets.warehouse.store import Store

FILE = "features.parquet"
MOMENT = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True)
class FeatureColumn:
    """One column of the export: its name, its type in Parquet, and what it is."""

    name: str
    type: pa.DataType
    description: str
    nullable: bool = False


KNOWN = (
    FeatureColumn(
        "as_of_date",
        pa.date32(),
        "The day on which the newest of what the row rests on became public.",
    ),
    FeatureColumn(
        "as_of_source", pa.string(), "What as_of_date rests on: finra, calendar or captured."
    ),
    FeatureColumn(
        "is_removed",
        pa.bool_(),
        "A correction took what the row is of out of the slice: gone from this row on, features "
        "null.",
    ),
    FeatureColumn(
        "event_timestamp",
        MOMENT,
        "When the row was known: the end of as_of_date in New York. Never use it for an earlier "
        "moment.",
    ),
    FeatureColumn("created_timestamp", MOMENT, "When the row was computed."),
)
"""The columns of every file that say when a row was known."""


@dataclass(frozen=True, eq=False)
class Layout:
    """What the files of one asset are like: one row per slice, record and day that changed it."""

    slice: tuple[FeatureColumn, ...]
    """What names the slice..."""
    record: tuple[FeatureColumn, ...]
    """...and, within it, what a row is of: a symbol, for example."""
    features: tuple[FeatureColumn, ...]
    measure: str
    """The feature that is null of what was removed, and of nothing else."""
    about: Mapping[str, str]
    """In the metadata of each file's schema."""

    @cached_property
    def columns(self) -> tuple[FeatureColumn, ...]:
        """Those of a file, in their order."""
        return (*self.slice, *self.record, *KNOWN, *self.features)

    @cached_property
    def key(self) -> list[str]:
        """The names of the columns of a record."""
        return [column.name for column in self.record]

    @cached_property
    def names(self) -> list[str]:
        """The names of the features."""
        return [feature.name for feature in self.features]

    @cached_property
    def schema(self) -> pa.Schema:
        """The schema of a file; each field's metadata has its description."""
        fields = [
            pa.field(c.name, c.type, nullable=c.nullable, metadata={"description": c.description})
            for c in self.columns
        ]
        return pa.schema(fields, metadata=dict(self.about))


def about(source: str, version: str) -> dict[str, str]:
    """Return what a file says of itself: whose data it is of, and by which definitions."""
    return {
        "source": source,
        "attribution": "Data provided by FINRA (Financial Industry Regulatory Authority). The "
        "features were computed from them by otc_assets and are not endorsed by FINRA.",
        "licence": "For your own, non-commercial use; no redistribution. See FINRA's terms of use: "
        "https://www.finra.org/terms-of-use",
        "features_version": version,
        "point_in_time": "A row is known from event_timestamp on; a correction is a later row.",
    }


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
