"""Two sensors: `incidents` writes down what ended runs tell of, `notifications` tells people.

Ended runs are followed by a plain sensor, and not by Dagster's run status sensors. Those would be
two, for failures and for successes, each with a cursor of its own: a success could be seen before
the failure that it followed. They also go on after an error of ours, so a failure would be
lost while the store does not answer. A plain sensor that fails sees the same runs again.
"""

from collections.abc import Sequence
from functools import cache

import dagster as dg

from otc_assets.assets.partitions import publications_key, slice_of, table_keys
from otc_assets.assets.platform import Platform
from otc_assets.automation.jobs import build_jobs, watch_job
from otc_assets.automation.ranges import Range
from otc_assets.checks.watch import PARTITION_TAGS
from otc_assets.domain.calendar import today
from otc_assets.domain.datasets import ATS, Dataset, every_dataset
from otc_assets.domain.events import slice_id
from otc_assets.domain.grains import SliceKey
from otc_assets.domain.quality import Severity
from otc_assets.domain.weeks import WEEKS
from otc_assets.operations.incidents import (
    first_line,
    reconcile,
    run_failed,
    run_succeeded,
    slices_not_well,
)
from otc_assets.operations.notify import deliver
from otc_assets.operations.sinks import sinks

INTERVAL_SECONDS = 60
RUNS_OF_A_TICK = 100
IS_TRIED_AGAIN = "dagster/will_retry"
"""Dagster's tag of a failed run that its daemon runs again, also after it has done so."""
ENDED = (dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_SUCCESS)


@dg.sensor(
    minimum_interval_seconds=INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Follows runs that end. A slice that is not well, or a job whose run failed, is an "
    "incident until that is over. While no run ends it reads Dagster's own storage alone.",
)
def incidents(context: dg.SensorEvaluationContext, platform: Platform) -> dg.SensorResult:
    """Follow ended runs. The cursor is the number of the last event that was looked at."""
    ended = _ended(context)
    runs = [(event, run) for event in ended if (run := _run_of(context, event))]
    for dataset in {each for _, run in runs for each in _datasets_of(run)}:
        reconcile(platform.warehouse(dataset), today())
    for event, run in runs:
        _record(context.instance, platform, event, run)
    cursor = str(ended[-1].storage_id) if ended else context.cursor or _newest(context.instance)
    return dg.SensorResult(skip_reason=f"{len(runs)} runs have ended", cursor=cursor)


@dg.sensor(
    minimum_interval_seconds=INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells people (OTC_NOTIFY_URL) of incidents: once when one begins, once if it "
    "becomes graver, once when it is over. What a sink does not take it is sent again.",
)
def notifications(context: dg.SensorEvaluationContext, platform: Platform) -> dg.SkipReason:
    """Send what is pending; say what was sent."""
    warehouse = platform.warehouse(ATS)  # incidents are of the whole store
    told = sinks(warehouse)
    if not told:
        return dg.SkipReason("OTC_NOTIFY_URL is not set: nobody is told")
    done = deliver(warehouse, told)
    for reason in done.failed:
        context.log.warning(f"{reason}; it is asked again in a minute")
    lines = [*(f"sent to {title}" for title in done.taken), *done.failed]
    return dg.SkipReason("; ".join(lines) or "nothing is to be told")


def _newest(instance: dg.DagsterInstance) -> str:
    """Return the number of the newest event, for who begins to follow: what was before is past."""
    found = [instance.fetch_run_status_changes(kind, limit=1).records for kind in ENDED]
    return str(max((records[0].storage_id for records in found if records), default=0))


def _ended(context: dg.SensorEvaluationContext) -> list[dg.EventLogRecord]:
    """Return the events of runs that have ended since, in order, the first of them."""
    if context.cursor is None:
        return []
    after = int(context.cursor)
    found: list[dg.EventLogRecord] = []
    for kind in ENDED:
        which = dg.RunStatusChangeRecordsFilter(kind, after_storage_id=after)  # type: ignore[arg-type]
        found += context.instance.fetch_run_status_changes(
            which, limit=RUNS_OF_A_TICK, ascending=True
        ).records
    # Both kinds are complete up to the hundredth of either.
    return sorted(found, key=lambda record: record.storage_id)[:RUNS_OF_A_TICK]


def _run_of(context: dg.SensorEvaluationContext, event: dg.EventLogRecord) -> dg.DagsterRun | None:
    """Return the run that an event ends, unless it is another project's or will be tried again."""
    run = context.instance.get_run_by_id(event.run_id)
    if run is None or run.tags.get(IS_TRIED_AGAIN) == "true":
        return None
    here, origin = context.code_location_origin, run.remote_job_origin
    if here and origin and origin.location_name != here.location_name:
        return None
    return run


def _record(
    instance: dg.DagsterInstance, platform: Platform, event: dg.EventLogRecord, run: dg.DagsterRun
) -> None:
    """Open or close the incident of a run's job."""
    store, datasets = platform.warehouse(ATS), _datasets_of(run)
    slices = sorted({str(week) for week in _slices_of(run)})
    if event.event_log_entry.dagster_event_type is dg.DagsterEventType.RUN_SUCCESS:
        run_succeeded(store, run.job_name, slices)
    elif not _is_explained(platform, run, datasets):
        dataset = datasets[0].name if len(datasets) == 1 else None
        reason = _reason(instance, event, run.run_id)
        run_failed(store, run.job_name, slices, dataset=dataset, reason=reason, run_id=run.run_id)


def _is_explained(platform: Platform, run: dg.DagsterRun, datasets: Sequence[Dataset]) -> bool:
    """Tell whether people are told of slices for which the run failed: nobody is woken twice."""
    known = {each.subject: each for each in slices_not_well(platform.warehouse(ATS))}
    slices = _slices_of(run)
    if any(slice_id(dataset, week) in known for dataset in datasets for week in slices):
        return True
    watched = {dataset.name for dataset in datasets if _watches(run, dataset)}
    return any(
        each.dataset in watched and each.severity == Severity.CRITICAL for each in known.values()
    )


def _watches(run: dg.DagsterRun, dataset: Dataset) -> bool:
    """Tell whether a run looks at all slices, and fails for a grave one."""
    checked = {check.asset_key for check in run.asset_check_selection or ()}
    is_watch = run.job_name == watch_job(dataset).name or publications_key(dataset) in checked
    return is_watch and not run.tags.keys() & PARTITION_TAGS


def _slices_of(run: dg.DagsterRun) -> list[SliceKey]:
    """Return the slices that a run is to do; none of one without partitions."""
    slicing = next((dataset.slicing for dataset in _datasets_of(run)), WEEKS)
    if one := run.tags.get("dagster/partition"):
        return [slice_of(one, slicing)]
    found = Range.of_tags(run.tags, slicing)
    return found.slices() if found else []


def _datasets_of(run: dg.DagsterRun) -> list[Dataset]:
    """Return the datasets of which a run does something: by its job, else by its assets."""
    if dataset := _datasets_of_jobs().get(run.job_name):
        return [dataset]
    checked = {check.asset_key for check in run.asset_check_selection or ()}
    keys = {*(run.asset_selection or ()), *checked}
    return [each for each in every_dataset() if keys & {publications_key(each), *table_keys(each)}]


@cache
def _datasets_of_jobs() -> dict[str, Dataset]:
    return {job.name: dataset for dataset in every_dataset() for job in build_jobs(dataset)}


def _reason(instance: dg.DagsterInstance, event: dg.EventLogRecord, run_id: str) -> str:
    """Return why a run failed: the error of its first step that did, or what Dagster says."""
    records = instance.get_records_for_run(
        run_id, of_type=dg.DagsterEventType.STEP_FAILURE, limit=1
    ).records
    for step in (record.event_log_entry.dagster_event for record in records):
        error = step.step_failure_data.error if step else None
        while error and error.cause:
            error = error.cause
        if step and error:
            return f"{step.step_key}: {first_line(error.message)}"
    failed = event.event_log_entry.dagster_event
    return first_line(failed.message if failed and failed.message else "the run failed")
