"""Any set of slices is covered exactly, by few ranges."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otc_assets.assets.partitions import SLICES, partition_key_of
from otc_assets.automation.ranges import ranges_of
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey

FRIDAY = date(2025, 5, 2)
SLICE = st.builds(
    lambda tier, n: WeekKey(tier, FRIDAY).shifted(n), st.sampled_from(Tier), st.integers(0, 9)
)


def slices(*rows: str) -> list[WeekKey]:
    """One row per tier, one character per week; x is wanted."""
    return [
        WeekKey(tier, FRIDAY).shifted(n)
        for tier, row in zip(Tier, rows, strict=True)
        for n, mark in enumerate(row)
        if mark == "x"
    ]


@given(st.sets(SLICE))
def test_each_slice_is_in_exactly_one_range(wanted: set[WeekKey]):
    covered = [week for each in ranges_of(wanted) for week in each.slices()]
    assert sorted(covered) == sorted(wanted)


@given(st.sets(SLICE))
def test_a_range_is_what_dagster_takes_it_for(wanted: set[WeekKey]):
    for each in ranges_of(wanted):
        first, last = str(each).split("...")
        keys = SLICES.get_partition_keys_in_range(_range(first, last))
        assert sorted(keys) == sorted(partition_key_of(week) for week in each.slices())


def _range(first: str, last: str):
    import dagster as dg

    return dg.PartitionKeyRange(first, last)


@given(st.sets(SLICE), st.integers(1, 11))
def test_no_range_is_longer_than_a_run_may_be(wanted: set[WeekKey], weeks: int):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTC_WEEKS_PER_RUN", str(weeks))
        ranges = ranges_of(wanted)
    assert all(len({week.week_ending for week in each.slices()}) <= weeks for each in ranges)
    assert sorted(week for each in ranges for week in each.slices()) == sorted(wanted)


@pytest.mark.parametrize(
    ("rows", "count"),
    [
        (("", "", ""), 0),
        (("x", "", ""), 1),
        (("xxx", "xxx", "xxx"), 1),
        (("  x", "x", "x"), 2),  # what FINRA publishes on one Monday
        (("  xxxx", "xxxx", "xxxx"), 2),  # and on four of them
        (("x", "", "x"), 2),  # Tier 1 and OTC are no neighbours
        (("x x", "x x", "x x"), 2),
        (("xx", "xx", "x"), 2),
    ],
)
def test_ranges_are_few(rows: tuple[str, ...], count: int):
    assert len(ranges_of(slices(*rows))) == count
