"""How things stand, for an operator: each tier of a dataset in one row."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from otc_assets.domain.calendar import newest_due_week
from otc_assets.domain.datasets import Dataset
from otc_assets.domain.gaps import Gap, dropped, gaps, lag_days
from otc_assets.domain.grains import AnySlice
from otc_assets.domain.quality import Severity, SliceStatus
from otc_assets.warehouse.reader import SliceReader
from otc_assets.warehouse.store import Store

OF_SLICE = (
    "status",
    "source_revision",
    "quality_score",
    "quality_grade",
    "quality_status",
    "updated_at",
)
"""What is looked at of a slice's manifest."""


@dataclass(frozen=True)
class TierStatus:
    """How the slices of one tier stand: its weeks, months or days."""

    dataset: str
    tier: str
    newest_week: date | None
    """The newest that is in the store; None if none is."""
    due_week: date
    """The newest that FINRA has published by its calendar."""
    lag_days: int
    """Past the expected publication of the first week that lacks after the newest."""
    weeks: int
    """In the store."""
    missing: int
    """Due, and not in the store, from its first week on."""
    late: int
    """Of these, the ones that are more than 3 days late."""
    no_longer_offered: int
    """Due, not in the store, and dropped by FINRA: they can only come from files."""
    refused: int
    """Of which a file could not be taken."""
    archived: int
    """Of which the archive alone keeps some rows (retention)."""
    dead_letters: int
    worst_grade: str | None
    is_critical: bool
    """Whether a slice has the quality status critical."""
    last_write: datetime | None
    """When a run last wrote anything of the tier (UTC)."""

    @property
    def is_well(self) -> bool:
        """Whether nothing asks for an operator."""
        return not (self.late or self.refused or self.dead_letters or self.is_critical)


@dataclass(frozen=True)
class Standing:
    """How a dataset stands on a day."""

    slices: dict[AnySlice, dict[str, Any]]
    """`OF_SLICE` of each slice that the store knows of."""
    gaps: list[Gap]
    dropped: list[AnySlice]
    """Weeks that the store lacks, and that FINRA no longer offers."""
    tiers: list[TierStatus]


def status_of(store: Store, today: date) -> list[TierStatus]:
    """Return how each tier of a dataset stands on a day."""
    with store.read() as reader:
        return standing_of(reader, today).tiers


def standing_of(reader: SliceReader, today: date) -> Standing:
    """Return the same, and from what it was found."""
    dataset, slices = reader.dataset, reader.manifests(*OF_SLICE)
    dead = [week.section for week in reader.dead_slices()]
    loaded = [week for week, row in slices.items() if row["source_revision"]]
    offers = reader.offers()
    found = gaps(dataset, loaded, today, offers)
    gone = dropped(dataset, loaded, today, offers)
    lags = lag_days(dataset, loaded, found)
    tiers = [
        _tier(dataset, tier, slices, found, gone, dead, lags[str(tier)], today)
        for tier in dataset.publication_delay
    ]
    return Standing(slices, found, gone, tiers)


def _tier(
    dataset: Dataset,
    tier: str,
    slices: dict[AnySlice, dict[str, Any]],
    found: Collection[Gap],
    gone: Collection[AnySlice],
    dead: list[str],
    lag: int,
    today: date,
) -> TierStatus:
    rows = {week: row for week, row in slices.items() if week.section == tier}
    loaded = [week.period for week, row in rows.items() if row["source_revision"]]
    missing = [gap for gap in found if gap.week.section == tier]
    return TierStatus(
        dataset=dataset.name,
        tier=str(tier),
        newest_week=max(loaded, default=None),
        due_week=newest_due_week(tier, today, dataset).period,
        lag_days=lag,
        weeks=len(loaded),
        missing=len(missing),
        late=sum(gap.severity is not Severity.INFO for gap in missing),
        no_longer_offered=sum(week.section == tier for week in gone),
        refused=sum(row["status"] == SliceStatus.REFUSED for row in rows.values()),
        archived=sum(row["status"] == SliceStatus.ARCHIVED for row in rows.values()),
        dead_letters=dead.count(tier),
        worst_grade=max(filter(None, (r["quality_grade"] for r in rows.values())), default=None),
        is_critical=any(
            row["quality_status"] == "critical" for row in rows.values() if row["source_revision"]
        ),
        last_write=max((row["updated_at"] for row in rows.values()), default=None),
    )
