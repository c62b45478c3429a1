"""A home of which every metric has a value: weeks, rejects, a dead letter, runs, ticks, ..."""

import time
from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import (
    InProcessCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    TickData,
    TickStatus,
)
from dagster._core.test_utils import create_run_for_test
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._daemon.types import DaemonHeartbeat

from otc_assets.domain.datasets import ATS, Dataset
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.monitoring.standing import BACKUP
from otc_assets.warehouse.requests import RequestLog
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests import pipeline
from otc_assets_tests.conftest import FIXTURES

JOB, SENSOR = "ats_corrections", "ats_publications"
THREE = (("ok", 0.2), ("ok", 0.7), ("503", 2.0))
REFUSED = WeekKey(Tier.NMS_TIER_2, date(2025, 5, 2))
BROKEN = "finra_otc_weekly_tier2_20250602.csv"


def warehouse_of(home: Path, dataset: Dataset = ATS) -> Warehouse:
    return Warehouse(f"sqlite:///{home / 'otc.db'}", dataset)


def take_in(
    home: Path, slices: list[WeekKey], source: Path = FIXTURES, dataset: Dataset = ATS
) -> None:
    """Take slices into the store of a home, and compute every table."""
    warehouse = warehouse_of(home, dataset)
    pipeline.run(warehouse, source, home / "archive", slices)
    warehouse.engine.dispose()


def fail_to_take_in(home: Path, week: WeekKey = REFUSED, name: str = BROKEN) -> None:
    """Leave a slice refused and a dead letter: its file is cut off within a line."""
    folder = home / "source"
    folder.mkdir()
    (folder / name).write_bytes((FIXTURES / name).read_bytes()[:-5])
    take_in(home, [week], folder)


def back_up(home: Path) -> None:
    """Let the archive say that it has been copied."""
    (home / "archive" / BACKUP).write_text(datetime.now(UTC).isoformat())


def ask_finra(home: Path, answers: Iterable[tuple[str, float]] = THREE) -> None:
    """Leave the counts of requests to FINRA: each one's outcome and seconds."""
    warehouse = warehouse_of(home)
    requests = RequestLog(warehouse)
    for answer in answers:
        requests.add(*answer)
    requests.flush()
    warehouse.engine.dispose()


def repository() -> RemoteRepositoryOrigin:
    loaded = LoadableTargetOrigin(module_name="otc_assets.definitions")
    location = InProcessCodeLocationOrigin(loaded, location_name="otc_assets")
    return RemoteRepositoryOrigin(location, "__repository__")


def add_run(instance: dg.DagsterInstance, status: dg.DagsterRunStatus) -> str:
    """Leave a run of the corrections in a status, and return its id."""
    job = RemoteJobOrigin(repository(), JOB)
    return create_run_for_test(instance, JOB, status=status, remote_job_origin=job).run_id


def run_dagster(instance: dg.DagsterInstance) -> None:
    """Leave runs of every kind, ticks of a sensor, and a sign of life of its daemon."""
    for each in dg.DagsterRunStatus:
        add_run(instance, each)
    instance.add_daemon_heartbeat(DaemonHeartbeat(time.time(), "SENSOR", "a-daemon", []))
    origin = RemoteInstigatorOrigin(repository(), SENSOR)
    sensor = InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.RUNNING)
    instance.add_instigator_state(sensor)
    for status in (TickStatus.SUCCESS, TickStatus.SKIPPED):
        data = TickData(
            instigator_origin_id=sensor.instigator_origin_id,
            instigator_name=SENSOR,
            instigator_type=InstigatorType.SENSOR,
            status=status,
            timestamp=time.time(),
            selector_id=sensor.selector_id,
            run_ids=[],
        )
        instance.create_tick(data)
