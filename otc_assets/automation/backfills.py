"""Asks Dagster for a backfill of exactly some slices, as the UI's dialog does, and how it stands.

Dagster has no public call for it outside GraphQL; what its daemon uses for a sensor's backfill is
used here, and in this one file.
"""

import time
from collections.abc import Collection, Mapping
from typing import Any

import dagster as dg
from dagster._core.definitions.assets.graph.asset_graph_subset import AssetGraphSubset
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.utils import make_new_backfill_id

from otc_assets.assets.features import features_of
from otc_assets.assets.partitions import partition_key_of, partitions_of, table_keys
from otc_assets.domain.datasets import Dataset
from otc_assets.domain.grains import SliceKey

UNDER_WAY = (BulkActionStatus.REQUESTED, BulkActionStatus.CANCELING)
CANCELED = (BulkActionStatus.CANCELED, BulkActionStatus.CANCELING)


def request_backfill(
    instance: dg.DagsterInstance,
    slices: Mapping[Dataset, Collection[SliceKey]],
    title: str,
    tags: Mapping[str, str] | None = None,
) -> str:
    """Request every asset of some datasets, and their features, for slices of each.

    Dagster's daemon, which `dagster dev` brings, makes the runs. Returns the backfill's id.
    """
    subsets: dict[dg.AssetKey, Any] = {}
    for each, weeks in slices.items():
        mine = _subset(weeks)
        for key in (*table_keys(each), *features_of(each)):  # both datasets have the features
            subsets[key] = subsets[key] | mine if key in subsets else mine
    backfill_id = make_new_backfill_id()
    backfill = PartitionBackfill.from_asset_graph_subset(
        backfill_id=backfill_id,
        backfill_timestamp=time.time(),
        tags=dict(tags or {}),
        dynamic_partitions_store=instance,
        asset_graph_subset=AssetGraphSubset(  # type: ignore[call-arg]  # its __new__ is hidden
            partitions_subsets_by_asset_key=subsets,
            non_partitioned_asset_keys=set(),
        ),
        title=title,
        description=None,
        run_config=None,
    )
    instance.add_backfill(backfill)
    return backfill_id


def tagged_backfills(instance: dg.DagsterInstance, tag: str) -> list[PartitionBackfill]:
    """Return the backfills that were requested with a tag, newest first."""
    return [each for each in instance.get_backfills() if tag in (each.tags or {})]


def _subset(slices: Collection[SliceKey]) -> Any:
    partitions = partitions_of(next(iter(slices)).slicing)
    return partitions.subset_with_partition_keys([partition_key_of(week) for week in slices])
