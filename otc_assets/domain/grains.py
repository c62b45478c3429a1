"""How a dataset is cut into slices: its grain (week, month, day) and its sections (tiers).

A grain is data: a first day, a step of days or of months, and what its period is called. A dataset
of another grain needs no function of its own. `otc_assets.domain.weeks` has the weekly slices,
which were there first and have names of their own (`tier`, `week_ending`).
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Self, TypeVar

from otc_assets.domain.tables import Column, ColumnType
from otc_assets.domain.trading_days import is_business_day


def slug_of(section: str) -> str:
    """Return a section as it is in the names of files, folders and schedules: ``nms_tier_1``."""
    return section.lower().replace(" ", "_")


ALL = "all"
"""The one section of a dataset that FINRA does not part by tier."""


@dataclass(frozen=True, eq=False)
class Grain:
    """Periods that follow each other; each is named by one of its days."""

    name: str
    """In messages, and before the period in the names of files: week."""
    words: str
    """The same before the period itself: week ending."""
    column: Column
    """The column of every table that names the period: week_ending, month."""
    first_day: date
    """The first day of any of the periods, from which the others are counted."""
    days: int = 0
    """How long a period is, if it is so many days..."""
    months: int = 0
    """...or so many months."""
    named_after: timedelta = timedelta(0)
    """From the first day of a period to the day that names it: a week is named by its Friday."""
    is_weekday: bool = False
    """Saturdays and Sundays are no periods (of a grain of one day). Holidays are, without trade."""
    cron: str = ""
    """When one of Dagster's time windows begins: on the day that names a period."""
    end_offset: int = 0
    """How many partitions there are beyond the last window that has ended."""

    @property
    def start_column(self) -> str:
        """What a line's own field for the first day of its period is called here."""
        return f"{self.name}_start"

    def containing(self, day: date) -> date:
        """Return the period that holds ``day``; of weekdays, on a weekend the Friday before."""
        if self.is_weekday:
            return day - timedelta(days=max(0, day.weekday() - 4))
        return self._first_day_of(day) + self.named_after

    def start_of(self, period: date) -> date:
        """Return the first day of a period."""
        return period - self.named_after

    def shifted(self, period: date, periods: int) -> date:
        """Return the period that many later (earlier if negative)."""
        if self.is_weekday:
            weeks, days = divmod(period.weekday() + periods, 5)
            return period + timedelta(days=7 * weeks + days - period.weekday())
        first = _months_later(self.start_of(period), periods * self.months)
        return first + timedelta(days=periods * self.days) + self.named_after

    def between(self, earlier: date, later: date) -> int:
        """Return how many periods ``later`` is after ``earlier``."""
        if self.is_weekday:
            mondays = [day - timedelta(days=day.weekday()) for day in (earlier, later)]
            weeks = (mondays[1] - mondays[0]).days // 7
            return 5 * weeks + later.weekday() - earlier.weekday()
        if self.months:
            return (_month_number(later) - _month_number(earlier)) // self.months
        return (later - earlier).days // self.days

    def has_trade(self, period: date) -> bool:
        """Tell whether there was any: the market is closed on some weekdays."""
        return not self.is_weekday or is_business_day(period)

    def validated(self, day: date) -> date:
        """Return ``day`` if it names a period.

        Raises:
            ValueError: it does not; the message says which one holds it.

        """
        if self.containing(day) != day:
            raise ValueError(
                f"{self.column.name} {day} names no {self.name}: "
                f"the {self.name} that holds it is {self.containing(day)}"
            )
        return day

    def _first_day_of(self, day: date) -> date:
        if self.months:
            beyond = (_month_number(day) - _month_number(self.first_day)) % self.months
            return _months_later(day.replace(day=1), -beyond)
        return day - timedelta(days=(day - self.first_day).days % self.days)


def _month_number(day: date) -> int:
    return day.year * 12 + day.month - 1


def _months_later(day: date, months: int) -> date:
    if not months:
        return day
    year, month = divmod(_month_number(day) + months, 12)
    return day.replace(year=year, month=month + 1)


MONDAY = 0


@dataclass(frozen=True)
class Months:
    """A delay of so many months: added to a day, it gives the first day of a later month."""

    count: int
    weekday: int | None = None
    """The first day of this weekday in that month (Monday is 0), rather than the first of all."""

    def __radd__(self, day: date) -> date:
        """Return the first day (of a weekday) of the month that many later."""
        first = _months_later(day.replace(day=1), self.count)
        ahead = 0 if self.weekday is None else (self.weekday - first.weekday()) % 7
        return first + timedelta(days=ahead)

    def __rsub__(self, day: date) -> date:
        """Return the first day of the month that many earlier."""
        return _months_later(day.replace(day=1), -self.count)


@dataclass(frozen=True, eq=False)
class Slicing:
    """The grain and the sections of a dataset: a slice is one section in one period."""

    grain: Grain
    sections: tuple[str, ...]
    """In their canonical spelling and order: tiers, or `ALL` alone."""
    first_period: date
    """The first that has a partition."""

    def key(self, section: str, period: date) -> "SliceKey":
        """Return a slice.

        Raises:
            ValueError: an unknown section, or a day that names no period.

        """
        return SliceKey(section, period, self)

    def from_string(self, text: str) -> "AnySlice":
        """Parse what `str` of a slice gives.

        Raises:
            ValueError: no colon, an unknown section, no ISO date, or none that names a period.

        """
        section, colon, period = text.partition(":")
        if not colon:
            wanted = self.key(self.sections[-1], self.first_period)
            name = self.grain.column.name
            raise ValueError(f"a slice reads 'tier:{name}', for example {wanted}: {text!r}")
        key = self.key(section, date.fromisoformat(period))
        if str(key) != text:  # fromisoformat also reads 20251226 and 2025-W52-5
            raise ValueError(f"a slice reads {key}, not {text}")
        return key


@dataclass(frozen=True, order=True)
class SliceKey:
    """A slice: one section in one period, the unit of every write, check and revision."""

    section: str
    period: date
    slicing: Slicing = field(compare=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse an unknown section or a day that names no period, whoever builds the key."""
        if self.section not in self.slicing.sections:
            known = ", ".join(self.slicing.sections)
            raise ValueError(f"{self.section!r} is no section; there are {known}")
        self.slicing.grain.validated(self.period)

    def __str__(self) -> str:
        """Return ``NMS:2025-05-01``; `Slicing.from_string` reads it back."""
        return f"{self.section}:{self.period.isoformat()}"

    @property
    def number(self) -> int:
        """The slice as a number: 202512261 is the first section in the week ending 2025-12-26."""
        return int(f"{self.period:%Y%m%d}{1 + self.slicing.sections.index(self.section)}")

    @property
    def slug(self) -> str:
        """The section in the names of files and folders: ``nms_tier_1``."""
        return slug_of(self.section)

    @property
    def first_day(self) -> date:
        """The day on which the period began."""
        return self.slicing.grain.start_of(self.period)

    @property
    def last_day(self) -> date:
        """The last day of the period, traded or not."""
        if self.slicing.grain.is_weekday:
            return self.period
        return self.shifted(1).first_day - timedelta(days=1)

    def shifted(self, periods: int) -> Self:
        """Return the slice of the same section, that many periods later (earlier if negative)."""
        period = self.slicing.grain.shifted(self.period, periods)
        return type(self)(self.section, period, self.slicing)

    def window(self, periods: int) -> list[Self]:
        """Return the ``periods`` slices that end with this one, oldest first."""
        return [self.shifted(-back) for back in range(periods - 1, -1, -1)]


Key = TypeVar("Key", bound=SliceKey)

AnySlice = Any
"""A `SliceKey`; of a weekly dataset a `WeekKey`, as which those read it who know weeks alone."""


def oldest_first(slices: Iterable[Key]) -> list[Key]:
    """Return slices by period, then by section; those of one section are sorted as they are."""
    return sorted(slices, key=lambda key: (key.period, key.section))


def among(
    slices: Iterable[Key], tiers: Collection[str] = (), weeks: Collection[str] = ()
) -> list[Key]:
    """Return the slices of some sections and periods, by period and section.

    Args:
        slices: to choose from.
        tiers: of which sections (default: of all).
        weeks: of which periods, as ISO dates (default: of all).

    """
    return oldest_first(
        key
        for key in slices
        if (not tiers or str(key.section) in tiers) and (not weeks or str(key.period) in weeks)
    )


MONTH = Grain(
    name="month",
    words="month",
    column=Column("month", ColumnType.DATE, "First day of the reported month."),
    first_day=date(2014, 1, 1),
    months=1,
    cron="0 0 1 * *",
)

DAY = Grain(
    name="day",
    words="day",
    column=Column("trade_date", ColumnType.DATE, "The reported day."),
    first_day=date(2014, 1, 1),
    days=1,
    is_weekday=True,
    cron="0 0 * * 1-5",
    end_offset=1,
)
