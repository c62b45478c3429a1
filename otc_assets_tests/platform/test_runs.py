"""Real Dagster runs on an ephemeral instance: what they leave in its event log and the store."""

import shutil
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from otc_assets.warehouse.engine import write_transaction
from otc_assets_tests.conftest import FIXTURES
from otc_assets_tests.pipeline import content
from otc_assets_tests.platform.station import CHECKS, DONE, FIRST, LAST, RECTANGLE, TABLES, Station


def test_a_range_materializes_every_partition_of_every_asset(station: Station):
    assert {table: station.materialized(table) for table in TABLES} == dict.fromkeys(
        TABLES, RECTANGLE
    )


@pytest.mark.parametrize(("table", "name"), CHECKS)
def test_a_range_leaves_no_check_planned(station: Station, table: str, name: str):
    records = station.checks(table, name)
    assert set(records) >= RECTANGLE
    assert all(record.status in DONE for record in records.values())
    assert station.partitions_that_show_a_verdict(table, name) == RECTANGLE


def test_a_range_of_one_partition_leaves_no_check_planned(tmp_path: Path):
    """A backfill of two weeks that are no neighbours makes such runs."""
    station = Station(tmp_path)
    assert station.run_range("OTC|2025-05-16", "OTC|2025-05-16").success
    for table, name in CHECKS:
        assert {record.status for record in station.checks(table, name).values()} <= set(DONE)
        assert station.partitions_that_show_a_verdict(table, name) == {"OTC|2025-05-16"}


def test_executing_a_check_without_partitions_judges_all_that_there_are(station: Station):
    """This is what the button "Execute all" on an asset's checks does."""
    check = dg.AssetCheckKey(dg.AssetKey("venue_share"), "rows_are_sound")
    job = station.job.get_subset(asset_check_selection={check}, asset_selection=set())
    assert job.execute_in_process(instance=station.instance).success
    assert {record.status for record in station.checks(*CHECKS[0]).values()} <= set(DONE)
    assert station.partitions_that_show_a_verdict("venue_share", "rows_are_sound") == RECTANGLE


def test_one_of_the_two_checks_of_a_table_can_be_executed_alone(station: Station):
    def runs(name: str) -> set[str]:
        return {record.run_id for record in station.checks("venue_volume", name).values()}

    before = runs("rows_are_sound")
    check = dg.AssetCheckKey(dg.AssetKey("venue_volume"), "week_is_usual")
    job = station.job.get_subset(asset_check_selection={check}, asset_selection=set())
    result = job.execute_in_process(instance=station.instance)
    assert result.success
    assert runs("week_is_usual") == {result.run_id}
    assert runs("rows_are_sound") == before


def test_each_partition_shows_its_own_numbers(station: Station):
    first = station.metadata("venue_volume", "OTC|2025-05-16")
    second = station.metadata("venue_volume", "NMS Tier 2|2025-05-23")
    assert (first["dagster/partition_row_count"], first["shares"]) == (267, 1535116)
    assert second["dagster/partition_row_count"] == 420
    assert first["top_venue"] in first["preview"] or first["venues"] == 6
    assert first["preview"].startswith("| symbol | mpid |")


def test_a_single_partition_run_keeps_the_verdict_of_each_rule(tmp_path: Path):
    station = Station(tmp_path)
    assert station.run(["raw", "venue_volume"], partition_key="OTC|2025-05-16").success
    record = station.checks("venue_volume", "rows_are_sound")["OTC|2025-05-16"]
    assert record.status is AssetCheckExecutionRecordStatus.SUCCEEDED
    evaluation = record.event.dagster_event.asset_check_evaluation_data
    assert "| volume_is_conserved | holds |" in evaluation.metadata["verdicts"].value


def test_the_run_is_in_the_lineage_of_every_row(station: Station):
    run_ids = {run.run_id for run in station.instance.get_runs()}
    with station.warehouse.engine.connect() as connection:
        for table in TABLES:
            found = connection.exec_driver_sql(f"SELECT DISTINCT execution_id FROM {table}")
            assert set(found.scalars()) <= run_ids


@pytest.fixture(scope="module")
def with_a_bad_week(tmp_path_factory: pytest.TempPathFactory) -> tuple[Station, Any]:
    """A range in which one file is truncated."""
    folder = tmp_path_factory.mktemp("bad")
    shutil.copytree(FIXTURES, folder / "source")
    broken = folder / "source" / "finra_otc_weekly_otc_20250616.csv"
    broken.write_bytes(broken.read_bytes()[:-30])
    station = Station(folder, folder / "source")
    return station, station.run_range(FIRST, LAST)


def test_a_bad_week_fails_the_run_and_names_itself(with_a_bad_week: tuple[Station, Any]):
    _, result = with_a_bad_week
    assert not result.success
    failures = [event for event in result.all_events if event.is_step_failure]
    assert [failure.step_key for failure in failures] == ["raw_checks"]
    message = failures[0].step_failure_data.error.message
    assert "OTC|2025-05-16: week_is_present: finra_otc_weekly_otc_20250616.csv, line 269" in message
    assert "NMS Tier 2" not in message


def test_the_good_weeks_go_on_to_the_snapshot(with_a_bad_week: tuple[Station, Any]):
    station, _ = with_a_bad_week
    assert station.metadata("research_snapshot", "OTC|2025-05-23")["status"] == "loaded"
    with station.warehouse.engine.connect() as connection:
        query = "SELECT tier, week_ending, count(*) FROM research_snapshot GROUP BY 1, 2"
        rows = connection.exec_driver_sql(query).all()
    assert sorted(rows) == [
        ("NMS Tier 2", "2025-05-16", 79),
        ("NMS Tier 2", "2025-05-23", 79),
        ("OTC", "2025-05-23", 164),
    ]


def test_the_bad_week_is_red_in_every_table(with_a_bad_week: tuple[Station, Any]):
    station, _ = with_a_bad_week
    for table, name in CHECKS:
        records = station.checks(table, name)
        assert records["OTC|2025-05-16"].status is AssetCheckExecutionRecordStatus.FAILED
        assert records["NMS Tier 2|2025-05-16"].status is AssetCheckExecutionRecordStatus.SUCCEEDED
    assert station.metadata("raw", "OTC|2025-05-16")["status"] == "refused"
    numbers = station.check_numbers("raw", "rows_are_sound", "OTC|2025-05-16")
    assert numbers == {"score": 0.0, "rules": 1, "rules_failed": 1, "rows": 0}


def test_a_mended_file_mends_the_week(with_a_bad_week: tuple[Station, Any], station: Station):
    mended, _ = with_a_bad_week
    name = "finra_otc_weekly_otc_20250616.csv"
    source = Path(mended.warehouse.engine.url.database or "").parent / "source"
    shutil.copy(FIXTURES / name, source / name)
    assert mended.run_range(FIRST, LAST).success
    assert content(mended.warehouse) == content(station.warehouse)


def test_a_check_sees_rows_that_were_changed_behind_its_back(tmp_path: Path):
    station = Station(tmp_path)
    tables = ["raw", "venue_volume", "symbol_summary"]
    assert station.run(tables, partition_key="OTC|2025-05-09").success
    with write_transaction(station.warehouse.engine, "a tamperer") as connection:
        connection.exec_driver_sql("UPDATE symbol_summary_rows SET total_volume = total_volume + 1")
    check = dg.AssetCheckKey(dg.AssetKey("symbol_summary"), "rows_are_sound")
    result = station.job.get_subset(
        asset_check_selection={check}, asset_selection=set()
    ).execute_in_process(
        instance=station.instance, partition_key="OTC|2025-05-09", raise_on_error=False
    )
    failure = next(event for event in result.all_events if event.is_step_failure)
    assert "OTC|2025-05-09: volume_is_conserved" in failure.step_failure_data.error.message


def test_a_late_week_refreshes_the_windows_of_later_ones(tmp_path: Path):
    station = Station(tmp_path)
    tables = ["raw", "venue_volume", "symbol_summary", "rolling_6w"]
    for week in ("2025-05-30", "2025-05-23"):
        assert station.run(tables, partition_key=f"OTC|{week}").success
    with station.warehouse.engine.connect() as connection:
        query = "SELECT max(weeks_in_window) FROM rolling_6w WHERE week_ending = '2025-05-30'"
        assert connection.exec_driver_sql(query).scalar_one() == 2
