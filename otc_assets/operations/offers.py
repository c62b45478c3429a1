"""What becomes of slices that FINRA no longer offers, and how much of its history the store has."""

from dataclasses import dataclass
from datetime import date

from otc_assets.domain.calendar import expected_publication_date, is_due
from otc_assets.domain.datasets import Dataset
from otc_assets.domain.gaps import dropped
from otc_assets.domain.grains import AnySlice, oldest_first
from otc_assets.domain.offers import Offers
from otc_assets.domain.quality import SliceStatus
from otc_assets.domain.rules import rules_of
from otc_assets.operations.frames import Knowledge, view_of
from otc_assets.operations.grading import quality_columns, standing_quality
from otc_assets.operations.judge import checked
from otc_assets.warehouse.reader import SliceReader
from otc_assets.warehouse.store import Warehouse
from otc_assets.warehouse.writer import RunIds


@dataclass(frozen=True)
class Progress:
    """How much of what FINRA offers of a dataset the store has."""

    dataset: Dataset
    offered: int
    """Slices that are due, and listed by FINRA."""
    lacking: list[AnySlice]
    """Those of them that the store has not, oldest first: the oldest vanish first."""
    dropped: list[AnySlice]
    """Slices that are due, neither listed nor in the store."""

    def __str__(self) -> str:
        """Say it in one line."""
        there = self.offered - len(self.lacking)
        text = f"{self.dataset.title}: {there:,} of {self.offered:,} slices are in the store"
        if self.lacking:
            first, last = self.lacking[0].period, self.lacking[-1].period
            text += f"; {len(self.lacking):,} lack, of weeks ending {first} to {last}"
        if self.dropped:
            text += f"; {len(self.dropped):,} due slices are no longer offered"
        return text


def progress_of(reader: SliceReader, offers: Offers, today: date) -> Progress:
    """Return how much of its history the store has of a dataset."""
    dataset, loaded = reader.dataset, set(reader.loaded_slices())
    offered = {
        week
        for week in offers.every()
        if week.period >= dataset.first_period and is_due(week, today, dataset)
    }
    lacking = oldest_first(offered - loaded)
    return Progress(dataset, len(offered), lacking, dropped(dataset, loaded, today, offers))


def no_longer_offered(dataset: Dataset, week: AnySlice) -> str:
    """Return why a slice lacks that FINRA has dropped, and what to do."""
    due = expected_publication_date(week, dataset)
    return (
        f"FINRA no longer offers {dataset.title} data of {week}, published on {due}: it can only "
        "come from files (OTC_SOURCE=files)"
    )


def let_go(warehouse: Warehouse, run: RunIds) -> list[AnySlice]:
    """Call slices no longer offered that were missing when a run last looked; return them.

    FINRA has dropped them since: their manifest says so, and their verdict and grade go.
    """
    with warehouse.read() as reader:
        offers, manifests = reader.offers(), reader.manifests("status")
    missing = [week for week, row in manifests.items() if row["status"] == SliceStatus.MISSING]
    gone = [week for week in oldest_first(missing) if offers.no_longer_have(week)]
    for week in gone:
        status, reason = SliceStatus.NOT_OFFERED, no_longer_offered(warehouse.dataset, week)
        with warehouse.write(week, run) as writer:
            view = view_of(Knowledge(writer, week), status, reason)
            writer.save_verdicts("raw", checked(rules_of(warehouse.dataset.raw), view))
            quality = standing_quality(writer, week, status, has_content=False)
            writer.save_manifest(status=status.value, reason=reason, **quality_columns(quality))
    return gone
