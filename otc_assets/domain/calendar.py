"""FINRA's publication calendar, both ways: from a week to its day, and from a day to its week.

Source of the rule: FINRA Regulatory Notice 19-29 (two and four weeks after the week's end, on
the Monday that follows), and the publication dates of real records. Market holidays come from the
`holidays` package, which keeps the NYSE's calendar; Columbus Day and Veterans Day are not in it.
"""

from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from zoneinfo import ZoneInfo

from holidays import HolidayBase, financial_holidays

from otc_assets.domain.datasets import ATS, Dataset
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey, week_ending_of

NEW_YORK = ZoneInfo("America/New_York")


def today() -> date:
    """Return today's date where FINRA is."""
    return datetime.now(NEW_YORK).date()


@cache
def _nyse() -> HolidayBase:
    return financial_holidays("NYSE")  # fills in each year when it is first asked for


def is_business_day(day: date) -> bool:
    """Tell whether the US equity market is open on ``day``."""
    return day.weekday() < 5 and day not in _nyse()


def expected_publication_date(week: WeekKey, dataset: Dataset = ATS) -> date:
    """Return the day on which FINRA makes ``week`` public: the delay, then the next open day."""
    day = week.monday + dataset.publication_delay[week.tier]
    while not is_business_day(day):
        day += timedelta(days=1)
    return day


def week_published_on(tier: Tier, day: date, dataset: Dataset = ATS) -> WeekKey:
    """Return the slice of ``tier`` that was first published on ``day``.

    Raises:
        ValueError: on no week's publication day: it is the date of a correction, or of no FINRA
            file.

    """
    week = WeekKey(tier, week_ending_of(day - dataset.publication_delay[tier]))
    expected = expected_publication_date(week, dataset)
    if day != expected:
        raise ValueError(
            f"{day} ({day:%A}) is no publication day of {tier}: that would be {expected} "
            f"({expected:%A}), for the week ending {week.week_ending}"
        )
    return week


def with_zone(moment: datetime) -> datetime:
    """Return a moment with its zone; one without, as SQLite gives it, is UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def day_in_new_york(moment: datetime) -> date:
    """Return the day that it is in New York; a moment without a zone is UTC."""
    return with_zone(moment).astimezone(NEW_YORK).date()


def is_due(week: WeekKey, today: date, dataset: Dataset = ATS) -> bool:
    """Tell whether ``week`` should be public on ``today`` (it is from the day itself on)."""
    return expected_publication_date(week, dataset) <= today


def newest_due_week(tier: Tier, today: date, dataset: Dataset = ATS) -> WeekKey:
    """Return the newest slice of ``tier`` that should be public on ``today``."""
    week = WeekKey(tier, week_ending_of(today - dataset.publication_delay[tier]))
    return week if is_due(week, today, dataset) else week.shifted(-1)


@lru_cache(maxsize=32)  # who watches asks for the same again and again, all day
def due_weeks(
    tier: Tier, first_week_ending: date, today: date, dataset: Dataset = ATS
) -> tuple[WeekKey, ...]:
    """Return the slices of ``tier`` that should be public on ``today``, oldest first."""
    week = WeekKey(tier, max(first_week_ending, dataset.first_week_ending))
    due = []
    while is_due(week, today, dataset):
        due.append(week)
        week = week.shifted(1)
    return tuple(due)
