"""The jobs for many slices at once: fill gaps, retry what is dead, and the daily watch."""

import shutil
from datetime import date, timedelta
from typing import Any

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from otc_assets.assets.features import FEATURES_KEY
from otc_assets.assets.partitions import asset_key_of, partition_key_of, publications_key
from otc_assets.calculations import output_tables
from otc_assets.domain.datasets import ATS, NON_ATS, Dataset
from otc_assets.domain.weeks import WeekKey
from otc_assets.warehouse.engine import write_transaction
from otc_assets_tests.automation.conftest import Place
from otc_assets_tests.automation.daemon import Daemon
from otc_assets_tests.conftest import FIXTURES

DAY = date(2025, 6, 16)
"""On which Tier 1 of 2025-05-30 is published, and the others of 2025-05-16."""
LOADED = ["NMS Tier 1:2025-05-02", "NMS Tier 1:2025-05-16", "NMS Tier 1:2025-05-23"]
LOADED += ["OTC:2025-05-02"]
LACKING = ["NMS Tier 1:2025-05-09", "NMS Tier 1:2025-05-30", "OTC:2025-05-09", "OTC:2025-05-16"]
LACKING += ["NMS Tier 2:2025-05-02", "NMS Tier 2:2025-05-09", "NMS Tier 2:2025-05-16"]


@pytest.fixture
def history(place: Place) -> Place:
    """All fixture files, of which a few slices are in the store."""
    shutil.copytree(FIXTURES, place.source, dirs_exist_ok=True)
    place.today(DAY)
    place.take_in(*LOADED)
    return place


def keys(slices: list[str]) -> set[str]:
    return {partition_key_of(WeekKey.from_string(each)) for each in slices}


def wanted(backfill: PartitionBackfill, dataset: Dataset = ATS) -> set[str]:
    """Return the partitions of a backfill, which must be the same of every table."""
    data = backfill.asset_backfill_data
    assert data is not None
    subset = data.target_subset
    tables = ["raw", *(table.name for table in output_tables())]
    every_table = {asset_key_of(table, dataset) for table in tables}
    assert subset.asset_keys == every_table | {FEATURES_KEY}
    (every,) = {
        frozenset(subset.get_partitions_subset(key).get_partition_keys())
        for key in subset.asset_keys
    }
    return set(every)


def drop(place: Place, *names: str) -> None:
    for name in names:
        shutil.copyfile(FIXTURES / name, place.source / name)


def test_fill_gaps_requests_exactly_what_is_due_and_lacking(dagster: Daemon, history: Place):
    assert dagster.do("ats_fill_gaps").success
    (backfill,) = dagster.instance.get_backfills()
    assert wanted(backfill) == keys(LACKING)
    assert backfill.title == "ATS: the weeks that are due and lacking (7)"


def test_what_fill_gaps_requests_is_loaded_and_no_gap_any_more(dagster: Daemon, history: Place):
    history.take_in(*LACKING[2:])
    dagster.do("ats_fill_gaps")
    assert dagster.backfill() == [BulkActionStatus.COMPLETED_SUCCESS]
    revisions = history.revisions()
    assert revisions.keys() == {*LOADED, *LACKING}
    assert None not in revisions.values()
    dagster.do("ats_fill_gaps")
    assert len(dagster.instance.get_backfills()) == 1


def test_fill_gaps_of_an_empty_store_requests_the_newest_due_weeks(dagster: Daemon, place: Place):
    place.today(DAY)
    assert dagster.do("non_ats_fill_gaps").success
    (backfill,) = dagster.instance.get_backfills()
    assert wanted(backfill, NON_ATS) == keys(
        ["NMS Tier 1:2025-05-30", "NMS Tier 2:2025-05-16", "OTC:2025-05-16"]
    )


@pytest.fixture
def bad(place: Place) -> Place:
    """Three slices in dead_letters; the file of the first has been mended since."""
    drop(place, *BROKEN)
    for name in BROKEN:
        file = place.source / name
        file.write_bytes(file.read_bytes()[:-30])
    place.take_in(*DEAD)
    drop(place, BROKEN[0])
    return place


BROKEN = [f"finra_otc_weekly_otc_{day}.csv" for day in ("20250609", "20250623", "20250714")]
DEAD = ["OTC:2025-05-09", "OTC:2025-05-23", "OTC:2025-06-13"]


def test_retry_dead_letters_requests_exactly_those(dagster: Daemon, bad: Place):
    assert bad.dead() == DEAD
    assert dagster.do("ats_retry_dead_letters").success
    (backfill,) = dagster.instance.get_backfills()
    assert wanted(backfill) == keys(DEAD)
    assert backfill.title == "ATS: the slices in dead_letters (3)"


def test_a_mended_slice_leaves_dead_letters(dagster: Daemon, bad: Place):
    dagster.do("ats_retry_dead_letters")
    dagster.backfill()
    assert bad.dead() == DEAD[1:]
    assert bad.revisions() == {DEAD[0]: 1, DEAD[1]: None, DEAD[2]: None}
    with bad.store().read() as reader:
        assert [row["attempts"] for row in reader.dead_letters()] == [2, 2]


@pytest.mark.parametrize("job", ["retry_dead_letters", "fill_gaps"])
@pytest.mark.parametrize("dataset", ["ats", "non_ats"])
def test_where_there_is_nothing_to_do_nothing_is_requested(
    dagster: Daemon, place: Place, dataset: str, job: str
):
    place.today(date(2014, 5, 31))  # two days before FINRA's first publication
    assert dagster.do(f"{dataset}_{job}").success
    assert dagster.instance.get_backfills() == []


def watched(
    dagster: Daemon,
) -> tuple[dg.ExecuteInProcessResult, dict[str, dg.AssetCheckEvaluation]]:
    """Do the watch; return the run, and what each check found."""
    result = dagster.do("ats_watch")
    return result, {each.check_name: each for each in result.get_asset_check_evaluations()}


def rows(evaluation: dg.AssetCheckEvaluation, name: str) -> list[dict[str, Any]]:
    """Return a table in the metadata of a check."""
    return [dict(record.data) for record in evaluation.metadata[name].records]


@pytest.fixture
def almost_complete(place: Place) -> Place:
    """A store that lacks Tier 1 of 2025-05-16, which was published on the 2nd of June."""
    drop(place, "finra_otc_weekly_tier1_20250519.csv", "finra_otc_weekly_tier1_20250527.csv")
    drop(place, "finra_otc_weekly_tier2_20250602.csv", "finra_otc_weekly_otc_20250602.csv")
    place.take_in("NMS Tier 1:2025-05-02", "NMS Tier 1:2025-05-09")
    place.take_in("NMS Tier 2:2025-05-02", "OTC:2025-05-02")
    return place


PUBLISHED = date(2025, 6, 2)
WARN, ERROR = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR


@pytest.mark.parametrize(
    ("days", "passed", "severity", "success"),
    [
        (-1, True, WARN, True),
        (0, True, WARN, True),
        (3, True, WARN, True),
        (4, False, WARN, True),
        (7, False, WARN, True),
        (8, False, ERROR, False),
    ],
)
def test_the_watch_warns_after_three_days_and_fails_after_seven(
    dagster: Daemon,
    almost_complete: Place,
    days: int,
    passed: bool,
    severity: dg.AssetCheckSeverity,
    success: bool,
):
    almost_complete.today(PUBLISHED + timedelta(days=days))
    result, found = watched(dagster)
    assert result.success is success
    assert found["every_due_week_is_there"].passed is passed
    assert found["every_due_week_is_there"].severity is severity
    assert found["no_slice_is_dead"].passed


def test_a_grave_gap_does_not_fail_a_run_of_other_slices(dagster: Daemon, almost_complete: Place):
    almost_complete.today(PUBLISHED + timedelta(days=8))
    result = dagster.do("ats_watch", tags={"dagster/partition": "OTC|2025-05-02"})
    assert result.success
    assert any(not each.passed for each in result.get_asset_check_evaluations())


def test_the_watch_lists_the_gaps_and_the_lag_of_each_tier(dagster: Daemon, almost_complete: Place):
    almost_complete.today(PUBLISHED + timedelta(days=8))
    result, found = watched(dagster)
    gaps = found["every_due_week_is_there"]
    assert gaps.description == "4 due weeks are lacking, 1 over 7 days late"
    late = {"expected": "2025-06-02", "days late": 8, "severity": "critical"}
    new = {"expected": "2025-06-09", "days late": 1, "severity": "info"}
    assert rows(gaps, "gaps") == [
        {"slice": "NMS Tier 2|2025-05-09", **new},
        {"slice": "OTC|2025-05-09", **new},
        {"slice": "NMS Tier 1|2025-05-16", **late},
        {"slice": "NMS Tier 1|2025-05-23", **new},
    ]
    lags = {n: v.value for n, v in gaps.metadata.items() if n.startswith("lag")}
    assert lags == {
        "lag of NMS Tier 1, days": 8,
        "lag of NMS Tier 2, days": 1,
        "lag of OTC, days": 1,
    }
    counts = ("gap_count", "gaps_over_3_days", "gaps_over_7_days")
    assert [gaps.metadata[name] for name in counts] == [
        dg.IntMetadataValue(count) for count in (4, 1, 1)
    ]
    assert all(isinstance(gaps.metadata[name], dg.IntMetadataValue) for name in lags)
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    message = failure.step_failure_data.error.message
    assert "1 ATS weeks are over 7 days late; to have them: dagster job execute -m" in message
    assert "otc_assets.definitions -j ats_fill_gaps" in message


def test_the_watch_lists_dead_letters(dagster: Daemon, bad: Place):
    bad.today(date(2025, 6, 2))
    _, found = watched(dagster)
    dead = found["no_slice_is_dead"]
    assert (dead.passed, dead.severity) == (False, ERROR)
    assert dead.metadata["dead_letter_count"] == dg.IntMetadataValue(len(DEAD))
    letters = rows(dead, "dead letters")
    assert [letter["slice"] for letter in letters] == [each.replace(":", "|") for each in DEAD]
    assert [letter["error"].split(",")[0] for letter in letters] == BROKEN
    assert {letter["attempts"] for letter in letters} == {1}


def test_the_watch_of_a_complete_store_says_so(dagster: Daemon, almost_complete: Place):
    almost_complete.today(PUBLISHED - timedelta(days=1))
    result = dagster.do("ats_watch")
    for evaluation in result.get_asset_check_evaluations():
        assert evaluation.passed
        assert "none" in {value.value for value in evaluation.metadata.values()}


def test_the_verdict_of_the_watch_stays_in_the_history_of_its_check(
    dagster: Daemon, almost_complete: Place
):
    """Also when the run fails: the failure comes after the verdict."""
    almost_complete.today(PUBLISHED + timedelta(days=8))
    dagster.do("ats_watch")
    key = dg.AssetCheckKey(publications_key(ATS), "every_due_week_is_there")
    (record,) = dagster.instance.event_log_storage.get_asset_check_execution_history(key, limit=5)
    assert record.status is AssetCheckExecutionRecordStatus.FAILED


def verified(dagster: Daemon, sample: int, **how: Any) -> list[dg.AssetCheckEvaluation]:
    """Verify the store by its job; return what the check found."""
    config = {"ops": {"ats_slices_are_what_the_archive_gives": {"config": {"sample": sample}}}}
    result = dagster.do("ats_verify", run_config=config, **how)
    assert result.success
    return result.get_asset_check_evaluations()


def test_the_verification_names_a_row_that_was_changed(dagster: Daemon, place: Place):
    shutil.copytree(FIXTURES, place.source, dirs_exist_ok=True)
    place.load("OTC:2025-05-02", "OTC:2025-05-09")
    (equal,) = verified(dagster, sample=1)
    assert equal.passed
    numbers = {name: each.value for name, each in equal.metadata.items() if name != "differences"}
    assert (numbers["slices_verified"], numbers["slices_in_store"]) == (1, 2)
    assert (numbers["slices_different"], numbers["tables_without_fingerprint"]) == (0, 0)

    with write_transaction(place.store().engine, "a tamperer") as connection:
        connection.exec_driver_sql(
            "UPDATE symbol_summary_rows SET venue_count = 99 WHERE slice = 202505093 "
            "AND symbol = (SELECT min(symbol) FROM symbol_summary_rows WHERE slice = 202505093)"
        )
    (found,) = verified(dagster, sample=0)
    assert not found.passed
    assert found.metadata["slices_different"].value == 1
    (row,) = rows(found, "differences")
    assert (row["table"], row["column"], row["stored"]) == ("symbol_summary", "venue_count", "99")
    assert "changed after they were written" in row["cause"]


def test_a_run_of_slices_does_not_pay_for_a_verification(dagster: Daemon):
    assert verified(dagster, 1, tags={"dagster/partition": "OTC|2025-05-02"}) == []


def test_retention_first_tells_and_then_removes_what_it_told(dagster: Daemon, place: Place):
    shutil.copytree(FIXTURES, place.source, dirs_exist_ok=True)
    slices = ["OTC:2025-05-02", "OTC:2025-05-09"]
    place.load(*slices)
    place.set("OTC_RETAIN_RAW_WEEKS", 4)
    place.today(date(2025, 6, 3))  # four weeks before: 2025-05-06

    def archived() -> list[str]:
        with place.store().read() as reader:
            return [each for each in slices if reader.is_archived(WeekKey.from_string(each))]

    assert dagster.do("ats_retention").success
    assert archived() == []
    assert dagster.do("ats_retention", run_config=retaining(dry_run=True)).success
    assert archived() == []
    assert dagster.do("ats_retention").success
    assert archived() == slices[:1]
    assert place.events("ROWS_PRUNED") == slices[:1]

    with place.store().read() as reader:
        key = reader.revision(WeekKey.from_string(slices[1]), 1)["archive_key"]
    (place.source.parent / "archive" / key).unlink()
    place.today(date(2025, 7, 1))
    failed = dagster.do("ats_retention", run_config=retaining(dry_run=False))
    assert not failed.success
    assert archived() == slices[:1]


def retaining(**config: Any) -> dict[str, Any]:
    return {"ops": {"ats_retain_rows": {"config": config}}}
