"""P12: a scrape of all metrics with all history in the store, on both stores and both of Dagster's.

What the store keeps of one slice beside its rows (manifest, verdicts, lineage, events) is written
for every week and tier of both weekly datasets, and for the months and days of the others.
Dagster's instance has as many runs and ticks as some years leave.
"""

import os
import shutil
import statistics
import tempfile
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import dagster as dg
import sqlalchemy as sa
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import InProcessCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._core.test_utils import create_run_for_test
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from benchmarks.entry import ROOT, run
from benchmarks.measure import Figures
from benchmarks.pipeline import Line
from benchmarks.server import postgres
from benchmarks.weeks import week_number, write_week
from otc_assets.automation.jobs import build_jobs
from otc_assets.automation.storage import dagster_folder
from otc_assets.calculations import output_tables
from otc_assets.domain.calendar import newest_due_week
from otc_assets.domain.datasets import DATASETS, Dataset, every_dataset
from otc_assets.domain.events import slice_id
from otc_assets.domain.grains import SliceKey
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.monitoring import standing
from otc_assets.monitoring.exporter import Exporter
from otc_assets.warehouse.schema import EVENT_LOG, STORE, sql_table
from otc_assets.warehouse.store import Warehouse

WEEKS = 634
"""Times three tiers: 1,902 slices a dataset."""
PERIODS = {"month": 120, "day": 1900}
"""Of the other grains: ten years, and the days since August 2018."""
LAST_DAY = week_number(Tier.OTC, WEEKS).week_ending + timedelta(days=40)
RUNS = 3000
BAR_MS = 300
TURNS = 15
KEPT = ("manifest", "quality_checks", "lineage", "revisions")


def main(figures: Figures) -> None:
    """Fill each store, and scrape it."""
    with tempfile.TemporaryDirectory() as temporary, postgres() as server:
        folder = Path(temporary)
        sqlite = f"sqlite:///{folder / 'all.db'}"
        instances: dict[str, dict[str, str]] = {
            sqlite: {},
            server.database("otc"): {"DAGSTER_POSTGRES_URL": server.database("runs", "psycopg2")},
        }
        for url, postgres_url in instances.items():
            _fill(url, folder)
            with mock.patch.dict(os.environ, {"OTC_DATABASE_URL": url, **postgres_url}):
                _fill_instance()
                _measure(figures, url)


def _measure(figures: Figures, url: str) -> None:
    name, warehouse = sa.make_url(url).get_backend_name(), Warehouse(url)
    with mock.patch.object(standing, "today", return_value=LAST_DAY):
        exporter = Exporter()
        first, series = _scrape(exporter)
        quiet = [_scrape(exporter)[0] for _ in range(TURNS)]
        busy = []
        for _ in range(TURNS):
            _commit(warehouse)
            busy.append(_scrape(exporter)[0])
    usual, after = statistics.median(quiet), statistics.median(busy)
    said = f"{3 * WEEKS:,} weekly slices a dataset, {RUNS:,} runs, {series:,} series"
    quick = f"{usual:.0f} ms (the first, which reads every event, {first:,.0f}); {said}"
    figures.show(f"P12 a scrape in ms, {name}", quick, usual, BAR_MS)
    name = f"P12 a scrape after a commit in ms, {name}"
    figures.show(name, f"{after:.0f} ms; {said}", after, BAR_MS)
    warehouse.close()


def _scrape(exporter: Exporter) -> tuple[float, int]:
    """Return how many milliseconds a scrape takes, and how many series it has."""
    started = time.perf_counter()
    series = sum(len(family.samples) for family in exporter.collect())
    return 1000 * (time.perf_counter() - started), series


def _commit(warehouse: Warehouse) -> None:
    """Commit something, after which the exporter looks at every slice again."""
    with warehouse.engine.begin() as connection:
        connection.execute(sa.update(STORE).values(created_at=datetime.now(UTC)))


def _fill(url: str, folder: Path) -> None:
    """Do one small slice, and write what the store keeps of it for all the others."""
    first = week_number(Tier.NMS_TIER_1, 0)
    source = folder / f"source_{sa.make_url(url).get_backend_name()}"
    write_week(source, first, scale=0.01)
    line = Line(url, source)
    line.take_through(first, [table.name for table in output_tables()], checks=True)
    with line.warehouse.engine.begin() as connection:
        for dataset in every_dataset():
            Warehouse(url, dataset).engine.dispose()
            others = list(_slices(dataset, first))
            for name in KEPT:
                _copy(connection, name, dataset, first, others)
            _copy_events(connection, dataset, first, others)
    if url.startswith("postgresql"):
        with line.warehouse.engine.connect() as connection:  # as autovacuum does within minutes
            connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("ANALYZE")
    line.warehouse.close()


def _slices(dataset: Dataset, done: WeekKey) -> Iterator[SliceKey]:
    if not dataset.is_weekly:
        for section in dataset.slicing.sections:
            newest = newest_due_week(section, LAST_DAY, dataset)
            yield from (newest.shifted(-n) for n in range(PERIODS[dataset.grain.name]))
        return
    for tier in Tier:
        for number in range(WEEKS):
            week = week_number(tier, number)
            if (dataset.name, week) != (DATASETS[0].name, done):
                yield week


def _copy(
    connection: sa.Connection, name: str, dataset: Dataset, done: WeekKey, weeks: list[SliceKey]
) -> None:
    source, target = sql_table(name, DATASETS[0]), sql_table(name, dataset)
    mine = (source.c.week_ending == done.week_ending, source.c.tier == done.tier.value)
    rows = [dict(row) for row in connection.execute(sa.select(source).where(*mine)).mappings()]
    for row in rows:
        del row["week_ending"]
    for week in weeks:
        own: dict[str, Any] = {dataset.grain.column.name: week.period, "tier": str(week.section)}
        own |= {"slice": week.number} if "slice" in target.c else {}
        connection.execute(sa.insert(target), [{**row, **own} for row in rows])


def _copy_events(
    connection: sa.Connection, dataset: Dataset, done: WeekKey, weeks: list[SliceKey]
) -> None:
    mine = EVENT_LOG.c.aggregate_id == slice_id(DATASETS[0], done)
    query = sa.select(EVENT_LOG).where(mine).order_by(EVENT_LOG.c.sequence)
    events = [dict(row) for row in connection.execute(query).mappings()]
    for week in weeks:
        copies = [
            {**event, "event_id": str(uuid.uuid4()), "aggregate_id": slice_id(dataset, week)}
            for event in events
        ]
        for copy in copies:
            del copy["sequence"]
        connection.execute(sa.insert(EVENT_LOG), copies)


def _fill_instance() -> None:
    """Give Dagster's instance runs of many jobs, and an hour of ticks of each sensor."""
    on_server = "DAGSTER_POSTGRES_URL" in os.environ
    settings = ROOT / ("deploy/dagster.yaml" if on_server else "dagster.yaml")
    shutil.copy(settings, os.environ["DAGSTER_HOME"])
    Path(dagster_folder()).mkdir(exist_ok=True)
    jobs = [job.name for dataset in every_dataset() for job in build_jobs(dataset)]
    with dg.DagsterInstance.get() as instance:
        for number in range(RUNS):
            status = (
                dg.DagsterRunStatus.FAILURE if number % 50 == 0 else dg.DagsterRunStatus.SUCCESS
            )
            create_run_for_test(instance, job_name=jobs[number % len(jobs)], status=status)
        for dataset in every_dataset():
            _add_sensor(instance, f"{dataset.name}_publications")


def _add_sensor(instance: dg.DagsterInstance, name: str) -> None:
    target = LoadableTargetOrigin(module_name="otc_assets.definitions")
    location = InProcessCodeLocationOrigin(target, "otc_assets")
    origin = RemoteRepositoryOrigin(location, "__repository__").get_instigator_origin(name)
    instance.add_instigator_state(
        InstigatorState(
            origin, InstigatorType.SENSOR, InstigatorStatus.RUNNING, SensorInstigatorData()
        )
    )
    for minute in range(60):
        instance.create_tick(
            TickData(
                instigator_origin_id=origin.get_id(),
                instigator_name=name,
                instigator_type=InstigatorType.SENSOR,
                status=TickStatus.SKIPPED,
                timestamp=time.time() - 60 * minute,
                selector_id=origin.get_selector().get_id(),
            )
        )


if __name__ == "__main__":
    run(main)
