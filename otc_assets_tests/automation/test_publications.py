"""The sensors: what appears in a source becomes runs of exactly that, each requested once."""

import json
import os
import shutil
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.scheduler.instigation import TickStatus

from otc_assets.domain.datasets import ATS, NON_ATS
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets_tests.automation.conftest import Place, part_of, publish
from otc_assets_tests.automation.daemon import Daemon, daemon, range_of
from otc_assets_tests.conftest import FIXTURES
from otc_assets_tests.finra import world
from otc_assets_tests.finra.faults import Fault
from otc_assets_tests.finra.server import PARTITIONS, FinraServer
from otc_assets_tests.ui import CODE_SERVER

OTC_0516, OTC_0523 = "finra_otc_weekly_otc_20250616.csv", "finra_otc_weekly_otc_20250623.csv"
TIER_2_0516, TIER_2_0523 = (name.replace("_otc_2", "_tier2_2") for name in (OTC_0516, OTC_0523))
TIER_1_0704 = "finra_otc_weekly_tier1_20250721.csv"
NON_ATS_OTC_0516 = "finra_non_ats_otc_week_2025-05-16.json"
SLICE, OTHER = "OTC:2025-05-16", "OTC:2025-05-23"
KEY = "OTC|2025-05-16"
ONLY, ONLY_OTHER = f"{KEY}...{KEY}", "OTC|2025-05-23...OTC|2025-05-23"
TIER_1 = WeekKey(Tier.NMS_TIER_1, date(2025, 6, 13))
TIER_2, OTC = (WeekKey(tier, date(2025, 5, 30)) for tier in (Tier.NMS_TIER_2, Tier.OTC))
MONDAY = date(2025, 6, 30)
"""On which FINRA publishes these three."""
DONE, FAILED = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE


def drop(source: Path, *names: str) -> None:
    for name in names:
        shutil.copyfile(next(FIXTURES.rglob(name)), source / name)


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-30])


def correct(source: Path, name: str) -> None:
    """Add a file in which one line has other shares, from another day on."""
    lines = (source / name).read_text().splitlines()
    fields = lines[1].split("|")
    fields[5], fields[7] = str(int(fields[5]) + 1), "2025-07-16"
    (source / f"corrected_{name}").write_text("\n".join([lines[0], "|".join(fields), *lines[2:]]))


def test_a_file_becomes_one_run_of_its_slice(dagster: Daemon, place: Place):
    assert dagster.tick().status is TickStatus.SKIPPED
    drop(place.source, OTC_0516)
    tick = dagster.tick()
    assert (tick.status, dagster.requested(tick)) == (TickStatus.SUCCESS, [ONLY])
    (run,) = dagster.work()
    assert (run.job_name, run.status) == ("ats_tables", DONE)
    assert place.revisions() == {SLICE: 1}
    for table in ("raw", "rolling_6w", "research_snapshot"):
        assert dagster.instance.get_materialized_partitions(dg.AssetKey(table)) == {KEY}
    assert not dagster.instance.get_materialized_partitions(dg.AssetKey(["non_ats", "raw"]))


def test_each_dataset_has_a_sensor_of_its_own(follower: Daemon, place: Place):
    drop(place.source, NON_ATS_OTC_0516)
    assert follower.requested(follower.tick(NON_ATS)) == [ONLY]
    assert follower.tick(ATS).skip_reason.startswith("nothing new;")
    (run,) = follower.work()
    assert (run.job_name, run.status) == ("non_ats_tables", DONE)
    assert (place.revisions(NON_ATS), place.revisions(ATS)) == ({SLICE: 1}, {})


def test_several_files_become_as_few_runs_as_rectangles(dagster: Daemon, place: Place):
    drop(place.source, OTC_0516, OTC_0523, TIER_2_0516, TIER_2_0523, TIER_1_0704)
    assert dagster.requested(dagster.tick()) == [
        "NMS Tier 2|2025-05-16...OTC|2025-05-23",
        "NMS Tier 1|2025-07-04...NMS Tier 1|2025-07-04",
    ]


def test_a_whole_history_becomes_one_run_of_each_dataset(follower: Daemon, place: Place):
    shutil.copytree(FIXTURES, place.source, dirs_exist_ok=True)
    follower.tick()
    everything, months = "NMS Tier 1|2025-05-02...OTC|2025-07-04", "2025-05-01...2025-06-01"
    assert sorted((run.job_name, range_of(run)) for run in follower.queue()) == [
        ("ats_blocks_tables", months),
        ("ats_tables", everything),
        ("monthly_non_ats_tables", "2025-05-01|NMS...2025-06-01|OTC"),
        ("non_ats_tables", everything),
        ("otc_blocks_tables", months),
        ("reg_sho_daily_tables", "2025-06-30...2025-07-03"),  # the 4th of July has no file
        ("reg_sho_daily_tables", "2025-07-07...2025-08-04"),
    ]


def test_a_slice_is_requested_once(dagster: Daemon, place: Place):
    drop(place.source, OTC_0516)
    dagster.tick()
    waiting = dagster.tick()
    assert (waiting.status, waiting.run_ids) == (TickStatus.SKIPPED, [])
    assert "1 were requested and are not in the store" in waiting.skip_reason
    dagster.work()
    done = dagster.tick()
    assert (done.status, done.run_ids) == (TickStatus.SKIPPED, [])
    assert "were requested" not in done.skip_reason


def test_what_comes_while_a_run_waits_is_requested_alone(dagster: Daemon, place: Place):
    drop(place.source, OTC_0516)
    dagster.tick()
    drop(place.source, OTC_0523)
    assert dagster.requested(dagster.tick()) == [ONLY_OTHER]


def test_the_cursor_is_the_slices_that_are_awaited(dagster: Daemon, place: Place):
    drop(place.source, OTC_0516, TIER_1_0704)
    cursor = json.loads(dagster.tick().cursor)
    assert list(cursor) == ["OTC:2025-05-16", "NMS Tier 1:2025-07-04"]
    assert all(len(version) <= 16 for version in cursor.values())
    place.take_in(*cursor)
    assert dagster.tick().cursor == "{}"


def test_a_lost_cursor_requests_nothing_twice(dagster: Daemon, place: Place):
    drop(place.source, OTC_0516)
    dagster.tick()
    dagster.lose_cursor()
    tick = dagster.tick()
    assert (tick.status, dagster.requested(tick)) == (TickStatus.SKIPPED, [])
    assert [range_of(run) for run in dagster.queue()] == [ONLY]


def test_a_slice_that_fails_waits_until_its_file_changes(dagster: Daemon, place: Place):
    drop(place.source, OTC_0516, OTC_0523)
    truncate(place.source / OTC_0516)
    assert dagster.requested(dagster.tick()) == ["OTC|2025-05-16...OTC|2025-05-23"]
    assert [run.status for run in dagster.work()] == [FAILED]
    assert place.revisions() == {SLICE: None, OTHER: 1}
    assert place.dead() == [SLICE]

    tick = dagster.tick()
    assert (tick.run_ids, list(json.loads(tick.cursor))) == ([], [SLICE])

    drop(place.source, OTC_0516)
    assert dagster.requested(dagster.tick()) == [ONLY]
    assert [run.status for run in dagster.work()] == [DONE]
    assert (place.revisions(), place.dead()) == ({SLICE: 1, OTHER: 1}, [])
    assert dagster.tick().cursor == "{}"


def test_a_slice_of_which_one_file_is_broken_comes_to_rest(dagster: Daemon, place: Place):
    """It is asked for once more: the good file has changed what the store has of it."""
    drop(place.source, OTC_0516)
    correct(place.source, OTC_0516)
    truncate(place.source / f"corrected_{OTC_0516}")
    for _ in range(2):
        assert dagster.requested(dagster.tick()) == [ONLY]
        place.take_in(SLICE)
        assert (place.revisions(), place.dead()) == ({SLICE: 1}, [SLICE])
    assert dagster.tick().run_ids == []


def test_a_lost_cursor_does_not_request_a_failing_slice_again(dagster: Daemon, place: Place):
    drop(place.source, OTC_0516)
    truncate(place.source / OTC_0516)
    dagster.tick()
    dagster.work()
    dagster.lose_cursor()
    assert dagster.tick().run_ids == []


def test_a_second_file_of_a_slice_becomes_its_revision(dagster: Daemon, place: Place):
    drop(place.source, OTC_0516)
    place.load(SLICE)
    correct(place.source, OTC_0516)
    assert dagster.requested(dagster.tick()) == [ONLY]
    assert [run.status for run in dagster.work()] == [DONE]
    with place.store().read() as reader:
        revisions = reader.records("revisions", WeekKey.from_string(SLICE))
    assert [(r["source_revision"], str(r["revision_date"])) for r in revisions] == [
        (1, "2025-06-16"),
        (2, "2025-07-16"),
    ]
    assert dagster.tick().cursor == "{}"


def test_a_file_that_is_only_touched_is_read_and_changes_nothing(dagster: Daemon, place: Place):
    drop(place.source, OTC_0516)
    place.take_in(SLICE)
    os.utime(place.source / OTC_0516, (1_000_000_000, 1_000_000_000))
    assert dagster.requested(dagster.tick()) == [ONLY]
    dagster.work()
    assert place.revisions() == {SLICE: 1}
    assert dagster.tick().cursor == "{}"


def test_a_folder_that_is_gone_is_a_skipped_tick(dagster: Daemon, place: Place):
    drop(place.source, OTC_0516)
    before = dagster.tick()
    place.source.rename(place.source.with_name("elsewhere"))
    tick = dagster.tick()
    assert (tick.status, tick.cursor) == (TickStatus.SKIPPED, before.cursor)
    assert tick.skip_reason.startswith("the source cannot be asked now: ")
    assert "there is no such folder; set OTC_SOURCE_URL" in tick.skip_reason
    place.source.with_name("elsewhere").rename(place.source)
    drop(place.source, OTC_0523)
    assert dagster.requested(dagster.tick()) == [ONLY_OTHER]


def test_a_file_of_a_week_before_finras_first_stops_nothing(dagster: Daemon, place: Place):
    header = "WeekEnding|Tier|Symbol|MPID|TotalShares|TotalTrades"
    (place.source / "early.psv").write_text(f"{header}\n2010-01-01|OTC|ABC|XYZ|100|2\n")
    drop(place.source, OTC_0516)
    tick = dagster.tick()
    assert (tick.status, dagster.requested(tick)) == (TickStatus.SUCCESS, [ONLY])


def test_a_skipped_tick_says_what_comes_next(dagster: Daemon, place: Place):
    place.today(date(2025, 5, 24))  # a Saturday; the Monday after it is Memorial Day
    assert dagster.tick().skip_reason == (
        "nothing new; FINRA publishes NMS Tier 1:2025-05-09, NMS Tier 2:2025-04-25, "
        "OTC:2025-04-25 on 2025-05-27"
    )


def test_a_code_server_of_its_own_does_the_same(place: Place):
    """As `dagster dev` has it: the sensors run in another process."""
    drop(place.source, OTC_0516)
    with daemon(target=CODE_SERVER) as dagster:
        assert dagster.requested(dagster.tick()) == [ONLY]
        assert [run.status for run in dagster.work()] == [DONE]
        assert dagster.tick().cursor == "{}"


def test_a_publication_is_fetched_and_stored_in_both_datasets(
    follower: Daemon, place: Place, finra: FinraServer
):
    place.today(MONDAY)
    place.set("OTC_FOLLOW_WEEKS", 1)
    publish(finra, TIER_2, OTC)
    assert follower.requested(follower.tick()) == ["NMS Tier 2|2025-05-30...OTC|2025-05-30"]
    assert [run.status for run in follower.work()] == [DONE] * 2
    for dataset, kind in ((ATS, world.ATS), (NON_ATS, world.NON_ATS)):
        with place.store(dataset).read() as reader:
            for week in (TIER_2, OTC):
                published = finra.world.records(part_of(week), kind)
                assert reader.count("raw", week) == len(published)
    assert follower.tick().cursor == "{}"


def test_finra_is_asked_only_while_a_due_week_is_lacking(
    dagster: Daemon, place: Place, finra: FinraServer
):
    place.today(MONDAY)
    place.set("OTC_FOLLOW_WEEKS", 1)
    publish(finra, TIER_1, TIER_2, OTC)
    dagster.tick()
    place.take_in(str(TIER_1), str(TIER_2), str(OTC))
    asked = len(finra.asked(PARTITIONS))
    for later in range(7):
        place.today(MONDAY + timedelta(days=later))
        assert dagster.tick().skip_reason.endswith("on 2025-07-07")
    assert len(finra.asked(PARTITIONS)) == asked

    place.today(MONDAY + timedelta(days=7))
    assert dagster.tick().skip_reason.startswith("nothing new;")
    publish(finra, TIER_1.shifted(1))
    assert dagster.requested(dagster.tick()) == ["NMS Tier 1|2025-06-20...NMS Tier 1|2025-06-20"]
    assert len(finra.asked(PARTITIONS)) == asked + 2


@pytest.mark.parametrize(
    ("followed", "ranges"),
    [
        (
            1,
            [
                "NMS Tier 2|2025-05-30...OTC|2025-05-30",
                "NMS Tier 1|2025-06-13...NMS Tier 1|2025-06-13",
            ],
        ),
        (
            3,
            [
                "NMS Tier 2|2025-05-16...OTC|2025-05-30",
                "NMS Tier 1|2025-05-30...NMS Tier 1|2025-06-13",
            ],
        ),
    ],
)
def test_only_the_newest_weeks_of_each_tier_are_followed(
    dagster: Daemon, place: Place, finra: FinraServer, followed: int, ranges: list[str]
):
    place.today(MONDAY)
    place.set("OTC_FOLLOW_WEEKS", followed)
    publish(finra, *(week.shifted(-n) for week in (TIER_1, TIER_2, OTC) for n in range(5)))
    assert dagster.requested(dagster.tick()) == ranges


def test_a_poll_that_fails_is_a_skipped_tick(dagster: Daemon, place: Place, finra: FinraServer):
    place.today(MONDAY)
    publish(finra, TIER_1)
    before = dagster.tick()
    finra.faults.always(Fault.UNAVAILABLE, "partitions")
    tick = dagster.tick()
    assert (tick.status, tick.cursor) == (TickStatus.SKIPPED, before.cursor)
    assert tick.skip_reason.startswith(
        "the source cannot be asked now: FINRA: the list of partitions of weeklySummary: 503"
    )
    finra.faults.stop()
    publish(finra, OTC)
    assert dagster.requested(dagster.tick()) == ["OTC|2025-05-30...OTC|2025-05-30"]


def test_a_slice_that_finra_cannot_serve_waits_in_dead_letters(
    dagster: Daemon, place: Place, finra: FinraServer
):
    place.today(MONDAY)
    publish(finra, TIER_1)
    finra.faults.always(Fault.UNAVAILABLE, "data")
    dagster.tick()
    assert [run.status for run in dagster.work()] == [FAILED]
    assert place.dead() == [str(TIER_1)]
    finra.faults.stop()
    assert "1 were requested and are not in the store" in dagster.tick().skip_reason


def test_a_listed_slice_that_is_empty_is_asked_for_again_each_day(
    follower: Daemon, place: Place, finra: FinraServer
):
    """FINRA's list does not tell the datasets apart: one may be there before the other."""
    place.today(MONDAY)
    publish(finra, TIER_1)
    part = part_of(TIER_1)
    both = finra.world.firms[part]
    finra.world.firms[part] = finra.world.records(part, world.ATS)
    for _ in range(2):  # when it is listed, and once more as an empty one
        assert len(follower.tick(NON_ATS).run_ids) == 1
        place.take_in(str(TIER_1), dataset=NON_ATS)
    assert follower.tick(NON_ATS).run_ids == []

    place.today(MONDAY + timedelta(days=1))
    finra.world.firms[part] = both
    assert len(follower.tick(NON_ATS).run_ids) == 1
    place.take_in(str(TIER_1), dataset=NON_ATS)
    assert place.revisions(NON_ATS) == {str(TIER_1): 1}
    assert follower.tick(NON_ATS).cursor == "{}"
