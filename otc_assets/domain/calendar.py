"""FINRA's publication calendar, both ways: from a slice to its day, and from a day to its slice.

Source of the rule for weeks: FINRA Regulatory Notice 19-29 (two and four weeks after the week's
end, on the Monday that follows), and the publication dates of real records. A dataset's own delay
says where its rule is from. The week in a function's name is the period of the dataset's grain.
"""

from datetime import UTC, date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from otc_assets.domain.datasets import ATS, Dataset
from otc_assets.domain.grains import AnySlice, SliceKey
from otc_assets.domain.trading_days import is_business_day, next_business_day

__all__ = [
    "NEW_YORK",
    "day_in_new_york",
    "due_weeks",
    "expected_publication_date",
    "is_business_day",
    "is_due",
    "newest_due_week",
    "today",
    "week_published_on",
    "with_zone",
]

NEW_YORK = ZoneInfo("America/New_York")


def today() -> date:
    """Return today's date where FINRA is."""
    return datetime.now(NEW_YORK).date()


def expected_publication_date(week: SliceKey, dataset: Dataset = ATS) -> date:
    """Return the day on which FINRA makes a slice public: the delay, then the next open day."""
    return next_business_day(week.first_day + dataset.publication_delay[week.section])


def week_published_on(tier: str, day: date, dataset: Dataset = ATS) -> AnySlice:
    """Return the slice of ``tier`` that was first published on ``day``.

    Raises:
        ValueError: on no week's publication day: it is the date of a correction, or of no FINRA
            file.

    """
    week = _begun_by(tier, day, dataset)
    expected = expected_publication_date(week, dataset)
    if day != expected:
        raise ValueError(
            f"{day} ({day:%A}) is no publication day of {tier}: that would be {expected} "
            f"({expected:%A}), for the {dataset.grain.words} {week.period}"
        )
    return week


def _begun_by(section: str, today: date, dataset: Dataset) -> AnySlice:
    """Return the newest slice whose delay is over on a day, or the one after it."""
    day = today - dataset.publication_delay[section]
    return dataset.key(section, dataset.grain.containing(day))


def with_zone(moment: datetime) -> datetime:
    """Return a moment with its zone; one without, as SQLite gives it, is UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def day_in_new_york(moment: datetime) -> date:
    """Return the day that it is in New York; a moment without a zone is UTC."""
    return with_zone(moment).astimezone(NEW_YORK).date()


def is_due(week: SliceKey, today: date, dataset: Dataset = ATS) -> bool:
    """Tell whether a slice should be public on ``today`` (it is from the day itself on)."""
    is_past = expected_publication_date(week, dataset) <= today
    return is_past and dataset.grain.has_trade(week.period)


def newest_due_week(tier: str, today: date, dataset: Dataset = ATS) -> AnySlice:
    """Return the newest slice of ``tier`` that should be public on ``today``."""
    week = _begun_by(tier, today, dataset)
    while not is_due(week, today, dataset):
        week = week.shifted(-1)
    return week


@lru_cache(maxsize=32)  # who watches asks for the same again and again, all day
def due_weeks(
    tier: str, first_week_ending: date, today: date, dataset: Dataset = ATS
) -> tuple[AnySlice, ...]:
    """Return the slices of ``tier`` that should be public on ``today``, oldest first."""
    week = dataset.key(tier, max(first_week_ending, dataset.first_period))
    due = []
    while expected_publication_date(week, dataset) <= today:
        if dataset.grain.has_trade(week.period):
            due.append(week)
        week = week.shifted(1)
    return tuple(due)
