"""Gaps, worked out by hand from the publication calendar and against a naive answer."""

from collections.abc import Collection
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otc_assets.domain.calendar import expected_publication_date
from otc_assets.domain.datasets import ATS, DATASETS, NON_ATS, Dataset
from otc_assets.domain.gaps import gaps, lag_days
from otc_assets.domain.quality import Severity
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import FIRST_WEEK_ENDING, WeekKey

T1, T2, OTC = Tier
TODAY = date(2025, 6, 10)
"""A Tuesday. On Monday FINRA published Tier 1 of 2025-05-23 and the others of 2025-05-09."""


def weeks(tier: Tier, *days: str) -> list[WeekKey]:
    return [WeekKey(tier, date.fromisoformat(f"2025-{day}")) for day in days]


def found(
    loaded: Collection[WeekKey], today: date = TODAY, dataset: Dataset = ATS
) -> dict[str, int]:
    """Return the gaps, and how many days late each is."""
    return {str(gap.week): gap.days_late for gap in gaps(dataset, loaded, today)}


TIER_1 = weeks(T1, "05-02", "05-09", "05-16", "05-23")
OTHERS = [week for tier in (T2, OTC) for week in weeks(tier, "05-02", "05-09")]
COMPLETE = [*TIER_1, *OTHERS]


def without(*lacking: WeekKey) -> list[WeekKey]:
    return [week for week in COMPLETE if week not in lacking]


def test_a_complete_store_has_no_gap():
    assert found(COMPLETE) == {}
    assert lag_days(ATS, COMPLETE, gaps(ATS, COMPLETE, TODAY)) == {
        "NMS Tier 1": 0,
        "NMS Tier 2": 0,
        "OTC": 0,
    }


def test_a_week_between_others_is_a_gap():
    # the week of Monday, 05-05, + 21 days is Memorial Day: published on Tuesday, 05-27
    assert found(without(TIER_1[1])) == {"NMS Tier 1:2025-05-09": 14}


def test_weeks_after_the_last_one_are_gaps():
    assert found(without(*TIER_1[2:])) == {"NMS Tier 1:2025-05-16": 8, "NMS Tier 1:2025-05-23": 1}


def test_weeks_before_the_first_of_their_tier_are_gaps_if_another_tier_has_them():
    assert found(without(*weeks(OTC, "05-02"))) == {"OTC:2025-05-02": 8}


def test_a_tier_with_nothing_lacks_all_weeks_of_the_others():
    assert found(TIER_1) == {
        "NMS Tier 2:2025-05-02": 8,
        "OTC:2025-05-02": 8,
        "NMS Tier 2:2025-05-09": 1,
        "OTC:2025-05-09": 1,
    }


def test_of_an_empty_store_the_newest_due_week_of_each_tier_is_a_gap():
    assert found([]) == {
        "NMS Tier 2:2025-05-09": 1,
        "OTC:2025-05-09": 1,
        "NMS Tier 1:2025-05-23": 1,
    }


def test_weeks_before_the_first_that_is_loaded_are_no_gaps():
    assert found(weeks(T1, "05-23")) == {}


def test_gaps_are_told_by_week_and_tier():
    assert list(found(weeks(T2, "05-02"))) == [
        "NMS Tier 1:2025-05-02",
        "OTC:2025-05-02",
        "NMS Tier 1:2025-05-09",
        "NMS Tier 2:2025-05-09",
        "OTC:2025-05-09",
        "NMS Tier 1:2025-05-16",
        "NMS Tier 1:2025-05-23",
    ]


@pytest.mark.parametrize(
    ("today", "late"),
    [(date(2025, 5, 26), {}), (date(2025, 5, 27), {"NMS Tier 1:2025-05-09": 0})],
)
def test_a_week_is_a_gap_from_its_publication_on_and_a_holiday_moves_that(
    today: date, late: dict[str, int]
):
    before = [week for tier in (T2, OTC) for week in weeks(tier, "04-18", "04-25")]
    tier_1 = weeks(T1, "04-18", "04-25", "05-02")
    assert found([*before, *tier_1], today) == late


@pytest.mark.parametrize(
    ("days", "severity"),
    [
        (0, Severity.INFO),
        (3, Severity.INFO),
        (4, Severity.WARNING),
        (7, Severity.WARNING),
        (8, Severity.CRITICAL),
        (80, Severity.CRITICAL),
    ],
)
def test_more_than_three_days_late_is_a_warning_and_more_than_seven_critical(
    days: int, severity: Severity
):
    week = TIER_1[2]
    today = date(2025, 6, 2) + timedelta(days=days)  # the 2nd of June: Monday, 05-12, + 21 days
    (gap,) = [each for each in gaps(ATS, without(week), today) if each.week == week]
    assert (gap.days_late, gap.severity) == (days, severity)
    assert gap.expected_publication_date == date(2025, 6, 2)


@pytest.mark.parametrize(
    ("loaded", "lags"),
    [
        (without(TIER_1[3]), (1, 0, 0)),
        (without(TIER_1[2], TIER_1[3]), (8, 0, 0)),
        (without(TIER_1[2]), (0, 0, 0)),  # the newest is there: a gap, but no lag
        (without(*weeks(T2, "05-09")), (0, 1, 0)),
        (TIER_1, (0, 8, 8)),
        ([], (1, 1, 1)),
    ],
)
def test_the_lag_of_a_tier_is_that_of_its_first_week_after_the_last(
    loaded: list[WeekKey], lags: tuple[int, int, int]
):
    assert tuple(lag_days(ATS, loaded, gaps(ATS, loaded, TODAY)).values()) == lags


@pytest.mark.parametrize(
    ("dataset", "today", "late"),
    [
        (ATS, date(2014, 6, 1), {}),
        (ATS, date(2014, 6, 2), {"NMS Tier 1:2014-05-16": 0}),
        (NON_ATS, date(2016, 4, 24), {}),
        (NON_ATS, date(2016, 4, 25), {"NMS Tier 1:2016-04-08": 0}),
    ],
)
def test_nothing_is_due_before_finras_first_publication(
    dataset: Dataset, today: date, late: dict[str, int]
):
    assert found([], today, dataset) == late


START = FIRST_WEEK_ENDING + timedelta(weeks=96)
SLICES = st.builds(
    lambda tier, n: WeekKey(tier, START).shifted(n), st.sampled_from(Tier), st.integers(0, 12)
)


def naive(dataset: Dataset, loaded: set[WeekKey], today: date) -> set[WeekKey]:
    """Look at every week there ever was."""
    first = min(week.week_ending for week in loaded)
    every = [WeekKey(tier, FIRST_WEEK_ENDING).shifted(n) for tier in Tier for n in range(150)]
    return {
        week
        for week in every
        if week not in loaded
        and week.week_ending >= max(first, dataset.first_period)
        and expected_publication_date(week, dataset) <= today
    }


@given(st.sampled_from(DATASETS), st.sets(SLICES, min_size=1), st.integers(0, 200))
def test_gaps_are_what_a_naive_search_finds(dataset: Dataset, loaded: set[WeekKey], days: int):
    today = START + timedelta(days=days)
    missing = gaps(dataset, loaded, today)
    assert {gap.week for gap in missing} == naive(dataset, loaded, today)
    assert len({gap.week for gap in missing}) == len(missing)
    for gap in missing:
        assert gap.days_late == (today - expected_publication_date(gap.week, dataset)).days


@given(st.sampled_from(DATASETS), st.sets(SLICES, min_size=1), st.integers(0, 200))
def test_a_store_in_which_the_gaps_are_filled_has_none(
    dataset: Dataset, loaded: set[WeekKey], days: int
):
    today = START + timedelta(days=days)
    full = loaded | {gap.week for gap in gaps(dataset, loaded, today)}
    assert gaps(dataset, full, today) == []
    assert set(lag_days(dataset, full, []).values()) == {0}
