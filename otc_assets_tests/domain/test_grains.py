"""Periods of every grain follow each other, and each day is in one of them."""

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otc_assets.domain.grains import ALL, DAY, MONDAY, MONTH, Grain, Months, Slicing
from otc_assets.domain.tables import Column, ColumnType
from otc_assets.domain.weeks import WEEK, WEEKS, WeekKey, week_ending_of

FORTNIGHT = Grain(
    name="fortnight",
    words="fortnight",
    column=Column("fortnight", ColumnType.DATE, "First day."),
    first_day=date(2024, 1, 1),
    days=14,
)
QUARTER = Grain(
    name="quarter",
    words="quarter",
    column=Column("quarter", ColumnType.DATE, "First day."),
    first_day=date(2024, 1, 1),
    months=3,
)
GRAINS = [WEEK, MONTH, DAY, FORTNIGHT, QUARTER]
days = st.dates(date(2010, 1, 1), date(2035, 12, 31))


@settings(max_examples=200)
@given(st.sampled_from(GRAINS), days, st.integers(-100, 100))
def test_periods_are_counted_forth_and_back(grain: Grain, day: date, count: int):
    period = grain.containing(day)
    other = grain.shifted(period, count)
    assert grain.validated(other) == other
    assert grain.between(period, other) == count
    assert grain.shifted(other, -count) == period


@settings(max_examples=200)
@given(st.sampled_from(GRAINS), days)
def test_a_day_lies_between_the_start_of_its_period_and_that_of_the_next(grain: Grain, day: date):
    period = grain.containing(day)
    assert grain.start_of(period) <= day < grain.start_of(grain.shifted(period, 1))


@given(days)
def test_weeks_are_those_that_they_always_were(day: date):
    assert WEEK.containing(day) == week_ending_of(day)


def test_a_day_that_names_no_period_is_refused_with_the_one_that_holds_it():
    with pytest.raises(ValueError, match=r"month 2025-05-02 names no month: .*2025-05-01"):
        MONTH.validated(date(2025, 5, 2))


@pytest.mark.parametrize("text", ["all", "all:2025-5-1", "OTC:2025-05-01", "all:20250501"])
def test_a_slice_is_read_back_from_its_text_alone(text: str):
    months = Slicing(MONTH, (ALL,), date(2025, 1, 1))
    assert str(months.from_string("all:2025-05-01")) == "all:2025-05-01"
    with pytest.raises(ValueError, match=r"slice reads|isoformat|section"):
        months.from_string(text)


def test_a_weekly_slice_is_a_week_key_however_it_is_made():
    friday = date(2025, 12, 26)
    made = WEEKS.key("OTC", friday)
    assert made == WeekKey("OTC", friday) == WEEKS.from_string("OTC:2025-12-26")
    assert isinstance(made.shifted(-1), WeekKey)


def test_a_delay_of_months_ends_on_the_first_day_or_on_a_weekday():
    assert date(2025, 11, 30) + Months(3) == date(2026, 2, 1)
    assert date(2026, 3, 31) - Months(1) == date(2026, 2, 1)
    first_mondays = [date(2025, month, 1) + Months(2, MONDAY) for month in (4, 5, 7)]
    assert first_mondays == [date(2025, 6, 2), date(2025, 7, 7), date(2025, 9, 1)]
    assert all((day - timedelta(days=7)).month != day.month for day in first_mondays)
