"""Weeks, named by their Friday, and the weekly slice: one tier in one week."""

from dataclasses import dataclass, field
from datetime import date, timedelta

from otc_assets.domain.grains import Grain, SliceKey, Slicing, among, oldest_first
from otc_assets.domain.tables import WEEK as WEEK_COLUMN
from otc_assets.domain.tiers import Tier

__all__ = [
    "FIRST_WEEK_ENDING",
    "FRIDAY",
    "WEEK",
    "WEEKS",
    "WeekKey",
    "among",
    "oldest_first",
    "validated_week_ending",
    "week_ending_of",
]

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


WEEK = Grain(
    name="week",
    words="week ending",
    column=WEEK_COLUMN,
    first_day=FIRST_WEEK_ENDING - timedelta(days=FRIDAY),
    days=7,
    named_after=timedelta(days=FRIDAY),
    cron="0 0 * * 5",
)


class Weeks(Slicing):
    """The tiers in weeks; its slices are `WeekKey`s."""

    def key(self, section: str, period: date) -> "WeekKey":
        """Return the slice of a tier and a week."""
        return WeekKey(Tier(section), period)


WEEKS = Weeks(WEEK, tuple(Tier), FIRST_WEEK_ENDING)


@dataclass(frozen=True, order=True)
class WeekKey(SliceKey):
    """A weekly slice: one tier in one week."""

    section: Tier
    slicing: Slicing = field(default=WEEKS, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse an unknown tier or a day that is no Friday, whoever builds the key."""
        object.__setattr__(self, "section", Tier(self.section))
        validated_week_ending(self.period)

    @classmethod
    def from_string(cls, text: str) -> "WeekKey":
        """Parse what `str` of a key gives, as `Slicing.from_string` does."""
        key: WeekKey = WEEKS.from_string(text)
        return key

    @property
    def tier(self) -> Tier:
        """The section."""
        return self.section

    @property
    def week_ending(self) -> date:
        """The period: the Friday of the week."""
        return self.period

    @property
    def last_day(self) -> date:
        """The last day on which there is trade: the Friday, holiday or not."""
        return self.period

    @property
    def monday(self) -> date:
        """The Monday on which the week began (FINRA's ``weekStartDate``)."""
        return self.first_day
