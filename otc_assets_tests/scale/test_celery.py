"""Runs on two of Celery's workers give what one process gives, whoever is killed in the middle.

Twenty weeks of three tiers are asked for by the call of the UI's dialog, and become six runs.
`make test-celery` runs this: it takes some minutes.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.execution.backfill import BulkActionStatus

from benchmarks.weeks import week_number, write_week
from otc_assets.domain.tiers import Tier
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests import pipeline
from otc_assets_tests.conftest import database
from otc_assets_tests.ui import launch_backfill

if not os.environ.get("OTC_TEST_CELERY"):
    pytest.skip("make test-celery", allow_module_level=True)

from otc_assets_tests.scale.cluster import Broker, Loops, Worker, instance_folder, loops

pytestmark = pytest.mark.filterwarnings(
    "ignore:Property `ScheduleDefinition.environment_vars`",  # Dagster of its own code
    "ignore:The 'warn' method is deprecated",
    "ignore:Task name 'execute_job' is already registered",  # by each launch anew
)
SECONDS_WITHOUT_BROKER = 20
"""Longer than the runs at work, so that the third is launched without one."""
SLICES = [week_number(tier, n) for tier in Tier for n in range(20)]
WEEKS_PER_RUN, RUNS = 10, 6
SCALE = 0.005
"""Of a real week's rows: what is tried is the runs, not the rows."""


class Cluster:
    """Broker, workers and daemon, with store and Dagster's runs on PostgreSQL."""

    def __init__(self, folder: Path, broker: Broker, daemon: Loops, store: str) -> None:
        self.broker = broker
        self.daemon = daemon
        self.workers = [Worker(name, folder / f"{name}.log") for name in ("one", "other")]
        self._store = Warehouse(store)
        launch_backfill(daemon.context, SLICES)

    def content(self) -> str:
        return pipeline.content(self._store)

    def close(self) -> None:
        for worker in self.workers:
            worker.kill()
        self._store.engine.dispose()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of all slices."""
    folder = tmp_path_factory.mktemp("source")
    for week in SLICES:
        write_week(folder, week, SCALE)
    return folder


@pytest.fixture(scope="module")
def of_one_process(source: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The fingerprint of the store that one process fills, without Dagster and on SQLite."""
    folder = tmp_path_factory.mktemp("alone")
    alone = Warehouse(f"sqlite:///{folder / 'otc.db'}")
    pipeline.run(alone, source, folder / "archive", SLICES)
    return pipeline.content(alone)


@pytest.fixture
def cluster(
    tmp_path: Path,
    source: Path,
    monkeypatch: pytest.MonkeyPatch,
    postgres_url: str,
    postgres_server: str,
) -> Iterator[Cluster]:
    """Two workers, of whom a backfill of six runs has been asked."""
    with ExitStack() as stack:
        runs = sa.make_url(stack.enter_context(database(postgres_server)))
        broker = Broker(tmp_path / "broker")
        stack.callback(broker.kill)
        for name, value in {
            "OTC_HOME": str(tmp_path),
            "OTC_SOURCE_URL": str(source),
            "OTC_DATABASE_URL": postgres_url,
            "OTC_WEEKS_PER_RUN": str(WEEKS_PER_RUN),
            "DAGSTER_HOME": str(instance_folder(tmp_path / "instance")),
            "DAGSTER_POSTGRES_URL": runs.set(drivername="postgresql+psycopg2").render_as_string(
                hide_password=False
            ),
            "DAGSTER_CELERY_BROKER_URL": broker.url,
            "DAGSTER_EVENT_BATCH_SIZE": "1000",  # as the Makefile does
        }.items():
            monkeypatch.setenv(name, value)
        started = Cluster(tmp_path, broker, stack.enter_context(loops()), postgres_url)
        stack.callback(started.close)
        yield started


def test_two_workers_give_the_rows_of_one_process(cluster: Cluster, of_one_process: str):
    cluster.daemon.until_at_work(2)
    assert cluster.daemon.until_done() is BulkActionStatus.COMPLETED_SUCCESS
    assert cluster.daemon.errors == []
    assert len(cluster.daemon.runs(dg.DagsterRunStatus.SUCCESS)) == RUNS
    assert cluster.content() == of_one_process


def test_a_worker_killed_in_a_run_costs_only_time(cluster: Cluster, of_one_process: str):
    cluster.daemon.until_at_work(2)
    cluster.workers[0].kill()
    assert cluster.daemon.until_done() is BulkActionStatus.COMPLETED_SUCCESS
    assert cluster.daemon.runs(dg.DagsterRunStatus.FAILURE)  # that worker's, tried again
    assert cluster.content() == of_one_process


def test_a_broker_that_dies_and_comes_back_costs_only_time(cluster: Cluster, of_one_process: str):
    cluster.daemon.until_at_work(2)
    cluster.broker.kill()
    cluster.broker.restart_in(SECONDS_WITHOUT_BROKER)
    assert cluster.daemon.until_done() is BulkActionStatus.COMPLETED_SUCCESS
    assert cluster.content() == of_one_process
