"""One asset for each table; all of them do their slices one by one, in one run."""

import time
from collections.abc import Callable
from typing import Any

import dagster as dg
from pydantic import Field

from otc_assets.assets.descriptions import FORCE, POLICY, described
from otc_assets.assets.metadata import column_lineage, column_schema, slice_metadata
from otc_assets.assets.partitions import (
    asset_key_of,
    backfill_policy,
    partition_key_of,
    partitions_of,
    publications_key,
    slice_of,
)
from otc_assets.assets.platform import Platform, run_ids
from otc_assets.assets.traces import slice_span, step
from otc_assets.calculations import calculations_of, derived_tables_of
from otc_assets.domain.calendar import today
from otc_assets.domain.datasets import Dataset
from otc_assets.domain.grains import SliceKey
from otc_assets.domain.quality import SliceStatus
from otc_assets.domain.revisions import RevisionPolicy
from otc_assets.domain.tables import Table
from otc_assets.operations.derive import derive, later_weeks, refresh
from otc_assets.operations.intake import ingest
from otc_assets.operations.outcome import SliceOutcome
from otc_assets.operations.revise import Treatment
from otc_assets.tracing import Span

OWNERS = ["team:market-structure"]
GROUPS = {"raw": "source", "research_snapshot": "research"}
"""Of a dataset's tables, as in `ats_source`; the validated one is in `source`, every other table in
`metrics`. Features and page, which are made of both datasets, are in the group `research`."""
RAW_CODE_VERSION = "v1"
"""Of parsing and judging lines; every other asset has the versions of its calculations."""
FINRA_POOL = "finra"
"""Dagster's pool of what may ask FINRA; dagster.yaml limits it."""
PROGRESS_LINES = 20
"""A range writes about this many lines of progress for each asset, however long it is."""

Work = Callable[[SliceKey], SliceOutcome]


class Intake(dg.Config):
    """What `raw` does with a content that the store lacks, and with one that it has."""

    policy: RevisionPolicy = Field(
        RevisionPolicy.VERSIONED,
        description=POLICY,
    )
    force: bool = Field(False, description=FORCE)


def build_assets(dataset: Dataset) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """Return a dataset's assets: what FINRA publishes, raw, and one for each derived table."""
    return [
        _publications(dataset),
        _raw_asset(dataset),
        *(_derived_asset(table, dataset) for table in derived_tables_of(dataset)),
    ]


def _publications(dataset: Dataset) -> dg.AssetSpec:
    """Return the external asset from which raw is read; its checks look for gaps."""
    name = dataset.grain.name
    return dg.AssetSpec(
        publications_key(dataset),
        description=f"The {dataset.title} volumes that FINRA publishes, {name} by {name}.",
        group_name=f"{dataset.name}_source",
        owners=OWNERS,
        tags=tags_of(dataset),
        kinds={"finra"},
    )


def _options(table: Table, dataset: Dataset, code_version: str) -> dict[str, Any]:
    return {
        "key": asset_key_of(table.name, dataset),
        "partitions_def": partitions_of(dataset.slicing),
        "backfill_policy": backfill_policy(),
        "owners": OWNERS,
        "group_name": f"{dataset.name}_{_group(table, dataset)}",
        "tags": tags_of(dataset),
        "kinds": {"python", "pandas", "table"},
        "code_version": code_version,
        "description": described(table, dataset),
        "metadata": {"dagster/column_schema": column_schema(table)},
    }


def tags_of(dataset: Dataset) -> dict[str, str]:
    """Return the tags of a dataset's assets; those of one grain can be materialized together."""
    return {"dataset": dataset.name, "grain": dataset.grain.name}


def _group(table: Table, dataset: Dataset) -> str:
    return "source" if table.name == dataset.validated else GROUPS.get(table.name, "metrics")


def _raw_asset(dataset: Dataset) -> dg.AssetsDefinition:
    @dg.asset(  # type: ignore[untyped-decorator]
        **_options(dataset.raw, dataset, RAW_CODE_VERSION),
        deps=[publications_key(dataset)],
        pool=FINRA_POOL,
    )
    @step
    def raw(
        context: dg.AssetExecutionContext, platform: Platform, config: Intake
    ) -> dg.MaterializeResult[None]:
        index, day, run = platform.source_index(dataset), today(), run_ids(context.run)
        treatment = Treatment(config.policy, config.force)
        for stray in index.strays():
            context.log.warning(f"belongs to no slice and was left out: {stray.error}")
        warehouse, archive = platform.warehouse(dataset), platform.archive(dataset)

        def work(week: SliceKey) -> SliceOutcome:
            return ingest(warehouse, archive, index, week, run, day, treatment)

        _each(context, dataset, dataset.raw, work)
        return dg.MaterializeResult()

    definition: dg.AssetsDefinition = raw
    return definition


def _derived_asset(table: Table, dataset: Dataset) -> dg.AssetsDefinition:
    calculations = calculations_of(table.name)
    inputs = dict.fromkeys(name for calc in calculations for name in calc.spec.input_tables)

    @dg.asset(  # type: ignore[untyped-decorator]
        **_options(table, dataset, ",".join(calc.spec.version for calc in calculations)),
        # The windows of later weeks are refreshed below, and not by a partition mapping: with one,
        # a backfill of a week asks for the five weeks after it, which may not be public yet.
        deps=[asset_key_of(name, dataset) for name in inputs],
    )
    @step
    def derived(
        context: dg.AssetExecutionContext, platform: Platform
    ) -> dg.MaterializeResult[None]:
        warehouse, run = platform.warehouse(dataset), run_ids(context.run)

        def work(week: SliceKey) -> SliceOutcome:
            return derive(warehouse, table.name, week, run)

        done = _each(context, dataset, table, work)
        changed = f"an earlier {dataset.grain.name} has changed"
        for week in later_weeks(warehouse, table.name, done):
            with slice_span(dataset, table.name, week) as span:
                outcome = refresh(warehouse, table.name, week, run)
                if outcome:
                    _say(span, outcome)
            if outcome:
                # Not a partition of this run: logged as a materialization of its own.
                metadata = slice_metadata(outcome, dataset) | {"refreshed": changed}
                materialization = dg.AssetMaterialization(
                    context.asset_key, metadata=metadata, partition=partition_key_of(week)
                )
                context.log_event(materialization)
        lineage = column_lineage(table, dataset)
        return dg.MaterializeResult(metadata={"dagster/column_lineage": lineage})

    definition: dg.AssetsDefinition = derived
    return definition


def _each(
    context: dg.AssetExecutionContext, dataset: Dataset, table: Table, work: Work
) -> list[SliceKey]:
    """Do each slice of the run, and tell the UI and the log; return them.

    Tier by tier, oldest week first: a week looks back at those of its own tier.
    """
    slices = sorted(slice_of(key, dataset.slicing) for key in context.partition_keys)
    started, rows = time.monotonic(), 0
    every = max(1, len(slices) // PROGRESS_LINES)
    for number, week in enumerate(slices, start=1):
        with slice_span(dataset, table.name, week) as span:
            outcome = work(week)
            _say(span, outcome)
        rows += len(outcome.rows)
        key, metadata = partition_key_of(week), slice_metadata(outcome, dataset)
        context.add_asset_metadata(metadata, partition_key=key)
        if _is_bad(outcome):
            context.log.warning(f"{table.name} {week}: {outcome.reason}")
        if number % every == 0 or number == len(slices):
            rate = rows / max(time.monotonic() - started, 1e-9)
            context.log.info(
                f"{table.name} {week}: slice {number} of {len(slices)}, "
                f"{rows:,} rows, {rate:,.0f} rows/s"
            )
    return slices


def _is_bad(outcome: SliceOutcome) -> bool:
    refused = outcome.status is SliceStatus.REFUSED and outcome.table == "raw"
    return refused or not outcome.written


def _say(span: Span, outcome: SliceOutcome) -> None:
    """Put into a slice's span what became of it."""
    revisions = [result.revision for result in outcome.results]
    span.set(rows=len(outcome.rows), status=outcome.status, revision=max(revisions, default=None))
    if _is_bad(outcome):
        span.fail(outcome.reason)
