"""Partitions: one for each slice. The one place where a partition key becomes a slice and back."""

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

import dagster as dg

from otc_assets.calculations import tables_of
from otc_assets.domain.datasets import Dataset
from otc_assets.domain.grains import AnySlice, SliceKey, Slicing
from otc_assets.domain.weeks import WEEKS
from otc_assets.settings import weeks_setting

RANGES = 8
"""How many ranges' keys are remembered; a run has one."""


class Slices(dg.MultiPartitionsDefinition):
    """One partition for each slice of several sections; remembers keys of the newest ranges.

    Dagster lists those of the run's range anew for every partition that is given metadata, which
    takes the square of its length: a quarter of what a backfill of all history cost.
    """

    def __init__(self, slicing: Slicing) -> None:
        """Make the keys of sections and periods."""
        sections = dg.StaticPartitionsDefinition([str(section) for section in slicing.sections])
        super().__init__({"tier": sections, slicing.grain.column.name: _periods(slicing)})
        self._keys_in_range = lru_cache(RANGES)(super().get_partition_keys_in_range)

    def get_partition_keys_in_range(
        self, partition_key_range: dg.PartitionKeyRange, dynamic_partitions_store: Any = None
    ) -> Sequence[dg.MultiPartitionKey]:
        """Return the keys between two keys; the store of dynamic partitions has no part in it."""
        keys: Any = self._keys_in_range(partition_key_range)
        return list(keys)


def _periods(slicing: Slicing) -> dg.TimeWindowPartitionsDefinition:
    """Return the partitions of a grain.

    A key is the day that names a period, on which a *time window* starts; the window's own dates
    mean nothing here: a trading week ends on the Friday that names it.
    """
    return dg.TimeWindowPartitionsDefinition(
        start=slicing.first_period.isoformat(),
        fmt="%Y-%m-%d",
        cron_schedule=slicing.grain.cron,
        end_offset=slicing.grain.end_offset,
    )


@cache
def partitions_of(slicing: Slicing) -> dg.PartitionsDefinition[Any]:
    """Return one partition for each slice; of a single section, keys are its periods alone."""
    return _periods(slicing) if len(slicing.sections) == 1 else Slices(slicing)


SLICES = partitions_of(WEEKS)
"""Of the weekly datasets. Keys read ``NMS Tier 1|2025-12-26``."""


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
    return [asset_key_of(table.name, dataset) for table in tables_of(dataset)]


def publications_key(dataset: Dataset) -> dg.AssetKey:
    """Return the key of the external asset that stands for what FINRA publishes."""
    return dg.AssetKey(["finra", dataset.name])


def slice_of(partition_key: str, slicing: Slicing = WEEKS) -> AnySlice:
    """Return the slice that a partition key names."""
    definition = partitions_of(slicing)
    if not isinstance(definition, Slices):
        return slicing.from_string(f"{slicing.sections[0]}:{partition_key}")
    parts = definition.get_partition_key_from_str(partition_key).keys_by_dimension
    return slicing.from_string(f"{parts['tier']}:{parts[slicing.grain.column.name]}")


def partition_key_of(week: SliceKey) -> str:
    """Return the partition key of a slice."""
    period = week.period.isoformat()
    if len(week.slicing.sections) == 1:
        return period
    return dg.MultiPartitionKey({"tier": str(week.section), week.slicing.grain.column.name: period})
