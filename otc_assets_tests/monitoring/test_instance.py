"""What a scrape says of Dagster: its runs, our jobs, the sensors and the daemon."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from otc_assets.monitoring.catalog import OF_DAGSTER, Samples
from otc_assets.monitoring.instance import collect_instance
from otc_assets_tests.automation.conftest import place_in
from otc_assets_tests.automation.daemon import Daemon, daemon
from otc_assets_tests.conftest import FIXTURES

STARTED_AT = datetime(2025, 7, 1, 3, 0, tzinfo=UTC)
Status = dg.DagsterRunStatus


@pytest.fixture(scope="module")
def dagster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon whose sensor has ticked twice, with a queued, a started and a failed run."""
    with place_in(tmp_path_factory.mktemp("instance")) as place, daemon() as found:
        found.tick()
        shutil.copy(FIXTURES / "finra_otc_weekly_tier1_20250519.csv", place.source)
        assert len(found.tick().run_ids) == 1
        assert found.do("ats_corrections").success
        create_run_for_test(found.instance, status=Status.FAILURE)
        run = create_run_for_test(found.instance, status=Status.STARTING)
        found.instance.handle_new_event(_start_of(run))
        yield found


def _start_of(run: dg.DagsterRun) -> dg.EventLogEntry:
    return dg.EventLogEntry(
        error_info=None,
        level=10,
        user_message="",
        run_id=run.run_id,
        timestamp=STARTED_AT.timestamp(),
        job_name=run.job_name,
        dagster_event=dg.DagsterEvent(
            event_type_value=dg.DagsterEventType.RUN_START.value, job_name=run.job_name
        ),
    )


@pytest.fixture(scope="module")
def shown(dagster: Daemon) -> dict[str, dict[tuple[str, ...], float]]:
    samples = Samples()
    collect_instance(dagster.instance, samples)
    return {
        family.name: {tuple(each.labels.values()): each.value for each in family.samples}
        for family in samples
    }


def test_runs_are_counted_by_status(shown):
    counts = {status: n for (status,), n in shown["otc_runs"].items() if n}
    assert counts == {"queued": 1, "started": 1, "failure": 1, "success": 1}


def test_a_run_is_as_old_as_its_start(shown):
    oldest = shown["otc_oldest_run_timestamp_seconds"]
    assert oldest["started",] == STARTED_AT.timestamp()
    assert set(oldest) == {("started",), ("queued",)}


def test_a_job_shows_when_it_last_succeeded(shown, dagster: Daemon):
    (record,) = dagster.instance.get_run_records(dg.RunsFilter(job_name="ats_corrections"))
    succeeded = shown["otc_job_last_success_timestamp_seconds"]
    assert succeeded == {("ats_corrections",): record.end_time}


def test_ticks_of_the_last_hour_are_counted(shown):
    ticks = shown["otc_sensor_ticks"]
    assert sum(n for (sensor, _), n in ticks.items() if sensor == "ats_publications") == 2
    assert ticks["ats_publications", "failure"] == 0
    assert ("ats_publications",) in shown["otc_sensor_last_tick_timestamp_seconds"]


def test_a_sensor_that_was_stopped_is_not_called_silent(shown):
    assert ("non_ats_publications",) not in shown["otc_sensor_last_tick_timestamp_seconds"]


def test_all_but_the_daemons_own_metrics_are_there(shown):
    lacking = {metric.name for metric in OF_DAGSTER} - set(shown)
    assert lacking == {"otc_daemon_heartbeat_timestamp_seconds"}  # its daemon has no threads
