"""The datasets: the two weekly ones here, FINRA's others in `otc_assets.domain.neighbours`.

An entry in `EVERY_DATASET` is all that a further dataset needs; its tables, assets, checks, sensors
and schedules follow, whatever its grain is.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from otc_assets.domain.declaration import (
    BLOCKS,
    DAYS,
    FIRMS,
    VENUES,
    WEEKLY_HISTORIC,
    Dataset,
    Delay,
)
from otc_assets.domain.neighbours import NEIGHBOURS
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import FIRST_WEEK_ENDING

__all__ = [
    "ATS",
    "BLOCKS",
    "DATASETS",
    "DAYS",
    "EVERY_DATASET",
    "FIRMS",
    "NEIGHBOURS",
    "NON_ATS",
    "TWO_AND_FOUR_WEEKS",
    "VENUES",
    "Dataset",
    "every_dataset",
]

TWO_AND_FOUR_WEEKS: Mapping[Any, Delay] = {
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
    first_period=FIRST_WEEK_ENDING,
    venue_columns=("mpid",),
    historic_set=WEEKLY_HISTORIC,
)

NON_ATS = Dataset(
    name="non_ats",
    title="non-ATS",
    summary_type="OTC_W_SMBL_FIRM",  # OTC means over the counter here, not the tier
    publication_delay=TWO_AND_FOUR_WEEKS,
    first_period=date(2016, 4, 8),
    # Dealers have no MPID in these data; "De Minimis Firms" together are CRD number 0.
    venue_columns=("firm_crd", "venue_name"),
    historic_set=WEEKLY_HISTORIC,
    prefix="non_ats",
)

DATASETS = (ATS, NON_ATS)
"""The weekly ones, venue by symbol: what research, features, explorer and the HTTP API are of."""

EVERY_DATASET = (*DATASETS, *NEIGHBOURS)
"""All that Dagster and the store know."""


def every_dataset() -> tuple[Dataset, ...]:
    """Return `EVERY_DATASET` as it is now: a test may declare a further one."""
    return EVERY_DATASET
