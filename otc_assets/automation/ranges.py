"""Any set of slices as few partition ranges, each of which one run does."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date

from otc_assets.assets.partitions import partition_key_of, slice_of
from otc_assets.domain.grains import SliceKey, Slicing
from otc_assets.domain.weeks import WEEKS
from otc_assets.settings import weeks_setting

START, END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
"""Dagster's tags of a run that does a range."""


@dataclass(frozen=True)
class Range:
    """All slices between two corners: neighbouring sections in successive periods."""

    first: SliceKey
    last: SliceKey

    def __str__(self) -> str:
        """Return it as ``--partition-range`` takes it."""
        return f"{partition_key_of(self.first)}...{partition_key_of(self.last)}"

    @property
    def tags(self) -> dict[str, str]:
        """The tags by which a run does the range."""
        return {START: partition_key_of(self.first), END: partition_key_of(self.last)}

    @classmethod
    def of_tags(cls, tags: Mapping[str, str], slicing: Slicing = WEEKS) -> "Range | None":
        """Return the range that a run with these tags does; None if it does none."""
        if START in tags and END in tags:
            return cls(slice_of(tags[START], slicing), slice_of(tags[END], slicing))
        return None

    @property
    def weeks(self) -> int:
        """How many weeks (of another grain, periods) it has."""
        return self.first.slicing.grain.between(self.first.period, self.last.period) + 1

    def slices(self) -> list[SliceKey]:
        """Return what is in the range."""
        slicing = self.first.slicing
        every = slicing.sections
        mine = every[every.index(self.first.section) : every.index(self.last.section) + 1]
        firsts = [slicing.key(section, self.first.period) for section in mine]
        return [first.shifted(n) for n in range(self.weeks) for first in firsts]

    def blocks(self, weeks: int | None) -> "list[Range]":
        """Cut it into ranges of so many weeks at most, oldest first; None leaves it whole."""
        starts = range(0, self.weeks, weeks or self.weeks)
        ends = [*starts[1:], self.weeks]
        back = self.weeks - 1
        return [
            Range(self.first.shifted(start), self.last.shifted(end - 1 - back))
            for start, end in zip(starts, ends, strict=True)
        ]


def ranges_of(slices: Collection[SliceKey]) -> list[Range]:
    """Cover exactly ``slices`` by few ranges, oldest first, none longer than OTC_WEEKS_PER_RUN.

    Raises:
        ValueError: that setting is no number of weeks.

    """
    by_week, by_tier = _week_by_week(slices), _tier_by_tier(slices)
    fewer = by_week if len(by_week) <= len(by_tier) else by_tier
    weeks = weeks_setting("OTC_WEEKS_PER_RUN")
    blocks = [block for each in fewer for block in each.blocks(weeks)]
    return sorted(blocks, key=lambda r: (r.first.period, r.first.section))


def _week_by_week(slices: Collection[SliceKey]) -> list[Range]:
    """Join neighbouring sections of a period, then periods that follow each other with the same."""
    found: list[Range] = []
    for period in sorted({each.period for each in slices}):
        for group in _neighbours([each for each in slices if each.period == period]):
            first, last = group[0], group[-1]
            before = [
                r for r in found if r.last == last.shifted(-1) and r.first.section == first.section
            ]
            for earlier in before:
                found.remove(earlier)
            found.append(Range(before[0].first if before else first, last))
    return found


def _tier_by_tier(slices: Collection[SliceKey]) -> list[Range]:
    """Join successive periods of a section, then neighbouring sections with the same periods."""
    spans: dict[tuple[date, date], list[SliceKey]] = {}
    mine = set(slices)
    for first in sorted(each for each in mine if each.shifted(-1) not in mine):
        last = first
        while last.shifted(1) in mine:
            last = last.shifted(1)
        spans.setdefault((first.period, last.period), []).append(first)
    return [
        Range(group[0], group[-1].slicing.key(group[-1].section, last))
        for (_, last), every in spans.items()
        for group in _neighbours(every)
    ]


def _neighbours(slices: Collection[SliceKey]) -> list[list[SliceKey]]:
    """Part slices of one period into groups whose sections lie side by side."""
    groups: list[list[SliceKey]] = []
    before = -2
    for each in sorted(slices, key=lambda each: each.number):
        if each.number != before + 1:
            groups.append([])
        groups[-1].append(each)
        before = each.number
    return groups
