"""What became of one table of one slice."""

from dataclasses import dataclass, field
from datetime import date, datetime

import pandas as pd

from otc_assets.domain.events import Event
from otc_assets.domain.grains import SliceKey
from otc_assets.domain.quality import QualityCheckResult, SliceStatus
from otc_assets.domain.revisions import IngestionResult


@dataclass
class SliceOutcome:
    """One table of one slice after it was written, or why it was not."""

    week: SliceKey
    table: str
    status: SliceStatus
    rows: pd.DataFrame
    """What the slice now has in the table."""
    reason: str | None = None
    """Why the slice has no content, or why the table was not computed."""
    verdicts: list[QualityCheckResult] = field(default_factory=list)
    results: list[IngestionResult] = field(default_factory=list)
    """For raw: what became of each file."""
    published: date | None = None
    """For raw: when FINRA made the newest content public."""
    stored_at: datetime | None = None
    """For raw: when that content was stored."""
    written: bool = True
    """False if the table was left as it was."""
    events: list[Event] = field(default_factory=list)
    """What tells of its rows: of raw the ingestion, of a derived table each version's event."""
