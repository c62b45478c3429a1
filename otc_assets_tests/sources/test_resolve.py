"""Which slice a file is of: its name, its week column, its publication date, in this order."""

from datetime import date

import pytest

from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.sources.dialects import read_lines
from otc_assets.sources.errors import SourceError
from otc_assets.sources.resolve import NameHint, hint_of, resolve
from otc_assets_tests.sources.samples import (
    DOWNLOAD,
    PSV,
    TODAY,
    WEEK,
    api_csv,
    parsed,
    piped,
    row,
)

WITH_WEEK = (*DOWNLOAD, "weekStartDate")


def resolved(data, name="some.csv"):
    return resolve(name, read_lines(name, data), TODAY)


def refusal(data, name="some.csv"):
    """Why a file's slice cannot be told."""
    with pytest.raises(SourceError) as caught:
        resolved(data, name)
    return str(caught.value)


def test_a_week_in_the_name_stands_over_the_publication_date():
    assert resolved(piped([row()]), "week_2025-11-21.csv").week_ending == date(2025, 11, 21)


def test_a_week_column_stands_over_the_publication_date():
    data = piped([row(monday="2025-11-17")], WITH_WEEK)
    assert resolved(data).week_ending == date(2025, 11, 21)


def test_a_week_in_the_name_may_repeat_the_week_column():
    assert resolved(piped([row()], WITH_WEEK), "week_2025-11-14.csv") == WEEK


@pytest.mark.parametrize("data", [piped([row()], WITH_WEEK), piped([row()], PSV)])
def test_a_week_in_the_name_that_the_rows_deny_is_refused(data):
    assert refusal(data, "week_2025-11-21.csv") == (
        "week_2025-11-21.csv, line 2: its name says week 2025-11-21, its rows say 2025-11-14"
    )


def test_the_most_frequent_update_is_taken_as_the_publication():
    corrected = [row(symbol, updated="2025-12-29") for symbol in "AB"]
    assert resolved(piped([*corrected, row("C"), row("D"), row("E")])) == WEEK


def test_of_equally_frequent_updates_the_earlier_is_the_publication():
    rows = [row("A", updated="2025-12-22"), row("B", updated="2025-12-15")]
    assert resolved(piped(rows)) == WEEK


@pytest.mark.parametrize(
    ("tier", "week_ending"),
    [("NMS Tier 1", "2025-11-28"), ("NMS Tier 2", "2025-11-14"), ("OTC", "2025-11-14")],
)
def test_one_publication_date_is_another_week_in_another_tier(tier, week_ending):
    assert str(resolved(piped([row(tier=tier)]))) == f"{tier}:{week_ending}"


def test_a_publication_that_a_holiday_moved_is_told_from_its_own_day():
    moved = piped([row(tier="NMS Tier 1", updated="2025-05-27")])
    assert str(resolved(moved)) == "NMS Tier 1:2025-05-09"
    assert "2025-05-26 (Monday) is no publication day" in refusal(
        piped([row(tier="NMS Tier 1", updated="2025-05-26")])
    )


def test_a_date_that_is_no_publication_day_is_refused_with_what_to_do():
    message = refusal(piped([row(updated="2025-12-17")]))
    assert message.startswith("some.csv: the week cannot be told from lastUpdateDate")
    assert "2025-12-17 (Wednesday) is no publication day of OTC" in message
    assert message.endswith("name the file week_<Friday>")


def test_naming_the_file_helps_where_all_rows_are_corrections():
    assert resolved(piped([row(updated="2025-12-17")]), "week_2025-11-14.csv") == WEEK


def test_an_update_that_is_no_date_is_refused_with_its_value():
    assert "lastUpdateDate 'soon' is no date" in refusal(piped([row(updated="soon")]))


def test_a_publication_date_in_the_name_does_not_stand_over_the_rows():
    assert resolved(piped([row()]), "finra_otc_20251222.csv") == WEEK


def test_mixed_tiers_are_refused_with_the_line_and_both_tiers():
    data = piped([row(), row("B"), row("C", tier="NMS Tier 2")])
    assert refusal(data).startswith(
        "some.csv, line 4: mixes several slices: tier 'NMS Tier 2' where the other rows have 'OTC'"
    )


def test_a_single_unknown_tier_is_left_to_the_judge_of_lines():
    assert resolved(piped([row(), row("B", tier="NMS Tier 9")])) == WEEK


def test_rows_of_an_unknown_tier_do_not_tell_the_publication():
    strange = [row(symbol, tier="NMS Tier 9", updated="2025-12-22") for symbol in "AB"]
    assert resolved(piped([*strange, row("C")])) == WEEK


@pytest.mark.parametrize("friday", ["2099-01-02", "2025-13-45", "", "soon"])
def test_a_single_impossible_week_is_left_to_the_judge_of_lines(friday):
    assert resolved(piped([row(), row("B"), row("C", friday=friday)], PSV)) == WEEK


def test_an_unknown_tier_throughout_is_refused_with_the_known_ones():
    assert refusal(piped([row(tier="NMS Tier 9")])) == (
        "some.csv, line 2: unknown tier 'NMS Tier 9'; known: NMS Tier 1, NMS Tier 2, OTC"
    )


@pytest.mark.parametrize(
    ("data", "column", "odd"),
    [
        (piped([row(), row("B"), row("C", monday="2025-11-17")], WITH_WEEK), "week_start", "17"),
        (api_csv([row(), row("B"), row("C", monday="2025-11-17")]), "week_start", "17"),
        (piped([row(), row("B"), row("C", friday="2025-11-21")], PSV), "week_ending", "21"),
    ],
)
def test_mixed_weeks_are_refused_with_the_line_and_the_week(data, column, odd):
    assert refusal(data).startswith(
        f"some.csv, line 4: mixes several slices: {column} '2025-11-{odd}'"
    )


def test_a_name_of_another_tier_than_the_rows_is_refused():
    assert refusal(piped([row()]), "tier2_20251215.csv") == (
        "tier2_20251215.csv, line 2: its name says NMS Tier 2, its rows say OTC"
    )


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (piped([row()]), "week_2025-11-13.csv"),
        (piped([row(friday="2025-11-13")], PSV), "some.psv"),
        (piped([row(monday="2025-11-09")], WITH_WEEK), "some.csv"),
    ],
)
def test_a_week_that_ends_on_no_friday_is_refused_with_the_weekday(data, name):
    message = refusal(data, name)
    assert message.startswith(name)
    assert "week_ending must be a Friday; 2025-11-13 is a Thursday" in message
    assert "ends on 2025-11-14" in message


def test_a_week_in_the_name_that_is_no_date_is_refused():
    message = refusal(piped([row()]), "week_2025-02-30.csv")
    assert message == "week_2025-02-30.csv: the week in its name is no date"


def test_a_week_column_without_any_date_is_refused():
    assert "no row has a date in week_ending" in refusal(piped([row(friday="?")], PSV))


def test_a_file_of_another_slice_than_the_one_asked_for_is_refused_with_both_named():
    asked = WeekKey(Tier.NMS_TIER_1, date(2025, 11, 28))
    with pytest.raises(SourceError) as caught:
        parsed(piped([row()]), asked=asked)
    assert str(caught.value) == (
        "some.csv: holds OTC:2025-11-14, not the slice asked for, NMS Tier 1:2025-11-28"
    )


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("finra_otc_weekly_otc_20251215.csv", NameHint(Tier.OTC, date(2025, 11, 14))),
        ("finra_otc_weekly_tier1_20251215.csv", NameHint(Tier.NMS_TIER_1, date(2025, 11, 28))),
        ("TIER_2_20251215.txt", NameHint(Tier.NMS_TIER_2, date(2025, 11, 14))),
        ("tier1_20250609_corrected_20250716.csv", NameHint(Tier.NMS_TIER_1, date(2025, 5, 23))),
        ("week_2025-11-14.psv", NameHint(None, date(2025, 11, 14), named_week=True)),
        ("otc_20251215_week_2025-11-21.csv", NameHint(Tier.OTC, date(2025, 11, 21), True)),
        ("otc_20251217.csv", NameHint(Tier.OTC)),
        ("otc_20251345.csv", NameHint(Tier.OTC)),
        ("notes.txt", NameHint()),
    ],
)
def test_a_name_tells_a_tier_and_a_week_where_it_has_them(name, hint):
    assert hint_of(name) == hint
