"""One asset for each table; all of them do their slices one by one, in one run."""

import time
from collections.abc import Callable
from typing import Any

import dagster as dg

from otc_assets.assets.metadata import column_lineage, column_schema, slice_metadata
from otc_assets.assets.partitions import SLICES, partition_key_of, slice_of
from otc_assets.assets.platform import Platform, run_ids, today
from otc_assets.calculations import calculations_of, output_tables
from otc_assets.domain.tables import RAW, Table
from otc_assets.domain.weeks import WeekKey
from otc_assets.operations.derive import derive, later_weeks, refresh
from otc_assets.operations.intake import ingest
from otc_assets.operations.outcome import SliceOutcome

OWNERS = ["team:market-structure"]
GROUPS = {"raw": "source", "venue_volume": "source", "research_snapshot": "research"}
"""Every other table is in the group `metrics`."""
RAW_CODE_VERSION = "v1"
"""Of parsing and judging lines; every other asset has the versions of its calculations."""
PROGRESS_LINES = 20
"""A range writes about this many lines of progress for each asset, however long it is."""

Work = Callable[[WeekKey], SliceOutcome]


def build_assets() -> list[dg.AssetsDefinition]:
    """Return the asset of raw, and one for each table that calculations fill."""
    return [_raw_asset(), *(_derived_asset(table) for table in output_tables())]


def _options(table: Table, code_version: str) -> dict[str, Any]:
    return {
        "name": table.name,
        "partitions_def": SLICES,
        "backfill_policy": dg.BackfillPolicy.single_run(),
        "owners": OWNERS,
        "group_name": GROUPS.get(table.name, "metrics"),
        "kinds": {"python", "pandas", "table"},
        "code_version": code_version,
        "description": f"{table.description}\n\nOne row per {table.grain}.",
        "metadata": {"dagster/column_schema": column_schema(table)},
    }


def _raw_asset() -> dg.AssetsDefinition:
    @dg.asset(**_options(RAW, RAW_CODE_VERSION))  # type: ignore[untyped-decorator]
    def raw(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult[None]:
        index, day, run = platform.source_index(), today(), run_ids(context.run)
        for stray in index.strays():
            context.log.warning(f"belongs to no slice and was left out: {stray.error}")
        warehouse, archive = platform.warehouse, platform.archive

        def work(week: WeekKey) -> SliceOutcome:
            return ingest(warehouse, archive, index, week, run, day)

        _each(context, RAW, work)
        return dg.MaterializeResult()

    definition: dg.AssetsDefinition = raw
    return definition


def _derived_asset(table: Table) -> dg.AssetsDefinition:
    calculations = calculations_of(table.name)
    inputs = dict.fromkeys(name for calc in calculations for name in calc.spec.input_tables)

    @dg.asset(  # type: ignore[untyped-decorator]
        **_options(table, ",".join(calc.spec.version for calc in calculations)),
        # The windows of later weeks are refreshed below, and not by a partition mapping: with one,
        # a backfill of a week asks for the five weeks after it, which may not be public yet.
        deps=inputs,
    )
    def derived(
        context: dg.AssetExecutionContext, platform: Platform
    ) -> dg.MaterializeResult[None]:
        warehouse, run = platform.warehouse, run_ids(context.run)

        def work(week: WeekKey) -> SliceOutcome:
            return derive(warehouse, table.name, week, run)

        done = _each(context, table, work)
        for week in later_weeks(warehouse, table.name, done):
            if outcome := refresh(warehouse, table.name, week, run):
                rows = len(outcome.rows)
                context.log.info(
                    f"{table.name} {week}: refreshed, an earlier week came; {rows} rows"
                )
        return dg.MaterializeResult(metadata={"dagster/column_lineage": column_lineage(table)})

    definition: dg.AssetsDefinition = derived
    return definition


def _each(context: dg.AssetExecutionContext, table: Table, work: Work) -> list[WeekKey]:
    """Do each slice of the run, oldest week first, and tell the UI and the log; return them."""
    requested = [slice_of(key) for key in context.partition_keys]
    slices = sorted(requested, key=lambda week: (week.week_ending, week.tier))
    started, rows = time.monotonic(), 0
    every = max(1, len(slices) // PROGRESS_LINES)
    for number, week in enumerate(slices, start=1):
        outcome = work(week)
        rows += len(outcome.rows)
        key, metadata = partition_key_of(week), slice_metadata(outcome)
        context.add_asset_metadata(metadata, partition_key=key)
        if number % every == 0 or number == len(slices) or not outcome.written:
            rate = rows / max(time.monotonic() - started, 1e-9)
            note = "" if outcome.written and not outcome.reason else f": {outcome.reason}"
            context.log.info(
                f"{table.name} {week}: slice {number} of {len(slices)}, "
                f"{rows:,} rows, {rate:,.0f} rows/s{note}"
            )
    return slices
