"""The weekly datasets of FINRA: what tells one from another. All the rest is the same for each.

The design's `WeeklyTransparencyDomain` (its section 8.1) as a declaration: an entry in `DATASETS`
is all that a further dataset needs; its tables, assets, checks, sensors and schedules follow.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import FIRST_WEEK_ENDING


@dataclass(frozen=True, eq=False)
class Dataset:
    """One of FINRA's weekly volume datasets, venue by symbol."""

    name: str
    """Names its jobs, sensors and schedules."""
    title: str
    """What the UI and messages call it."""
    summary_type: str
    """FINRA's summaryTypeCode of its rows, one per venue and symbol."""
    publication_delay: Mapping[Tier, timedelta]
    """From the Monday of a week to the Monday of its publication."""
    first_week_ending: date
    """The first week that FINRA published."""
    venue_columns: tuple[str, ...]
    """The columns of raw that identify a venue; joined by a space they are its ``mpid``."""
    set_name: str = "weeklySummary"
    """FINRA's set of its newest weeks, which may still be corrected."""
    historic_set: str = "weeklySummaryHistoric"
    """FINRA's set of its older weeks, which do not change; all summary types come together."""
    prefix: str = ""
    """Before the names of its tables, and the first part of its asset keys; the first dataset,
    which came before there were others, has none."""

    def table_name(self, name: str) -> str:
        """Return what the database calls a table of this dataset."""
        return f"{self.prefix}_{name}" if self.prefix else name


TWO_AND_FOUR_WEEKS = {
    Tier.NMS_TIER_1: timedelta(days=21),
    Tier.NMS_TIER_2: timedelta(days=35),
    Tier.OTC: timedelta(days=35),
}
"""FINRA Regulatory Notice 19-29: two and four weeks after the end of the week, on the Monday that
follows."""

ATS = Dataset(
    name="ats",
    title="ATS",
    summary_type="ATS_W_SMBL_FIRM",
    publication_delay=TWO_AND_FOUR_WEEKS,
    first_week_ending=FIRST_WEEK_ENDING,
    venue_columns=("mpid",),
)

NON_ATS = Dataset(
    name="non_ats",
    title="non-ATS",
    summary_type="OTC_W_SMBL_FIRM",  # OTC means over the counter here, not the tier
    publication_delay=TWO_AND_FOUR_WEEKS,
    first_week_ending=date(2016, 4, 8),
    # Dealers have no MPID in these data; "De Minimis Firms" together are CRD number 0.
    venue_columns=("firm_crd", "venue_name"),
    prefix="non_ats",
)

DATASETS = (ATS, NON_ATS)
