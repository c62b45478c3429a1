"""What a caller asks for, checked before a store is read: days, weeks, tiers, symbols, datasets.

Each error names the value and what is allowed. A symbol is never changed, not even its case.
"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any

from otc_assets.domain.calendar import NEW_YORK
from otc_assets.domain.datasets import DATASETS, Dataset
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey, validated_week_ending

Names = str | Iterable[str] | None
Weeks = str | date | Iterable[str | date] | None


def dataset_named(name: str) -> Dataset:
    """Return a dataset by its name (ValueError, with those that there are, if it has none)."""
    names = {dataset.name: dataset for dataset in DATASETS}
    if not isinstance(name, str) or name not in names:
        raise ValueError(f"no dataset {name!r}; there are {', '.join(names)}")
    return names[name]


def day_known(day: str | date | datetime) -> date:
    """Return the last day whose publications are known at a day's end, or at a moment.

    Raises:
        TypeError: neither a date, a moment nor text.
        ValueError: text that is no day, or a moment without a time zone.

    """
    if isinstance(day, str):
        day = _from_text(day)
    if not isinstance(day, date):
        raise TypeError(f"a day is a date, a moment or text such as '2025-01-15', and not {day!r}")
    if not isinstance(day, datetime):
        return day
    if day.tzinfo is None:
        raise ValueError(f"{day} has no time zone: give a date, or a moment with its zone")
    return day.astimezone(NEW_YORK).date() - timedelta(days=1)


def _from_text(text: str) -> date:
    try:
        is_moment = len(text) > len("2025-01-15")
        return datetime.fromisoformat(text) if is_moment else date.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is no day: write 2025-01-15, or a moment such as 2025-01-15T16:00-05:00"
        ) from None


def conditions(snapshot: Any, symbols: Names, tiers: Names, weeks: Weeks) -> list[Any]:
    """Return what rows of a table must be, to be those that a caller asks for.

    Raises:
        TypeError: an argument of another type.
        ValueError: an unknown tier, or a week that is no Friday.

    """
    where = []
    if symbols is not None:
        where.append(snapshot.c.symbol.in_(texts("symbols", symbols)))
    if tiers is not None:
        where.append(snapshot.c.tier.in_([tier.value for tier in tiers_of(tiers)]))
    if (fridays := fridays_of(weeks)) is not None:
        where.append(snapshot.c.week_ending.in_(fridays))
    return where


def tiers_of(tiers: Names) -> list[Tier]:
    """Return the tiers that are asked for, by default all.

    Raises:
        TypeError: an argument of another type.
        ValueError: an unknown tier; the message lists those that there are.

    """
    return [*Tier] if tiers is None else [_tier(name) for name in texts("tiers", tiers)]


def fridays_of(weeks: Weeks) -> list[date] | None:
    """Return the weeks that are asked for, None for all.

    Raises:
        TypeError: an argument of another type.
        ValueError: a day that is no Friday.

    """
    if weeks is None:
        return None
    days = [weeks] if isinstance(weeks, str | date) or not isinstance(weeks, Iterable) else [*weeks]
    return [_friday(day) for day in days]


def asked_of(slices: Iterable[WeekKey], tiers: Names, weeks: Weeks) -> list[WeekKey]:
    """Return the slices that are asked for, tier by tier, the oldest week first.

    Raises:
        TypeError: an argument of another type.
        ValueError: an unknown tier, or a week that is no Friday.

    """
    wanted, fridays = tiers_of(tiers), fridays_of(weeks)
    return sorted(
        week
        for week in slices
        if week.tier in wanted and (fridays is None or week.week_ending in fridays)
    )


def texts(argument: str, values: Any) -> list[str]:
    """Return the values of an argument that is one text or several.

    Raises:
        TypeError: it is neither.

    """
    if isinstance(values, str):
        return [values]
    found = [*values] if isinstance(values, Iterable) else [values]
    for value in found:
        if not isinstance(value, str):
            raise TypeError(f"{argument} are texts, and not {value!r}")
    return found


def _tier(name: str) -> Tier:
    try:
        return Tier(name)
    except ValueError:
        there = ", ".join(tier.value for tier in Tier)
        raise ValueError(f"no tier {name!r}; there are {there}") from None


def _friday(day: str | date) -> date:
    named = _from_text(day) if isinstance(day, str) else day
    if isinstance(named, datetime):
        named = named.date()
    if not isinstance(named, date):
        raise TypeError(f"a week is a date or text such as '2025-01-17', and not {day!r}")
    return validated_week_ending(named)
