"""Dagster's own storage on PostgreSQL, by the dagster.yaml in ``deploy``."""

from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa
import yaml

from otc_assets_tests.conftest import REPOSITORY
from otc_assets_tests.platform.test_runs import FIRST, LAST, RECTANGLE, TABLES, Station


def test_only_the_storage_differs_from_the_default():
    usual, deployed = (
        yaml.safe_load((REPOSITORY / folder / "dagster.yaml").read_text())
        for folder in (".", "deploy")
    )
    assert usual.pop("storage") != deployed.pop("storage")
    assert usual == deployed


def test_a_range_runs_on_it_and_keeps_its_connections(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    url = sa.make_url(postgres_url).set(drivername="postgresql+psycopg2")
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", url.render_as_string(hide_password=False))
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "1000")  # as the Makefile does
    monkeypatch.chdir(tmp_path)
    with dg.DagsterInstance.from_config(str(REPOSITORY / "deploy")) as instance:
        opened = []
        engine = instance.event_log_storage._engine  # type: ignore[attr-defined]
        sa.event.listen(engine, "connect", lambda *_: opened.append(1))
        station = Station(tmp_path, instance=instance)
        result = station.run_range(FIRST, LAST)
        assert result.success
        assert all(station.materialized(table) == RECTANGLE for table in TABLES)
        shown = station.partitions_that_show_a_verdict("raw", "rows_are_sound")
        assert shown == RECTANGLE
        records = instance.event_log_storage.get_records_for_run(result.run_id).records
        assert len(records) > len(TABLES) * len(RECTANGLE)
        assert len(opened) < len(records) / 10  # more only where two are needed at once
