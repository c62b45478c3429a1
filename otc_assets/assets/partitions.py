"""Partitions: one for each slice. The one place where a partition key becomes a slice and back."""

import dagster as dg

from otc_assets.calculations import output_tables
from otc_assets.domain.datasets import Dataset
from otc_assets.domain.tables import RAW
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import FIRST_WEEK_ENDING, FRIDAY, WeekKey

TIERS = dg.StaticPartitionsDefinition([tier.value for tier in Tier])

WEEKS = dg.WeeklyPartitionsDefinition(
    start_date=FIRST_WEEK_ENDING.isoformat(),
    # Dagster counts weekdays from Sunday. A key is the Friday on which a *time window* starts, and
    # the window's own dates mean nothing here: the trading week ends on that Friday.
    day_offset=FRIDAY + 1,
)

SLICES = dg.MultiPartitionsDefinition({"tier": TIERS, "week_ending": WEEKS})
"""Keys read ``NMS Tier 1|2025-12-26``."""


def asset_key_of(table: str, dataset: Dataset) -> dg.AssetKey:
    """Return the key of a table's asset."""
    return dg.AssetKey([dataset.prefix, table] if dataset.prefix else [table])


def table_keys(dataset: Dataset) -> list[dg.AssetKey]:
    """Return the keys of all table assets of a dataset."""
    return [asset_key_of(table.name, dataset) for table in (RAW, *output_tables())]


def publications_key(dataset: Dataset) -> dg.AssetKey:
    """Return the key of the external asset that stands for what FINRA publishes."""
    return dg.AssetKey(["finra", dataset.name])


def slice_of(partition_key: str) -> WeekKey:
    """Return the slice that a partition key names."""
    parts = SLICES.get_partition_key_from_str(partition_key).keys_by_dimension
    return WeekKey.from_string(f"{parts['tier']}:{parts['week_ending']}")


def partition_key_of(week: WeekKey) -> str:
    """Return the partition key of a slice."""
    return dg.MultiPartitionKey(
        {"tier": week.tier.value, "week_ending": week.week_ending.isoformat()}
    )
