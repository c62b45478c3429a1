"""Asks Dagster for a backfill of exactly some slices, as the UI's dialog does.

Dagster has no public call for it outside GraphQL; what its daemon uses for a sensor's backfill is
used here, and in this one file.
"""

import time
from collections.abc import Collection

import dagster as dg
from dagster._core.definitions.assets.graph.asset_graph_subset import AssetGraphSubset
from dagster._core.execution.backfill import PartitionBackfill
from dagster._core.utils import make_new_backfill_id

from otc_assets.assets.features import features_of
from otc_assets.assets.partitions import partition_key_of, partitions_of, table_keys
from otc_assets.domain.datasets import Dataset
from otc_assets.domain.grains import SliceKey


def request_backfill(
    instance: dg.DagsterInstance, dataset: Dataset, slices: Collection[SliceKey], title: str
) -> str:
    """Request every asset of a dataset, and its features, for ``slices``; return the id.

    Dagster's daemon, which `dagster dev` brings, makes the runs.
    """
    keys = [partition_key_of(week) for week in slices]
    subset = partitions_of(dataset.slicing).subset_with_partition_keys(keys)
    backfill_id = make_new_backfill_id()
    backfill = PartitionBackfill.from_asset_graph_subset(
        backfill_id=backfill_id,
        backfill_timestamp=time.time(),
        tags={},
        dynamic_partitions_store=instance,
        asset_graph_subset=AssetGraphSubset(  # type: ignore[call-arg]  # its __new__ is hidden
            partitions_subsets_by_asset_key=dict.fromkeys(
                [*table_keys(dataset), *features_of(dataset)], subset
            ),
            non_partitioned_asset_keys=set(),
        ),
        title=title,
        description=None,
        run_config=None,
    )
    instance.add_backfill(backfill)
    return backfill_id
