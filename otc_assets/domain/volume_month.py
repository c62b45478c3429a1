"""The months in which FINRA counts what is received: of UTC, as all that we count by day."""

from datetime import UTC, date, datetime

from otc_assets.domain.grains import MONTH


def this_month() -> date:
    """Return the first day of the month in which what comes now is counted."""
    return datetime.now(UTC).date().replace(day=1)


def after(month: date) -> date:
    """Return the first day of the month that follows."""
    return MONTH.shifted(month, 1)
