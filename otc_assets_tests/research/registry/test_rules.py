"""The rules by themselves: spelling, absence, and that intervals cover each week once."""

from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.research.registry.intervals import intervals
from otc_assets.research.registry.lives import LONG_GAP, absence_confidence
from otc_assets.research.registry.naming import is_related, is_same_name
from otc_assets.research.registry.overlaps import confidence, overlap
from otc_assets.research.registry.succession import owners, pairs, with_successors

FIRST = date(2024, 1, 5)


def week(number: int) -> date:
    return FIRST + timedelta(weeks=number)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("OAK ATS", "Oak Ats"),
        ("OAK ATS, LLC", "OAK ATS L.L.C."),
        ("OAK & ELM SECURITIES, INC.", "Oak and Elm Securities"),
        ("OAK-X", "OAK X"),
        ("MS POOL", "MSPOOL"),
        ("Café Cross", "CAFE CROSS"),
        ("THE CO", "the co."),
    ],
)
def test_case_punctuation_and_legal_forms_are_spelling(one: str, other: str):
    assert is_same_name(one, other)
    assert is_same_name(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [("SIGMA X", "SIGMA X2"), ("OAK ATS", "OAK CROSS"), ("OAK ATS", "ELM ATS"), ("THE CO", "LLC")],
)
def test_any_other_letter_or_digit_is_another_name(one: str, other: str):
    assert not is_same_name(one, other)


def test_names_are_related_by_a_word_of_their_own():
    assert is_related("OAK CROSSING ATS", "OAK MIDPOINT")
    assert not is_related("OAK CROSSING ATS", "ELM CROSSING ATS")
    assert is_related("CROSS ATS", "CROSS ATS LLC")


def test_a_silence_is_no_accident_for_who_is_never_silent():
    assert absence_confidence(10, 10, 0) == 0.0
    assert absence_confidence(10, 10, 1) == 91.7  # 11 / 12
    assert absence_confidence(2, 2, 1) == 75.0
    assert absence_confidence(1, 1, 1) == 66.7
    assert absence_confidence(3, 10, 1) == 33.3
    assert absence_confidence(3, 10, 4) == 80.2  # 1 - (2/3)^4


def frames(weeks: dict[str, dict[int, str | None]], last: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One tier: the names of venues by week, and weeks up to the last."""
    seen = [
        (venue, "NMS Tier 1", week(number), name)
        for venue, names in weeks.items()
        for number, name in names.items()
    ]
    known = [("NMS Tier 1", week(number)) for number in range(last + 1)]
    columns = ["venue", "tier", "week_ending", "name"]
    return pd.DataFrame(seen, columns=columns), pd.DataFrame(known, columns=columns[1:3])


def began(names: dict[int, str | None], last: int = 40) -> list[tuple[str, date]]:
    return [(r["began_as"], r["valid_from"]) for r in intervals(*frames({"V": names}, last))]


def test_a_gap_is_long_from_its_number_of_weeks_on():
    for gap, many in ((LONG_GAP - 1, 1), (LONG_GAP, 2)):
        names: dict[int, str | None] = dict.fromkeys([0, 1, 2 + gap], "OAK ATS")
        assert len(began(names)) == many


def test_an_unrelated_name_is_a_stranger_only_after_the_venue_was_gone():
    assert began({0: "OAK", 1: "OAK", 2: "ELM"})[1:] == [("renamed", week(2))]
    assert began({0: "OAK", 1: "OAK", 4: "ELM"})[1:] == [("reused", week(4))]
    assert began({0: "OAK ATS", 1: "OAK ATS", 4: "OAK CROSS"})[1:] == [("renamed", week(4))]


def test_a_week_without_a_name_is_no_other_name():
    assert began({0: "OAK", 1: None, 2: "OAK"}) == [("unknown", week(0))]
    (row,) = intervals(*frames({"V": {0: None, 1: "OAK", 2: None}}, 2))
    assert row["name"] == "OAK"


def test_weeks_that_are_lacking_are_no_silence():
    seen, known = frames({"V": {0: "OAK", 1: "OAK", 2: "OAK", 30: "OAK"}}, 30)
    there = known["week_ending"].isin([week(n) for n in (0, 1, 2, 30)])
    assert len(intervals(seen, known)) == 2
    assert len(intervals(seen, known[there])) == 1


def test_a_venue_of_a_tier_that_comes_later_is_not_gone_before_that_tier_is_there():
    seen, known = frames({"V": dict.fromkeys(range(10), "OAK")}, 20)
    otc = known[known["week_ending"] <= week(9)].assign(tier="OTC")
    (row,) = intervals(seen.assign(tier="OTC"), pd.concat([known, otc]))
    assert row["valid_until"] is None


def test_of_two_that_begin_the_one_with_more_of_the_symbols_is_the_successor():
    last = {name: dict.fromkeys(range(5, 10), name) for name in ("BBBB", "CCCC")}
    rows = intervals(*frames({"AAAA": dict.fromkeys(range(5), "AAAA"), **last}, 9))
    assert pairs(rows, [week(n) for n in range(10)]) == [(0, 1), (0, 2)]

    def share(symbols: str) -> dict[str, Any]:
        at = WeekKey(Tier.NMS_TIER_1, week(4))
        return overlap({at: "PQRS"}, {at: symbols})

    found = with_successors(rows, {(0, 1): share("PQXY"), (0, 2): share("PQRX")})
    assert [r["successor"] for r in found] == ["CCCC", None, None]
    assert [r["predecessor"] for r in found] == [None, None, "AAAA"]
    assert owners(found, 50.0) == ["CCCC", "BBBB", "CCCC"]
    less = with_successors(rows, {(0, 1): share("PXYZ"), (0, 2): {}})
    assert [r["successor"] for r in less] == [None, None, None]


def test_a_small_venue_among_the_symbols_of_a_large_one_is_no_sure_predecessor():
    at = WeekKey(Tier.NMS_TIER_1, week(4))
    names = [f"S{number}" for number in range(900)]
    shared = overlap({at: names[:9]}, {at: names})
    assert shared["pct_kept"] == 100.0
    assert confidence(shared) == 9.0  # 9 / sqrt(9 * 900) is a tenth, times 9 / 10


def test_symbols_are_compared_in_tiers_that_are_known_of_both():
    early, otc = WeekKey(Tier.NMS_TIER_1, week(4)), WeekKey(Tier.OTC, week(4))
    late = WeekKey(Tier.NMS_TIER_1, week(5))
    shared = overlap({early: "A", otc: "B"}, {late: "A"})
    assert (shared["symbols_before"], shared["pct_kept"]) == (1, 100.0)
    assert overlap({otc: "B"}, {late: "A"}) == {}


NAMES = st.sampled_from(["OAK ATS", "Oak ATS, LLC", "OAK CROSS", "ELM POOL", None])
LIVES = st.dictionaries(st.integers(0, 60), NAMES, min_size=1, max_size=25)


@given(st.dictionaries(st.sampled_from(["AAAA", "BBBB", "0"]), LIVES, min_size=1))
def test_intervals_never_overlap_and_cover_every_week_of_their_venue(
    weeks: dict[str, dict[int, str | None]],
):
    rows = intervals(*frames(weeks, 60))
    for venue, names in weeks.items():
        mine = [r for r in rows if r["venue"] == venue]
        assert [w for r in mine for w in r["weeks"]] == [week(n) for n in sorted(names)]
        for one, following in pairwise(mine):
            assert one["valid_from"] <= one["valid_until"] < following["valid_from"]
        for r in mine:
            assert (r["weeks"][0], r["weeks"][-1]) == (r["valid_from"], r["last_week"])
            assert r["valid_until"] in (None, r["last_week"])
            sure = (r["began_confidence"], r["ended_confidence"])
            assert all(0 <= each <= 100 for each in sure if each is not None)
