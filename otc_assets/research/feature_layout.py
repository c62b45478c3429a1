"""What a feature file is like: its columns, and what it says of itself.

Each file has the columns `KNOWN`. The features are declared beside what computes them: the weekly
ones in `feature_columns`, those of months and days by the table that they are of.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

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
