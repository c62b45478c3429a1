"""What an event is: one fact of the store's history, and the event that caused it.

A slice's history is a tree. A file is downloaded, its rows are ingested, each table is calculated
from what was ingested, the slice is graded, and the week is done; each event names its cause.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from otc_assets.domain.datasets import Dataset, every_dataset
from otc_assets.domain.grains import AnySlice, SliceKey

SLICE, FILE = "slice", "file"
"""The kinds of aggregate. A slice is called ``ats NMS Tier 1:2025-05-16``, a file its SHA-256."""


class EventType(StrEnum):
    """The essential events of the design (its section 5.1), and five rare ones of ours."""

    FILE_DOWNLOADED = "FILE_DOWNLOADED"
    """The archive has the bytes of a file; told once for each content and slice."""
    RAW_RECORDS_INGESTED = "RAW_RECORDS_INGESTED"
    """The file became a revision of its slice (status ingested), or was refused (refused)."""
    CALCULATION_COMPLETED = "CALCULATION_COMPLETED"
    """One version of a calculation was written (status written), or broke a rule (blocked)."""
    QUALITY_GRADE_ASSIGNED = "QUALITY_GRADE_ASSIGNED"
    WEEK_PROCESSING_COMPLETED = "WEEK_PROCESSING_COMPLETED"
    CORRECTION_NOTICED = "CORRECTION_NOTICED"
    """The source has another content of a slice than the store; nothing was written."""
    PROJECTION_REBUILT = "PROJECTION_REBUILT"
    """Tables of a slice were replaced by those that the archive gives; somebody said why."""
    CALCULATION_RETIRED = "CALCULATION_RETIRED"
    """The rows of a retired version were removed from a slice."""
    ROWS_PRUNED = "ROWS_PRUNED"
    """Retention has removed rows of a slice, which the archive gives again."""
    ROWS_RESTORED = "ROWS_RESTORED"
    """They were read back from the archive into the store."""


@dataclass(frozen=True)
class Event:
    """One row of the table events."""

    event_id: str
    event_type: str
    aggregate_type: str
    aggregate_id: str
    payload: Mapping[str, Any]
    metadata: Mapping[str, Any]
    correlation_id: str
    causation_id: str | None
    created_at: datetime
    sequence: int | None = None
    """None until it is stored."""

    def says(self, event_type: EventType, payload: Mapping[str, Any]) -> bool:
        """Tell whether it is of a type, and has these values in its payload."""
        return self.event_type == event_type and all(
            self.payload.get(name) == value for name, value in payload.items()
        )


def slice_id(dataset: Dataset, week: SliceKey) -> str:
    """Return what events call a slice: ``ats NMS Tier 1:2025-05-16``."""
    return f"{dataset.name} {week}"


def slice_of_id(aggregate_id: str) -> tuple[Dataset, AnySlice]:
    """Return the slice that `slice_id` gives this name.

    Raises:
        ValueError: it names no slice of a dataset.

    """
    name, _, week = aggregate_id.partition(" ")
    for dataset in every_dataset():
        if dataset.name == name:
            return dataset, dataset.slicing.from_string(week)
    raise ValueError(f"a slice reads 'ats OTC:2025-12-26', and not {aggregate_id!r}")
