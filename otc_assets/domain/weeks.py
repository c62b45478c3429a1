"""Weeks, named by their Friday, and the slice: one tier in one week."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Self

from otc_assets.domain.tiers import Tier

FRIDAY = 4

FIRST_WEEK_ENDING = date(2014, 5, 16)
"""The first ATS week that FINRA published (Monday 2014-05-12, public on 2014-06-02)."""


def validated_week_ending(day: date) -> date:
    """Return ``day`` if it is a Friday, the day that names a week (holiday or not).

    Raises:
        ValueError: any other weekday, which the message names.

    """
    if day.weekday() != FRIDAY:
        raise ValueError(
            f"week_ending must be a Friday; {day} is a {day:%A}: "
            f"the week that holds it ends on {week_ending_of(day)}"
        )
    return day


def week_ending_of(day: date) -> date:
    """Return the Friday of the Monday-to-Sunday week that holds ``day``."""
    return day + timedelta(days=FRIDAY - day.weekday())


@dataclass(frozen=True, order=True)
class WeekKey:
    """A slice: one tier in one week, the unit of every write, check and revision."""

    tier: Tier
    week_ending: date

    def __post_init__(self) -> None:
        """Refuse an unknown tier or a day that is no Friday, whoever builds the key."""
        object.__setattr__(self, "tier", Tier(self.tier))
        validated_week_ending(self.week_ending)

    def __str__(self) -> str:
        """Return ``NMS Tier 1:2025-12-26``; `from_string` reads it back."""
        return f"{self.tier}:{self.week_ending.isoformat()}"

    @classmethod
    def from_string(cls, text: str) -> Self:
        """Parse what `str` of a key gives.

        Raises:
            ValueError: no colon, an unknown tier, no ISO date, or a day that is no Friday.

        """
        tier, colon, week = text.partition(":")
        if not colon:
            raise ValueError(
                f"a slice reads 'tier:week_ending', for example OTC:2025-12-26: {text!r}"
            )
        key = cls(Tier(tier), date.fromisoformat(week))
        if str(key) != text:  # fromisoformat also reads 20251226 and 2025-W52-5
            raise ValueError(f"a slice reads {key}, not {text}")
        return key

    @property
    def number(self) -> int:
        """The slice as a number: 202512261 is the first tier in the week ending 2025-12-26."""
        return int(f"{self.week_ending:%Y%m%d}{1 + list(Tier).index(self.tier)}")

    @property
    def monday(self) -> date:
        """The Monday on which the week began (FINRA's ``weekStartDate``)."""
        return self.week_ending - timedelta(days=FRIDAY)

    def shifted(self, weeks: int) -> Self:
        """Return the slice of the same tier, that many weeks later (earlier if negative)."""
        return type(self)(self.tier, self.week_ending + timedelta(weeks=weeks))

    def window(self, weeks: int) -> list[Self]:
        """Return the ``weeks`` slices that end with this one, oldest first."""
        return [self.shifted(-back) for back in range(weeks - 1, -1, -1)]


def oldest_first(slices: Iterable[WeekKey]) -> list[WeekKey]:
    """Return slices by week, then by tier; those of a tier alone are sorted as they are."""
    return sorted(slices, key=lambda week: (week.week_ending, week.tier))


def among(
    slices: Iterable[WeekKey], tiers: Collection[str] = (), weeks: Collection[str] = ()
) -> list[WeekKey]:
    """Return the slices of some tiers and weeks, by week and tier.

    Args:
        slices: to choose from.
        tiers: of which tiers (default: of all).
        weeks: of which weeks, as ISO dates (default: of all).

    """
    return oldest_first(
        week
        for week in slices
        if (not tiers or str(week.tier) in tiers) and (not weeks or str(week.week_ending) in weeks)
    )
