"""Any set of slices as few partition ranges, each of which one run does."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date

from otc_assets.assets.partitions import partition_key_of, slice_of
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.settings import weeks_setting

START, END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
"""Dagster's tags of a run that does a range."""
TIERS = list(Tier)
"""In the order of the partitions, in which a range's tiers lie side by side."""


@dataclass(frozen=True)
class Range:
    """All slices between two corners: neighbouring tiers in successive weeks."""

    first: WeekKey
    last: WeekKey

    def __str__(self) -> str:
        """Return it as ``--partition-range`` takes it."""
        return f"{partition_key_of(self.first)}...{partition_key_of(self.last)}"

    @property
    def tags(self) -> dict[str, str]:
        """The tags by which a run does the range."""
        return {START: partition_key_of(self.first), END: partition_key_of(self.last)}

    @classmethod
    def of_tags(cls, tags: Mapping[str, str]) -> "Range | None":
        """Return the range that a run with these tags does; None if it does none."""
        if START in tags and END in tags:
            return cls(slice_of(tags[START]), slice_of(tags[END]))
        return None

    @property
    def weeks(self) -> int:
        """How many weeks it has."""
        return (self.last.week_ending - self.first.week_ending).days // 7 + 1

    def slices(self) -> list[WeekKey]:
        """Return what is in the range."""
        tiers = TIERS[TIERS.index(self.first.tier) : TIERS.index(self.last.tier) + 1]
        first = self.first.week_ending
        return [WeekKey(tier, first).shifted(n) for n in range(self.weeks) for tier in tiers]

    def blocks(self, weeks: int | None) -> "list[Range]":
        """Cut it into ranges of so many weeks at most, oldest first; None leaves it whole."""
        starts = range(0, self.weeks, weeks or self.weeks)
        ends = [*starts[1:], self.weeks]
        back = self.weeks - 1
        return [
            Range(self.first.shifted(start), self.last.shifted(end - 1 - back))
            for start, end in zip(starts, ends, strict=True)
        ]


def ranges_of(slices: Collection[WeekKey]) -> list[Range]:
    """Cover exactly ``slices`` by few ranges, oldest first, none longer than OTC_WEEKS_PER_RUN.

    Raises:
        ValueError: that setting is no number of weeks.

    """
    by_week, by_tier = _week_by_week(slices), _tier_by_tier(slices)
    fewer = by_week if len(by_week) <= len(by_tier) else by_tier
    weeks = weeks_setting("OTC_WEEKS_PER_RUN")
    blocks = [block for each in fewer for block in each.blocks(weeks)]
    return sorted(blocks, key=lambda r: (r.first.week_ending, r.first.tier))


def _week_by_week(slices: Collection[WeekKey]) -> list[Range]:
    """Join neighbouring tiers of a week, then weeks that follow each other with the same tiers."""
    found: list[Range] = []
    for week in sorted({each.week_ending for each in slices}):
        for tiers in _neighbours({s.tier for s in slices if s.week_ending == week}):
            first, last = WeekKey(tiers[0], week), WeekKey(tiers[-1], week)
            before = [r for r in found if r.last == last.shifted(-1) and r.first.tier == first.tier]
            for earlier in before:
                found.remove(earlier)
            found.append(Range(before[0].first if before else first, last))
    return found


def _tier_by_tier(slices: Collection[WeekKey]) -> list[Range]:
    """Join successive weeks of a tier, then neighbouring tiers with the same weeks."""
    spans: dict[tuple[date, date], set[Tier]] = {}
    for tier in TIERS:
        mine = {each for each in slices if each.tier == tier}
        for first in (week for week in mine if week.shifted(-1) not in mine):
            last = first
            while last.shifted(1) in mine:
                last = last.shifted(1)
            spans.setdefault((first.week_ending, last.week_ending), set()).add(tier)
    return [
        Range(WeekKey(tiers[0], first), WeekKey(tiers[-1], last))
        for (first, last), every in spans.items()
        for tiers in _neighbours(every)
    ]


def _neighbours(tiers: Collection[Tier]) -> list[list[Tier]]:
    """Part tiers into groups that lie side by side."""
    groups: list[list[Tier]] = []
    for number, tier in enumerate(TIERS):
        if tier in tiers:
            if number and TIERS[number - 1] in tiers:
                groups[-1].append(tier)
            else:
                groups.append([tier])
    return groups
