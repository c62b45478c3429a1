"""Check results for every partition of a range, which Dagster's own result does not give.

An `AssetCheckResult` that covers a range leaves each of its partitions "planned" for ever, and an
evaluation that does not name the materialization it looked at shows as "missing". This is preview
surface of Dagster, kept in this one file.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData as Target,
)

Standings = Mapping[str | None, Mapping[str, Any]]
"""What to say (passed, severity, description, metadata) of each partition; None is all of them."""


def evaluations(
    instance: dg.DagsterInstance, key: dg.AssetKey, check_name: str, standings: Standings
) -> Iterator[Any]:
    """Yield the events of one check step over many partitions."""
    targets = _materializations(instance, key, {p for p in standings if p is not None})
    for partition, standing in standings.items():
        yield dg.AssetCheckEvaluation(
            asset_key=key,
            check_name=check_name,
            partition=partition,
            target_materialization_data=targets.get(partition),
            **standing,
        )
    yield dg.Output(None, "result")


def _materializations(
    instance: dg.DagsterInstance, key: dg.AssetKey, partitions: set[str]
) -> dict[str | None, Target]:
    """Return the newest materialization of each partition."""
    newest = instance.event_log_storage.get_latest_storage_id_by_partition(
        key, dg.DagsterEventType.ASSET_MATERIALIZATION, partitions
    )
    if not newest:
        return {}
    records = instance.fetch_materializations(
        dg.AssetRecordsFilter(key, storage_ids=list(newest.values())), limit=len(newest)
    ).records
    return {
        record.partition_key: Target(
            storage_id=record.storage_id,
            run_id=record.event_log_entry.run_id,
            timestamp=record.timestamp,
        )
        for record in records
    }
