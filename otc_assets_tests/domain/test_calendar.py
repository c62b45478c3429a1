import csv
import json
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given

from otc_assets.domain.calendar import (
    expected_publication_date,
    is_business_day,
    is_due,
    week_published_on,
)
from otc_assets.domain.datasets import ATS
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import FIRST_WEEK_ENDING, WeekKey
from otc_assets_tests.domain.strategies import LAST_WEEK_ENDING, weeks

GOLDEN = list(csv.DictReader(Path(__file__).with_name("publication_dates.csv").open()))


@pytest.mark.parametrize("row", GOLDEN, ids=lambda r: f"{r['tier']} {r['week_ending']}")
def test_publication_dates_worked_out_by_hand_come_out_both_ways(row):
    week = WeekKey(row["tier"], date.fromisoformat(row["week_ending"]))
    published = date.fromisoformat(row["publication_date"])
    assert expected_publication_date(week) == published, row["reason"]
    assert week_published_on(week.tier, published) == week, row["reason"]


@pytest.mark.parametrize("tier", Tier)
def test_the_two_ways_of_the_calendar_are_inverse_for_every_week(tier):
    week = WeekKey(tier, FIRST_WEEK_ENDING)
    while week.week_ending <= LAST_WEEK_ENDING:
        assert week_published_on(tier, expected_publication_date(week)) == week
        week = week.shifted(1)


@given(weeks)
def test_a_week_is_published_in_the_week_of_its_delay_on_the_first_open_day(week):
    earliest = week.monday + ATS.publication_delay[week.tier]
    published = expected_publication_date(week)
    assert is_business_day(published)
    assert earliest <= published <= earliest + timedelta(days=4)
    waited = [earliest + timedelta(days=n) for n in range((published - earliest).days)]
    assert not any(is_business_day(day) for day in waited)


def test_tier_1_is_published_two_weeks_before_the_others():
    assert {tier: delay.days for tier, delay in ATS.publication_delay.items()} == {
        Tier.NMS_TIER_1: 21,
        Tier.NMS_TIER_2: 35,
        Tier.OTC: 35,
    }


@pytest.mark.parametrize(
    "day",
    [
        date(2024, 10, 14),  # Columbus Day
        date(2025, 10, 13),
        date(2024, 11, 11),  # Veterans Day
        date(2025, 11, 11),
        date(2025, 4, 21),  # Easter Monday
        date(2020, 6, 19),  # Juneteenth, before it was a market holiday
    ],
)
def test_the_equity_market_is_open_on_holidays_that_are_not_its_own(day):
    assert is_business_day(day)


@pytest.mark.parametrize(
    "day",
    [
        date(2025, 11, 27),  # Thanksgiving
        date(2025, 4, 18),  # Good Friday
        date(2025, 1, 9),  # mourning for President Carter
        date(2025, 12, 27),  # Saturday
        date(2025, 12, 28),  # Sunday
    ],
)
def test_the_equity_market_is_closed_on_its_holidays_and_at_weekends(day):
    assert not is_business_day(day)


@pytest.mark.parametrize(
    ("tier", "day", "nearest"),
    [
        # a correction on a Wednesday
        (Tier.NMS_TIER_1, date(2025, 12, 17), "2025-12-15 .Monday., .* week ending 2025-11-28"),
        # the holiday itself: the week came out on the Tuesday after it
        (Tier.NMS_TIER_1, date(2025, 5, 26), "2025-05-27 .Tuesday., .* week ending 2025-05-09"),
        (Tier.OTC, date(2025, 12, 16), "2025-12-15 .Monday., .* week ending 2025-11-14"),
    ],
)
def test_a_day_that_is_no_publication_day_is_refused_with_one_that_is(tier, day, nearest):
    message = f"{day} .{day:%A}. is no publication day of {tier}: that would be {nearest}"
    with pytest.raises(ValueError, match=message):
        week_published_on(tier, day)


def test_a_week_is_due_from_its_publication_day_on():
    week = WeekKey(Tier.NMS_TIER_1, date(2025, 5, 9))
    assert not is_due(week, date(2025, 5, 26))
    assert is_due(week, date(2025, 5, 27))
    assert is_due(week, date(2025, 6, 30))


def test_real_records_were_published_on_the_days_of_the_calendar(real_data):
    path = real_data / "api" / "weeklySummary_ATS_W_SMBL_T1_AAPL.json"
    records = json.loads(path.read_text())
    assert len(records) == 248
    for record in records:
        monday = date.fromisoformat(record["weekStartDate"])
        week = WeekKey(record["tierDescription"], monday + timedelta(days=4))
        published = date.fromisoformat(record["initialPublishedDate"])
        assert expected_publication_date(week) == published
        assert week_published_on(week.tier, published) == week
