"""Partitions: one for each slice. The one place where a partition key becomes a slice and back."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import dagster as dg

from otc_assets.calculations import output_tables
from otc_assets.domain.datasets import Dataset
from otc_assets.domain.tables import RAW
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import FIRST_WEEK_ENDING, FRIDAY, WeekKey
from otc_assets.settings import weeks_setting

TIERS = dg.StaticPartitionsDefinition([tier.value for tier in Tier])

WEEKS = dg.WeeklyPartitionsDefinition(
    start_date=FIRST_WEEK_ENDING.isoformat(),
    # Dagster counts weekdays from Sunday. A key is the Friday on which a *time window* starts, and
    # the window's own dates mean nothing here: the trading week ends on that Friday.
    day_offset=FRIDAY + 1,
)

RANGES = 8
"""How many ranges' keys are remembered; a run has one."""


class Slices(dg.MultiPartitionsDefinition):
    """One partition for each slice; remembers the keys of the newest ranges.

    Dagster lists those of the run's range anew for every partition that is given metadata, which
    takes the square of its length: a quarter of what a backfill of all history cost.
    """

    def __init__(self) -> None:
        """Make the keys of tiers and weeks."""
        super().__init__({"tier": TIERS, "week_ending": WEEKS})
        self._keys_in_range = lru_cache(RANGES)(super().get_partition_keys_in_range)

    def get_partition_keys_in_range(
        self, partition_key_range: dg.PartitionKeyRange, dynamic_partitions_store: Any = None
    ) -> Sequence[dg.MultiPartitionKey]:
        """Return the keys between two keys; the store of dynamic partitions has no part in it."""
        keys: Any = self._keys_in_range(partition_key_range)
        return list(keys)


SLICES = Slices()
"""Keys read ``NMS Tier 1|2025-12-26``."""


class BackfillPolicy(dg.BackfillPolicy):
    """How many slices of a range a run of a backfill does at most; of one tier, as a rule.

    It reaches Dagster's daemon as Dagster's own policy, by the name of its class. In this process
    it says that one run may do any range: ``dagster asset materialize --partition-range`` would
    refuse ranges otherwise.
    """

    @property
    def policy_type(self) -> Any:
        """Let one run do a range that was asked for as one."""
        return dg.BackfillPolicy.single_run().policy_type


def backfill_policy() -> dg.BackfillPolicy:
    """Return the policy of every partitioned asset: blocks of OTC_WEEKS_PER_RUN.

    Raises:
        ValueError: the setting is no number of weeks.

    """
    return BackfillPolicy(weeks_setting("OTC_WEEKS_PER_RUN"))


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
