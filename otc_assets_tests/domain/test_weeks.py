from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey, validated_week_ending, week_ending_of
from otc_assets_tests.domain.strategies import fridays, tiers, weeks

CHRISTMAS_WEEK = WeekKey(Tier.NMS_TIER_1, date(2025, 12, 26))


@given(fridays)
def test_a_friday_names_a_week(day):
    assert validated_week_ending(day) == day


def test_a_friday_that_is_a_holiday_names_a_week_too():
    good_friday = date(2025, 4, 18)
    assert WeekKey(Tier.OTC, good_friday).week_ending == good_friday


@pytest.mark.parametrize(
    ("day", "weekday", "friday"),
    [
        (date(2025, 12, 22), "Monday", "2025-12-26"),
        (date(2025, 12, 23), "Tuesday", "2025-12-26"),
        (date(2025, 12, 24), "Wednesday", "2025-12-26"),
        (date(2025, 12, 25), "Thursday", "2025-12-26"),
        (date(2025, 12, 27), "Saturday", "2025-12-26"),
        (date(2025, 12, 28), "Sunday", "2025-12-26"),
        (date(2025, 12, 29), "Monday", "2026-01-02"),
    ],
)
def test_any_other_day_is_refused_with_its_weekday_and_the_right_friday(day, weekday, friday):
    with pytest.raises(ValueError, match=f"{day} is a {weekday}: .*ends on {friday}"):
        WeekKey(Tier.OTC, day)


@given(fridays, st.integers(-4, 2))
def test_every_day_from_monday_to_sunday_belongs_to_its_friday(friday, distance):
    assert week_ending_of(friday + timedelta(days=distance)) == friday


@given(weeks)
def test_a_slice_is_read_back_from_its_text(week):
    assert WeekKey.from_string(str(week)) == week


def test_the_text_of_a_slice_is_tier_and_friday():
    assert str(CHRISTMAS_WEEK) == "NMS Tier 1:2025-12-26"


@pytest.mark.parametrize(
    "tier", ["T1", "T2", "OTCE", "NMS_TIER_1", "nms tier 1", "otc", "NMS Tier 3", " OTC", ""]
)
def test_only_the_canonical_spelling_of_a_tier_is_known_here(tier):
    with pytest.raises(ValueError, match="is not a valid Tier"):
        WeekKey(tier, date(2025, 12, 26))
    with pytest.raises(ValueError, match="is not a valid Tier"):
        WeekKey.from_string(f"{tier}:2025-12-26")


def test_the_text_of_a_tier_gives_the_same_slice_as_the_tier():
    week = WeekKey("OTC", date(2025, 12, 26))
    assert week == WeekKey(Tier.OTC, date(2025, 12, 26))
    assert isinstance(week.tier, Tier)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("OTC", "a slice reads 'tier:week_ending'"),
        ("OTC|2025-12-26", "a slice reads 'tier:week_ending'"),
        ("OTC:26.12.2025", "Invalid isoformat"),
        ("OTC:2025-02-30", "out of range"),
        ("OTC:2025-12-25", "is a Thursday"),
    ],
)
def test_text_that_is_no_slice_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        WeekKey.from_string(text)


def test_a_week_begins_on_its_monday():
    assert CHRISTMAS_WEEK.monday == date(2025, 12, 22)


@given(weeks, st.integers(-60, 60))
def test_shifting_there_and_back_changes_nothing(week, distance):
    moved = week.shifted(distance)
    assert moved.shifted(-distance) == week
    assert moved.tier is week.tier
    assert (moved.week_ending - week.week_ending).days == 7 * distance


@given(tiers, fridays, st.integers(0, 12))
def test_a_window_ends_with_its_week_and_has_no_gap(tier, friday, length):
    week = WeekKey(tier, friday)
    window = week.window(length)
    assert window == [week.shifted(n) for n in range(1 - length, 1)]


def test_a_window_of_three_weeks_is_the_oldest_first():
    days = [str(week.week_ending) for week in CHRISTMAS_WEEK.window(3)]
    assert days == ["2025-12-12", "2025-12-19", "2025-12-26"]
