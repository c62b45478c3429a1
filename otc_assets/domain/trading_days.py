"""On which days the US equity market is open.

Market holidays come from the `holidays` package, which keeps the NYSE's calendar; Columbus Day and
Veterans Day are not in it.
"""

from datetime import date, timedelta
from functools import cache

from holidays import HolidayBase, financial_holidays


@cache
def _nyse() -> HolidayBase:
    return financial_holidays("NYSE")  # fills in each year when it is first asked for


def is_business_day(day: date) -> bool:
    """Tell whether the US equity market is open on ``day``."""
    return day.weekday() < 5 and day not in _nyse()


def next_business_day(day: date) -> date:
    """Return ``day`` if the market is open on it, or else the next day on which it is."""
    while not is_business_day(day):
        day += timedelta(days=1)
    return day
