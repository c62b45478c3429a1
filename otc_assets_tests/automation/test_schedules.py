"""The schedules: what they request at which moment, whatever New York's clocks do."""

import csv
import itertools
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._utils.schedules import schedule_execution_time_iterator

from otc_assets.assets.partitions import slice_of
from otc_assets.automation.ranges import Range
from otc_assets.definitions import defs
from otc_assets.domain.calendar import expected_publication_date
from otc_assets.domain.datasets import ATS, DATASETS, Dataset
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets_tests import domain

NEW_YORK = ZoneInfo("America/New_York")
TIER_1, OTHERS = "ats_tier_1", "ats_tier_2_and_otc"
GOLDEN = list(csv.DictReader((Path(domain.__file__).parent / "publication_dates.csv").open()))
ON, OFF = dg.DefaultScheduleStatus.RUNNING, dg.DefaultScheduleStatus.STOPPED


def requests(name: str, at: datetime) -> list[dg.RunRequest]:
    context = dg.build_schedule_context(scheduled_execution_time=at)
    return list(defs.resolve_schedule_def(name).evaluate_tick(context).run_requests or [])


def slices(name: str, at: datetime) -> list[WeekKey]:
    """Return what a schedule requests at a moment."""
    corners = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
    ranges = (Range(*(slice_of(r.tags[corner]) for corner in corners)) for r in requests(name, at))
    return [week for each in ranges for week in each.slices()]


def at_six(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 6, tzinfo=NEW_YORK)


def moments(name: str, since: datetime) -> list[datetime]:
    """Return the next ten moments of a schedule, in its own time zone."""
    schedule = defs.resolve_schedule_def(name)
    zone = schedule.execution_timezone
    assert zone is not None
    found = schedule_execution_time_iterator(since.timestamp(), schedule.cron_schedule, zone)
    return list(itertools.islice(found, 10))


@pytest.mark.parametrize(
    ("day", "tier_1", "others"),
    [
        (date(2025, 5, 19), ["2025-05-02"], ["2025-04-18"]),
        (date(2025, 5, 26), [], []),  # Memorial Day
        (date(2025, 5, 27), ["2025-05-09"], ["2025-04-25"]),
        (date(2025, 5, 28), [], []),
        (date(2025, 6, 2), ["2025-05-16"], ["2025-05-02"]),
        (date(2025, 10, 13), ["2025-09-26"], ["2025-09-12"]),  # Columbus Day
        (date(2025, 11, 11), [], []),  # Veterans Day, a Tuesday
        (date(2026, 1, 20), ["2026-01-02"], ["2025-12-19"]),  # after Martin Luther King's Day
    ],
    ids=str,
)
def test_cron_requests_what_finra_publishes_on_that_day(
    day: date, tier_1: list[str], others: list[str]
):
    assert list(map(str, slices(TIER_1, at_six(day)))) == [f"NMS Tier 1:{w}" for w in tier_1]
    assert list(map(str, slices(OTHERS, at_six(day)))) == [
        f"{tier}:{week}" for week in others for tier in ("NMS Tier 2", "OTC")
    ]


@pytest.mark.parametrize("row", GOLDEN, ids=lambda row: f"{row['tier']} {row['week_ending']}")
def test_cron_requests_a_week_on_the_day_worked_out_by_hand(row: dict[str, str]):
    week = WeekKey(Tier(row["tier"]), date.fromisoformat(row["week_ending"]))
    name = TIER_1 if week.tier is Tier.NMS_TIER_1 else OTHERS
    assert week in slices(name, at_six(date.fromisoformat(row["publication_date"])))


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda dataset: dataset.name)
def test_cron_requests_every_week_of_a_year_once(dataset: Dataset):
    year = [date(2025, 1, 1) + timedelta(days=n) for n in range(365)]
    asked = Counter(
        week
        for name in ("tier_1", "tier_2_and_otc")
        for day in year
        for week in slices(f"{dataset.name}_{name}", at_six(day))
    )
    fridays = [date(2024, 10, 4) + timedelta(weeks=n) for n in range(70)]
    every = [WeekKey(tier, friday) for tier in Tier for friday in fridays]
    due = [week for week in every if expected_publication_date(week, dataset).year == 2025]
    assert asked == Counter(due)


def test_a_day_without_a_publication_is_skipped_with_the_next_one():
    context = dg.build_schedule_context(scheduled_execution_time=at_six(date(2025, 5, 26)))
    assert defs.resolve_schedule_def(OTHERS).evaluate_tick(context).skip_message == (
        "FINRA publishes no week of NMS Tier 2, OTC on 2025-05-26; next: 2025-05-27"
    )


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2025, 5, 27, 10, tzinfo=UTC),
        datetime(2025, 5, 28, 3, tzinfo=UTC),  # still the evening of the 27th in New York
    ],
)
def test_the_day_is_new_yorks(moment: datetime):
    assert slices(TIER_1, moment) == [WeekKey(Tier.NMS_TIER_1, date(2025, 5, 9))]


def test_a_request_of_cron_is_the_same_however_often_it_is_evaluated():
    (first,), (second,) = (requests(TIER_1, at_six(date(2025, 5, 27))) for _ in range(2))
    assert first.run_key == second.run_key


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda dataset: dataset.name)
@pytest.mark.parametrize(
    ("name", "job", "cron", "status"),
    [
        ("corrections_daily", "corrections", "0 20 * * 1-5", ON),
        ("watch_daily", "watch", "0 9 * * *", ON),
        ("tier_1", "tables", "0 6 * * 1-5", OFF),
        ("tier_2_and_otc", "tables", "0 7 * * 1-5", OFF),
    ],
)
def test_each_dataset_has_its_schedules_in_new_yorks_time(
    dataset: Dataset, name: str, job: str, cron: str, status: dg.DefaultScheduleStatus
):
    schedule = defs.resolve_schedule_def(f"{dataset.name}_{name}")
    assert schedule.job_name == f"{dataset.name}_{job}"
    assert (schedule.cron_schedule, schedule.default_status) == (cron, status)
    assert schedule.execution_timezone == "America/New_York"


@pytest.mark.parametrize("name", ["corrections_daily", "watch_daily"])
def test_the_daily_schedules_request_one_run_of_their_job(name: str):
    assert len(requests(f"{ATS.name}_{name}", at_six(date(2025, 5, 27)))) == 1


@pytest.mark.parametrize(
    "since",
    [
        datetime(2025, 3, 6, 12, tzinfo=NEW_YORK),  # clocks go forward on Sunday, the 9th
        datetime(2025, 10, 30, 12, tzinfo=NEW_YORK),  # and back on Sunday, the 2nd
    ],
)
@pytest.mark.parametrize(
    ("name", "hour"),
    [("ats_tier_1", 6), ("ats_tier_2_and_otc", 7), ("ats_watch_daily", 9)],
)
def test_summer_time_moves_no_schedule(name: str, hour: int, since: datetime):
    coming = moments(name, since)
    assert {moment.hour for moment in coming} == {hour}
    assert len({moment.date() for moment in coming}) == len(coming)
    assert len({moment.utcoffset() for moment in coming}) == 2
