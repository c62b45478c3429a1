"""Check results for every partition of a range, which Dagster's own result does not give.

An `AssetCheckResult` that covers a range leaves each of its partitions "planned" for ever, and an
evaluation that does not name the materialization it looked at shows as "missing". This is preview
surface of Dagster, kept in this one file.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData as Target,
)

Standings = Mapping[str | None, Mapping[str, Any]]
"""What to say (passed, severity, description, metadata) of each partition; None is all of them."""


def partition_keys(context: dg.AssetCheckExecutionContext, asset: dg.AssetKey) -> list[str]:
    """Return the partitions of the run; of one without any ("Execute all"), all there are."""
    if context.has_partition_key or context.has_partition_key_range:
        return list(context.partition_keys)
    return sorted(context.instance.get_materialized_partitions(asset))


def of_all(failed: Collection[str], count: int, severity: dg.AssetCheckSeverity) -> dict[str, Any]:
    """Return what to say of all ``count`` partitions together, given which of them failed."""
    return {
        "passed": not failed,
        "severity": severity,
        "description": f"{len(failed)} of {count} partitions failed",
        "metadata": {"failed": ", ".join(failed) or "none"},
    }


def evaluations(
    context: dg.AssetCheckExecutionContext, check: dg.AssetCheckSpec, standings: Standings
) -> Iterator[Any]:
    """Yield the events of one check over the partitions of a run."""
    wanted = {partition for partition in standings if partition is not None}
    if "dagster/partition" in context.run.tags and len(wanted) == 1:
        standing = standings[wanted.pop()]
        yield dg.AssetCheckResult(asset_key=check.asset_key, check_name=check.name, **standing)
        return
    targets = _materializations(context.instance, check.asset_key, wanted)
    for partition, standing in standings.items():
        yield dg.AssetCheckEvaluation(
            asset_key=check.asset_key,
            check_name=check.name,
            partition=partition,
            target_materialization_data=targets.get(partition),
            **standing,
        )
    yield dg.Output(None, check.get_python_identifier())


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
