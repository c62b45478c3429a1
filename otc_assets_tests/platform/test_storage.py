"""Dagster's own storage: on SQLite by dagster.yaml, on PostgreSQL by the one in ``deploy``."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
import yaml
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage

from otc_assets.automation import storage
from otc_assets_tests.conftest import REPOSITORY
from otc_assets_tests.platform.station import TABLES, Station

RANGE = ["OTC|2025-05-16", "OTC|2025-05-23"]


def test_only_the_storage_differs_from_the_default():
    usual, deployed = (
        yaml.safe_load((REPOSITORY / folder / "dagster.yaml").read_text())
        for folder in (".", "deploy")
    )
    assert usual.pop("storage") != deployed.pop("storage")
    assert usual == deployed


def test_only_what_several_workers_need_differs_in_their_instance():
    one, several = (
        yaml.safe_load((REPOSITORY / "deploy" / folder / "dagster.yaml").read_text())
        for folder in (".", "celery")
    )
    assert several.pop("run_launcher")["class"] == "CeleryRunLauncher"
    assert several["concurrency"].pop("runs")
    for name in ("run_monitoring", "run_retries"):
        assert one.pop(name) != several.pop(name)
    assert one == several


def test_a_range_runs_on_postgres_and_keeps_its_connections(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    url = sa.make_url(postgres_url).set(drivername="postgresql+psycopg2")
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", url.render_as_string(hide_password=False))
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "1000")  # as the Makefile does
    monkeypatch.setenv("OTC_HOME", str(tmp_path))
    with dg.DagsterInstance.from_config(str(REPOSITORY / "deploy")) as instance:
        opened = []
        engine = instance.event_log_storage._engine  # type: ignore[attr-defined]
        sa.event.listen(engine, "connect", lambda *_: opened.append(1))
        records = _run_range(instance, tmp_path)
        assert len(opened) < records / 10  # more only where two are needed at once


def _run_range(instance: dg.DagsterInstance, folder: Path) -> int:
    """Run every table over a range, look at what the UI shows of it, and count the run's events."""
    station = Station(folder, instance=instance)
    result = station.run_range(*RANGE)
    assert result.success
    assert all(station.materialized(table) == {*RANGE} for table in TABLES)
    shown = station.partitions_that_show_a_verdict("raw", "rows_are_sound")
    assert shown == {*RANGE}
    records = instance.event_log_storage.get_records_for_run(result.run_id).records
    assert len(records) > len(TABLES) * len(RANGE)
    return len(records)


@pytest.fixture
def event_databases_opened() -> Iterator[list[str]]:
    """The databases of Dagster's events of which a connection was opened, again for each."""
    opened = []

    def note(connection: Any, _record: object) -> None:
        _, _, file = connection.execute("PRAGMA database_list").fetchone()
        if "/history/runs/" in file:
            opened.append(file)

    sa.event.listen(sa.Engine, "connect", note)
    yield opened
    sa.event.remove(sa.Engine, "connect", note)


def test_a_range_runs_on_sqlite_and_keeps_its_connections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, event_databases_opened: list[str]
):
    monkeypatch.setenv("OTC_HOME", str(tmp_path))
    with dg.DagsterInstance.from_config(str(REPOSITORY)) as instance:
        records = _run_range(instance, tmp_path)
        assert len(event_databases_opened) < records / 10
        (run,) = instance.get_runs()
        usual = DagsterSqliteStorage.from_local(str(tmp_path / "dagster")).event_log_storage
        assert len(usual.get_records_for_run(run.run_id).records) == records


@dg.asset
def nothing() -> None:
    """Give a run something to tell of."""


def test_any_number_of_runs_and_processes_share_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OTC_HOME", str(tmp_path))
    monkeypatch.setattr(storage, "MAX_ENGINES", 3)
    with (
        dg.DagsterInstance.from_config(str(REPOSITORY)) as one,
        dg.DagsterInstance.from_config(str(REPOSITORY)) as other,
    ):
        runs = [
            dg.materialize([nothing], instance=instance).run_id
            for instance in (one, other, one, other, one)
        ]
        assert {run.run_id for run in other.get_runs()} == set(runs)
        for run in (*runs, *reversed(runs)):
            kinds = [entry.dagster_event_type for entry in other.all_logs(run)]
            assert kinds == [entry.dagster_event_type for entry in one.all_logs(run)]
            assert kinds[-1] is dg.DagsterEventType.RUN_SUCCESS
        one.wipe()
        assert not one.all_logs(runs[0])
        assert dg.materialize([nothing], instance=one).success
