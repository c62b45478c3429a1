"""Jobs: all tables of a dataset, and what is done to many slices at once."""

from functools import cache
from typing import Any

import dagster as dg
from pydantic import Field

from otc_assets.assets.factory import FINRA_POOL
from otc_assets.assets.partitions import publications_key, table_keys
from otc_assets.assets.platform import Platform, reach, run_ids
from otc_assets.assets.traces import slice_span, step
from otc_assets.automation.backfills import request_backfill
from otc_assets.checks.verify import verify_check_key
from otc_assets.checks.watch import look_at_listings
from otc_assets.domain.calendar import today
from otc_assets.domain.datasets import Dataset
from otc_assets.domain.gaps import gaps
from otc_assets.domain.grains import SliceKey
from otc_assets.operations.follow import reread, rereadable
from otc_assets.operations.rebuild import RebuildError, rebuild_all
from otc_assets.operations.retention import (
    RetentionError,
    expired,
    give_back,
    prune,
    room_of,
    told,
)
from otc_assets.operations.versions import retire
from otc_assets.sources.errors import OutageError, SourceError, VolumeError
from otc_assets.warehouse.store import Warehouse

OF_ALL_SLICES = dg.AssetSelection.from_string('key:"research_page" or key:"venue_registry"')
"""The assets without partitions; of dealers alone there is no registry, which a list of keys would
not allow."""


def build_jobs(dataset: Dataset) -> list[Any]:
    """Return the jobs of one dataset."""
    return [
        tables_job(dataset),
        watch_job(dataset),
        verify_job(dataset),
        corrections_job(dataset),
        fill_gaps_job(dataset),
        retry_dead_letters_job(dataset),
        retire_job(dataset),
        retention_job(dataset),
        rebuild_snapshot_job(dataset),
    ]


@cache  # one object, however many sensors and schedules name it
def tables_job(dataset: Dataset) -> Any:
    """Return the job of every asset of a dataset, with their checks."""
    return dg.define_asset_job(
        f"{dataset.name}_tables",
        # Downstream: the features, which of the weekly datasets are of both.
        # What is of all slices has a schedule: a run should not fail for it.
        selection=dg.AssetSelection.assets(*table_keys(dataset)).downstream() - OF_ALL_SLICES,
        description=f"Every table of the {dataset.title} data, with its checks"
        + (", and the features." if dataset.is_weekly or dataset.features else "."),
    )


@cache
def page_job() -> Any:
    """Return the job that writes the page for researchers and the registry of venues anew."""
    return dg.define_asset_job(
        "write_research_page",
        selection=OF_ALL_SLICES,
        description="The page for researchers (OTC_PAGE_URL) and the registry of venues, of what "
        "is in the store now.",
    )


@cache
def watch_job(dataset: Dataset) -> Any:
    """Return the job that looks for gaps and dead letters, and fails if there are grave ones."""
    return dg.define_asset_job(
        f"{dataset.name}_watch",
        selection=dg.AssetSelection.checks_for_assets(publications_key(dataset))
        - dg.AssetSelection.checks(verify_check_key(dataset)),
        description=f"Are all {dataset.title} {dataset.grain.name}s that FINRA has published in "
        "the store? Fails if one is more than 7 days late, for a run failure sensor to tell.",
    )


def verify_job(dataset: Dataset) -> Any:
    """Return the job that verifies slices against the archive."""
    return dg.define_asset_job(
        f"{dataset.name}_verify",
        selection=dg.AssetSelection.checks(verify_check_key(dataset)),
        description=f"Is what the store has of {dataset.title} slices what the archive gives? "
        "Draws some at random, or does all (sample: 0); writes nothing.",
    )


@cache
def corrections_job(dataset: Dataset) -> dg.JobDefinition:
    """Return the job that reads recent slices again, and marks those that have changed."""

    @dg.op(name=f"{dataset.name}_reread", pool=FINRA_POOL)
    @step
    def reread_slices(context: dg.OpExecutionContext, platform: Platform) -> None:
        warehouse, index = platform.warehouse(dataset), platform.source_index(dataset)
        weeks, run, day = reach().reread_weeks, run_ids(context.run), today()
        failed = []
        for week in rereadable(warehouse, weeks):
            try:
                with slice_span(dataset, "raw", week):
                    has_changed = reread(warehouse, index, week, run, day)
                if has_changed:
                    context.log.info(f"{week} has changed; the publication sensor will request it")
            except (OutageError, VolumeError) as error:
                failed.append(f"{week}: {error}; those after it were not asked for")
                break
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

    def missing(warehouse: Warehouse) -> list[SliceKey]:
        with warehouse.read() as reader:
            found = gaps(dataset, reader.loaded_slices(), today(), reader.offers())
        return [gap.week for gap in found]

    return _backfill_job(
        dataset, "fill_gaps", f"the {dataset.grain.name}s that are due and lacking", missing
    )


def retry_dead_letters_job(dataset: Dataset) -> dg.JobDefinition:
    """Return the job that requests a backfill of exactly the slices in dead_letters."""

    def dead(warehouse: Warehouse) -> list[SliceKey]:
        with warehouse.read() as reader:
            return reader.dead_slices()

    return _backfill_job(dataset, "retry_dead_letters", "the slices in dead_letters", dead)


class Retirement(dg.Config):
    """Which version of a calculation is taken out of the store."""

    calculation: str = Field(description="A retired one by name and version: concentration_v1.")


def retire_job(dataset: Dataset) -> dg.JobDefinition:
    """Return the job that removes the rows of a retired version of a calculation."""

    @dg.op(name=f"{dataset.name}_retire_version")
    @step
    def retire_version(
        context: dg.OpExecutionContext, platform: Platform, config: Retirement
    ) -> None:
        run = run_ids(context.run)
        removed = retire(platform.warehouse(dataset), config.calculation, run)
        count = sum(removed.values())
        context.log.info(f"{config.calculation}: removed {count} rows of {len(removed)} slices")

    @dg.job(
        name=f"{dataset.name}_retire",
        description=f"Removes the {dataset.title} rows of a retired version of a calculation, "
        "unless slices have none of the version that replaced it.",
    )
    def job() -> None:
        retire_version()

    return job


class Retaining(dg.Config):
    """Whether a retention run removes rows."""

    dry_run: bool | None = Field(
        None,
        description="Only tell what would be removed. Default: true until a run of this job has "
        "succeeded here, false from then on.",
    )


@cache
def retention_job(dataset: Dataset) -> dg.JobDefinition:
    """Return the job that removes rows from the store which the archive gives again."""
    job_name = f"{dataset.name}_retention"

    @dg.op(name=f"{dataset.name}_retain_rows")
    @step
    def retain_rows(context: dg.OpExecutionContext, platform: Platform, config: Retaining) -> None:
        warehouse = platform.warehouse(dataset)
        slices = expired(warehouse, today())
        about = room_of(warehouse, slices)
        context.log.info(f"{told(slices)} are to be removed, {about}")
        if config.dry_run or (config.dry_run is None and _is_first(context, job_name)):
            for each in slices:
                context.log.info(f"would remove {each}")
            context.log.info(
                "This was a dry run: nothing was removed. The next run of this job removes what "
                "it names, unless dry_run is true."
            )
            return
        platform.archive(dataset)  # which refuses another store's
        left = []
        for done in prune(warehouse, slices, run_ids(context.run)):
            if isinstance(done, RetentionError):
                left.append(str(done))
            else:
                context.log.info(f"removed {done}")
        for line in give_back(warehouse):
            context.log.info(line)
        if left:
            raise dg.Failure(f"{len(left)} slices were left as they are:\n" + "\n".join(left))

    @dg.job(
        name=job_name,
        description=f"Removes old {dataset.title} rows that the archive gives again "
        "(OTC_RETAIN_RAW_WEEKS, OTC_RETAIN_VENUE_VOLUME_WEEKS). The first run only tells what it "
        "would remove. `otc restore` brings rows back.",
    )
    def retention() -> None:
        retain_rows()

    return retention


def _is_first(context: dg.OpExecutionContext, job_name: str) -> bool:
    """Tell whether no run of a job has succeeded on this instance."""
    succeeded = dg.RunsFilter(job_name=job_name, statuses=[dg.DagsterRunStatus.SUCCESS])
    return not context.instance.get_run_records(succeeded, limit=1)


class Rebuilding(dg.Config):
    """What a rebuild may replace."""

    accept_difference: str = Field(
        "",
        description="Why it is right that rebuilt rows differ from the live ones, which they then "
        "replace. Empty: nothing may differ, and nothing is replaced.",
    )


def rebuild_snapshot_job(dataset: Dataset) -> dg.JobDefinition:
    """Return the job that rebuilds the snapshot of every slice, and fails if any differs."""

    @dg.op(name=f"{dataset.name}_rebuild_slices")
    @step
    def rebuild_slices(
        context: dg.OpExecutionContext, platform: Platform, config: Rebuilding
    ) -> None:
        warehouse, archive = platform.warehouse(dataset), platform.archive(dataset)
        failed, equal = [], 0
        for each in rebuild_all(warehouse, archive, run_ids(context.run), config.accept_difference):
            if isinstance(each, RebuildError):
                context.log.error(str(each))
                failed.append(str(each))
            elif each.differences:
                listed = "; ".join(map(str, each.differences))
                context.log.info(f"{each.week} was replaced: {listed}")
            else:
                equal += 1
        context.log.info(f"{equal} slices are what the archive gives")
        if failed:
            raise dg.Failure(f"{len(failed)} slices were left as they are:\n" + "\n".join(failed))

    @dg.job(
        name=f"{dataset.name}_rebuild_snapshot",
        description=f"Computes every {dataset.title} table of every slice again from the archive, "
        "beside the live one, and fails naming what differs; replaces it if told why.",
    )
    def job() -> None:
        rebuild_slices()

    return job


def _backfill_job(dataset: Dataset, name: str, what: str, find: Any) -> dg.JobDefinition:
    @dg.op(name=f"{dataset.name}_{name}_request")
    @step
    def request(context: dg.OpExecutionContext, platform: Platform) -> None:
        look_at_listings(context, platform, dataset)
        slices = find(platform.warehouse(dataset))
        if not slices:
            context.log.info(f"{dataset.title}: there are none of {what}")
            return
        title = f"{dataset.title}: {what} ({len(slices)})"
        backfill = request_backfill(context.instance, {dataset: slices}, title)
        listed = ", ".join(str(week) for week in slices)
        context.log.info(f"backfill {backfill} was requested for {listed}")

    @dg.job(
        name=f"{dataset.name}_{name}",
        description=f"Requests a backfill of exactly {what}; Dagster's daemon runs it.",
    )
    def job() -> None:
        request()

    return job
