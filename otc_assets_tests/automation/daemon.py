"""Dagster's daemon, one iteration at a time, in this process: real ticks, queue and runs."""

import logging
import warnings
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from tempfile import TemporaryDirectory
from typing import Any

import dagster as dg
import yaml
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.execution.backfill import BulkActionStatus
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.scheduler.instigation import InstigatorTick, SensorInstigatorData
from dagster._core.test_utils import freeze_time, instance_for_test
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget, WorkspaceLoadTarget
from dagster._daemon.backfill import execute_backfill_iteration
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon
from dagster._daemon.sensor import execute_sensor_iteration

from otc_assets.definitions import defs
from otc_assets.domain.datasets import ATS, DATASETS, Dataset
from otc_assets_tests.conftest import REPOSITORY

LAUNCHER = {
    "module": "dagster._core.launcher.sync_in_memory_run_launcher",
    "class": "SyncInMemoryRunLauncher",
}
OURS = ("concurrency", "run_retries")
"""What tests take of the project's own dagster.yaml."""
LOG = logging.getLogger("the daemon of a test")


class Daemon:
    """Sensors look when told to, requested runs wait in the queue until told to."""

    def __init__(self, context: WorkspaceProcessContext, follows: Collection[Dataset]) -> None:
        self.context = context
        self.instance = context.instance
        self._minutes = 0
        for dataset in DATASETS:
            if dataset not in follows:
                sensor = self._sensor(dataset)
                self.instance.stop_sensor(sensor.get_remote_origin_id(), sensor.selector_id, sensor)

    def tick(self, dataset: Dataset = ATS) -> InstigatorTick:
        """Let the sensors look, a minute after the last time; return how a dataset's did."""
        self._minutes += 1
        now = datetime.now(UTC) + timedelta(minutes=self._minutes, seconds=self._minutes)
        with freeze_time(now):
            list(execute_sensor_iteration(self.context, LOG, None, None))
        return self.newest_tick(f"{dataset.name}_publications")

    def newest_tick(self, sensor_name: str) -> InstigatorTick:
        """Return how a sensor last did."""
        sensor = self._sensor_named(sensor_name)
        origin, selector = sensor.get_remote_origin_id(), sensor.selector_id
        (tick,) = self.instance.get_ticks(origin, selector, limit=1)
        return tick

    def work(self) -> list[dg.DagsterRun]:
        """Do the runs in the queue, until there are none; return them."""
        done: list[dg.DagsterRun] = []
        while queued := self.queue():
            _must_not_fail(QueuedRunCoordinatorDaemon(1).run_iteration(self.context))
            done += [self.run(run.run_id) for run in queued]
        return done

    def backfill(self) -> list[BulkActionStatus]:
        """Let the requested backfills make and do their runs; return how each has ended."""
        while any(b.status is BulkActionStatus.REQUESTED for b in self.instance.get_backfills()):
            _must_not_fail(execute_backfill_iteration(self.context, LOG))
            self.work()
        return [backfill.status for backfill in self.instance.get_backfills()]

    def queue(self) -> list[dg.DagsterRun]:
        return self.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED]))

    def run(self, run_id: str) -> dg.DagsterRun:
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return run

    def requested(self, tick: InstigatorTick) -> list[str]:
        """Return the partition ranges of the runs that a tick has requested."""
        return [range_of(self.run(run_id)) for run_id in tick.run_ids]

    def metadata(self, table: str, partition: str) -> dict[str, Any]:
        """Return what the newest materialization of a partition says."""
        wanted = dg.AssetRecordsFilter(dg.AssetKey(table.split("/")), asset_partitions=[partition])
        (record,) = self.instance.fetch_materializations(wanted, limit=1).records
        assert record.asset_materialization is not None
        return {n: value.value for n, value in record.asset_materialization.metadata.items()}

    def do(self, job: str, **how: Any) -> dg.ExecuteInProcessResult:
        """Do a job now, past the queue."""
        how = {"raise_on_error": False, **how}
        return defs.resolve_job_def(job).execute_in_process(instance=self.instance, **how)

    def lose_cursor(self, dataset: Dataset = ATS) -> None:
        """Forget what the sensor remembers, as ``dagster sensor cursor --delete`` does."""
        state = self._state(dataset)
        assert isinstance(state.instigator_data, SensorInstigatorData)
        blank = SensorInstigatorData(min_interval=state.instigator_data.min_interval)
        self.instance.update_instigator_state(state.with_data(blank))

    def _sensor(self, dataset: Dataset) -> Any:
        return self._sensor_named(f"{dataset.name}_publications")

    def _sensor_named(self, name: str) -> Any:
        request = self.context.create_request_context()
        (location,) = request.code_locations
        (repository,) = location.get_repositories().values()
        return repository.get_sensor(name)

    def _state(self, dataset: Dataset) -> Any:
        states = self.instance.all_instigator_state(instigator_type=InstigatorType.SENSOR)
        return next(s for s in states if s.selector_id == self._sensor(dataset).selector_id)


def range_of(run: dg.DagsterRun) -> str:
    start = run.tags["dagster/asset_partition_range_start"]
    return f"{start}...{run.tags['dagster/asset_partition_range_end']}"


def _must_not_fail(errors: Iterable[Any]) -> None:
    assert not [error for error in errors if error]


@contextmanager
def daemon(
    follows: Collection[Dataset] = (ATS,), target: WorkspaceLoadTarget | None = None
) -> Iterator[Daemon]:
    """Start on an instance without history, with the sensors of some datasets.

    By default this process is the code server too.
    """
    settings = yaml.safe_load((REPOSITORY / "dagster.yaml").read_text())
    overrides = {"run_launcher": LAUNCHER, **{name: settings[name] for name in OURS}}
    with (
        _no_noise(),
        TemporaryDirectory() as folder,
        instance_for_test(
            overrides=overrides | {"storage": _storage_in(folder, settings)}
        ) as instance,
        WorkspaceProcessContext(instance, target or _in_this_process()) as context,
    ):
        yield Daemon(context, follows)


def _storage_in(folder: str, settings: dict[str, Any]) -> dict[str, Any]:
    ours = settings["storage"]["custom"]
    return {"custom": {**ours, "config": {"base_dir": folder}}}


@contextmanager
def _no_noise() -> Iterator[None]:
    """Hide what Dagster says of its own code."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Property `ScheduleDefinition.environment_vars`")
        yield


def _in_this_process() -> WorkspaceLoadTarget:
    target = LoadableTargetOrigin(module_name="otc_assets.definitions", attribute="defs")
    return InProcessWorkspaceLoadTarget(InProcessCodeLocationOrigin(target, location_name="otc"))
