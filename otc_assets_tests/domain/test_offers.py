"""What FINRA has dropped is told from its listings, and is no gap."""

from datetime import date

import pytest

from otc_assets.domain.datasets import ATS
from otc_assets.domain.gaps import dropped, gaps, lag_days
from otc_assets.domain.offers import UNKNOWN, Offers
from otc_assets.domain.quality import Severity
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey

T1, T2, OTC = Tier
W = [WeekKey(T1, date(2025, 2, 7)).shifted(n) for n in range(9)]
HISTORIC = frozenset({W[1], W[3], W[4]})
CURRENT = frozenset({W[4], W[5], W[7]})
OFFERS = Offers(CURRENT, HISTORIC)
TODAY = date(2025, 5, 1)
"""All of these weeks of Tier 1 are due."""


@pytest.mark.parametrize(
    ("week", "is_dropped"),
    [
        (W[0], True),  # older than both lists
        (W[1], False),  # historic
        (W[2], True),  # a hole among the historic ones: nothing will bring it
        (W[3], False),
        (W[4], False),  # in both
        (W[6], False),  # a hole among the newest: it is late
        (W[8], False),  # not listed yet
    ],
)
def test_a_week_in_neither_list_and_older_than_the_newest_ones_is_dropped(
    week: WeekKey, is_dropped: bool
):
    assert OFFERS.no_longer_have(week) is is_dropped


@pytest.mark.parametrize("offers", [UNKNOWN, Offers(CURRENT, None), Offers(None, HISTORIC)])
def test_nothing_is_dropped_as_long_as_a_list_was_never_asked_for(offers: Offers):
    assert not any(offers.no_longer_have(week) for week in W)


def test_of_a_tier_that_neither_list_has_nothing_is_known():
    assert not OFFERS.no_longer_have(WeekKey(T2, W[0].week_ending))


def test_of_a_tier_that_the_newest_weeks_lack_what_is_before_the_historic_ones_is_dropped():
    only = Offers(CURRENT, frozenset({WeekKey(OTC, W[3].week_ending)}))
    found = [only.no_longer_have(WeekKey(OTC, w.week_ending)) for w in W[:5]]
    assert found == [True, True, True, False, False]


def test_history_is_what_the_historic_list_alone_has():
    assert [week for week in W if OFFERS.is_history(week)] == [W[1], W[3]]


def test_dropped_weeks_are_no_gaps_and_history_is_a_gap_that_is_never_late():
    loaded = [W[0].shifted(-1)]
    of_tier_1 = {gap.week: gap for gap in gaps(ATS, loaded, TODAY, OFFERS) if gap.week.tier == T1}
    assert list(of_tier_1)[:7] == [W[1], W[3], W[4], W[5], W[6], W[7], W[8]]
    assert {of_tier_1[week].severity for week in (W[1], W[3])} == {Severity.INFO}
    assert of_tier_1[W[4]].severity is Severity.CRITICAL
    assert dropped(ATS, loaded, TODAY, OFFERS) == [W[0], W[2]]


def test_the_lag_counts_from_the_first_week_that_is_late():
    found = [gap for gap in gaps(ATS, [W[0]], TODAY, OFFERS) if gap.week.tier == T1]
    late = {gap.week: gap.days_late for gap in found}
    assert lag_days(ATS, [W[0]], found)["NMS Tier 1"] == late[W[4]] < late[W[1]]
