"""Gauges of Dagster's instance: runs, jobs, sensors, and the daemon."""

import time
from collections import Counter
from collections.abc import Iterable
from functools import cache

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import InstigatorState, TickStatus

from otc_assets.automation.schedules import build_schedules, page_schedule
from otc_assets.domain.datasets import DATASETS, Dataset
from otc_assets.monitoring.catalog import Samples

WAITING = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
)
HOUR = 3600
SHOWN_TICKS = (TickStatus.SUCCESS, TickStatus.SKIPPED, TickStatus.FAILURE)


def collect_instance(
    instance: dg.DagsterInstance, samples: Samples, datasets: Iterable[Dataset] = DATASETS
) -> None:
    """Add how the runs, jobs, sensors and daemons of an instance stand.

    Of the jobs, those of some datasets: nobody misses the corrections of a dataset that nobody has.
    """
    for status in dg.DagsterRunStatus:
        count = instance.get_runs_count(dg.RunsFilter(statuses=[status]))
        samples.add("otc_runs", count, status.value.lower())
        if count and status in WAITING:
            _add_oldest(instance, status, samples)
    _add_successes(instance, samples, datasets)
    for sensor in instance.all_instigator_state(instigator_type=InstigatorType.SENSOR):
        if sensor.is_running:
            _add_ticks(instance, sensor, samples)
    for daemon, heartbeat in instance.get_daemon_heartbeats().items():
        samples.add("otc_daemon_heartbeat_timestamp_seconds", heartbeat.timestamp, daemon)


def _add_oldest(
    instance: dg.DagsterInstance, status: dg.DagsterRunStatus, samples: Samples
) -> None:
    oldest = instance.get_run_records(dg.RunsFilter(statuses=[status]), limit=1, ascending=True)
    for record in oldest:
        since = record.start_time or record.create_timestamp.timestamp()
        samples.add("otc_oldest_run_timestamp_seconds", since, status.value.lower())


def _add_successes(
    instance: dg.DagsterInstance, samples: Samples, datasets: Iterable[Dataset]
) -> None:
    """Add when each job that has a schedule last succeeded.

    One query for each: Dagster's own query for several (`JobBucket`) reads every run on SQLite.
    """
    for job in scheduled_jobs(datasets):
        succeeded = dg.RunsFilter(job_name=job, statuses=[dg.DagsterRunStatus.SUCCESS])
        for record in instance.get_run_records(succeeded, limit=1):
            ended = record.end_time or record.update_timestamp.timestamp()
            samples.add("otc_job_last_success_timestamp_seconds", ended, job)


def scheduled_jobs(datasets: Iterable[Dataset]) -> list[str]:
    """Return the jobs that schedules start; when others succeeded last tells nothing."""
    return sorted({page_schedule().job_name}.union(*map(_of_dataset, datasets)))


@cache
def _of_dataset(dataset: Dataset) -> frozenset[str]:
    return frozenset(each.job_name for each in build_schedules(dataset))


def _add_ticks(instance: dg.DagsterInstance, sensor: InstigatorState, samples: Samples) -> None:
    origin, selector = sensor.instigator_origin_id, sensor.selector_id
    ticks = instance.get_ticks(origin, selector, after=time.time() - HOUR)
    counts = Counter(tick.status for tick in ticks)
    for status in SHOWN_TICKS:
        name = status.value.lower()
        samples.add("otc_sensor_ticks", counts[status], sensor.instigator_name, name)
    for newest in ticks[:1] or instance.get_ticks(origin, selector, limit=1):
        name = "otc_sensor_last_tick_timestamp_seconds"
        samples.add(name, newest.timestamp, sensor.instigator_name)
