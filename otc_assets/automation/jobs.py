"""Jobs: all tables of a dataset, and what is done to many slices at once."""

from functools import cache
from typing import Any

import dagster as dg

from otc_assets.assets.factory import FINRA_POOL
from otc_assets.assets.partitions import publications_key, table_keys
from otc_assets.assets.platform import Platform, reach, run_ids, today
from otc_assets.automation.backfills import request_backfill
from otc_assets.domain.datasets import Dataset
from otc_assets.domain.gaps import gaps
from otc_assets.domain.weeks import WeekKey
from otc_assets.operations.follow import reread, rereadable
from otc_assets.sources.errors import SourceError
from otc_assets.warehouse.store import Warehouse


def build_jobs(dataset: Dataset) -> list[Any]:
    """Return the jobs of one dataset."""
    return [
        tables_job(dataset),
        watch_job(dataset),
        corrections_job(dataset),
        fill_gaps_job(dataset),
        retry_dead_letters_job(dataset),
    ]


@cache  # one object, however many sensors and schedules name it
def tables_job(dataset: Dataset) -> Any:
    """Return the job of every asset of a dataset, with their checks."""
    return dg.define_asset_job(
        f"{dataset.name}_tables",
        selection=dg.AssetSelection.assets(*table_keys(dataset)),
        description=f"Every table of the {dataset.title} data, with its checks.",
    )


@cache
def watch_job(dataset: Dataset) -> Any:
    """Return the job that looks for gaps and dead letters, and fails if there are grave ones."""
    return dg.define_asset_job(
        f"{dataset.name}_watch",
        selection=dg.AssetSelection.checks_for_assets(publications_key(dataset)),
        description=f"Are all {dataset.title} weeks that FINRA has published in the store? Fails "
        "if one is more than 7 days late, for a run failure sensor to tell.",
    )


@cache
def corrections_job(dataset: Dataset) -> dg.JobDefinition:
    """Return the job that reads recent slices again, and marks those that have changed."""

    @dg.op(name=f"{dataset.name}_reread", pool=FINRA_POOL)
    def reread_slices(context: dg.OpExecutionContext, platform: Platform) -> None:
        warehouse, index = platform.warehouse(dataset), platform.source_index(dataset)
        weeks, run, day = reach().reread_weeks, run_ids(context.run), today()
        failed = []
        for week in rereadable(warehouse, weeks):
            try:
                if reread(warehouse, index, week, run, day):
                    context.log.info(f"{week} has changed; the publication sensor will request it")
            except SourceError as error:
                failed.append(f"{week}: {error}")
        if failed:
            raise dg.Failure(f"{len(failed)} slices could not be read again:\n" + "\n".join(failed))

    @dg.job(
        name=f"{dataset.name}_corrections",
        description=f"Reads the newest {dataset.title} slices again (OTC_REREAD_WEEKS of each "
        "tier) and marks those that FINRA has changed, for the publication sensor to request.",
    )
    def corrections() -> None:
        reread_slices()

    return corrections


def fill_gaps_job(dataset: Dataset) -> dg.JobDefinition:
    """Return the job that requests a backfill of exactly the slices that are due and lacking."""

    def missing(warehouse: Warehouse) -> list[WeekKey]:
        with warehouse.read() as reader:
            loaded = reader.loaded_slices()
        return [gap.week for gap in gaps(dataset, loaded, today())]

    return _backfill_job(dataset, "fill_gaps", "the weeks that are due and lacking", missing)


def retry_dead_letters_job(dataset: Dataset) -> dg.JobDefinition:
    """Return the job that requests a backfill of exactly the slices in dead_letters."""

    def dead(warehouse: Warehouse) -> list[WeekKey]:
        with warehouse.read() as reader:
            return reader.dead_slices()

    return _backfill_job(dataset, "retry_dead_letters", "the slices in dead_letters", dead)


def _backfill_job(dataset: Dataset, name: str, what: str, find: Any) -> dg.JobDefinition:
    @dg.op(name=f"{dataset.name}_{name}_request")
    def request(context: dg.OpExecutionContext, platform: Platform) -> None:
        slices = find(platform.warehouse(dataset))
        if not slices:
            context.log.info(f"{dataset.title}: there are none of {what}")
            return
        title = f"{dataset.title}: {what} ({len(slices)})"
        backfill = request_backfill(context.instance, dataset, slices, title)
        listed = ", ".join(str(week) for week in slices)
        context.log.info(f"backfill {backfill} was requested for {listed}")

    @dg.job(
        name=f"{dataset.name}_{name}",
        description=f"Requests a backfill of exactly {what}; Dagster's daemon runs it.",
    )
    def job() -> None:
        request()

    return job
