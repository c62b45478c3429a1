"""Gaps: weeks that FINRA should have published and that the store lacks, and how grave that is.

A week that FINRA no longer offers is none: nothing can be done about it but to find its file.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

from otc_assets.domain.calendar import due_weeks, expected_publication_date, newest_due_week
from otc_assets.domain.datasets import Dataset
from otc_assets.domain.grains import AnySlice, SliceKey, oldest_first
from otc_assets.domain.offers import UNKNOWN, Offers
from otc_assets.domain.quality import Severity

WARNING_AFTER_DAYS, CRITICAL_AFTER_DAYS = 3, 7
"""Design, section 7.2: days past the expected publication date."""


@dataclass(frozen=True)
class Gap:
    """A slice that is due and not in the store."""

    week: AnySlice
    expected_publication_date: date
    days_late: int
    is_history: bool = False
    """FINRA's historic set alone has it: it waits to be fetched, and is not late."""

    @property
    def severity(self) -> Severity:
        """Info in the first days, in which FINRA or we may just be slow, and of history."""
        if self.is_history:
            return Severity.INFO
        if self.days_late > CRITICAL_AFTER_DAYS:
            return Severity.CRITICAL
        return Severity.WARNING if self.days_late > WARNING_AFTER_DAYS else Severity.INFO


def gaps(
    dataset: Dataset, loaded: Collection[SliceKey], today: date, offers: Offers = UNKNOWN
) -> list[Gap]:
    """Return every slice that is due on ``today``, not loaded and still offered, by week and tier.

    From the first week that is loaded in any tier on: the weeks between (interior), those after the
    last one (trailing), and all of a tier that has nothing. Of an empty store, the newest due week
    of each tier; of a dataset that nobody has to have, nothing. ``offers`` is what FINRA's listings
    had; a week that they dropped is no gap.
    """
    found = []
    for week in _lacking(dataset, loaded, today):
        if not offers.no_longer_have(week):
            expected = expected_publication_date(week, dataset)
            days = (today - expected).days
            found.append(Gap(week, expected, days, offers.is_history(week)))
    return found


def dropped(
    dataset: Dataset, loaded: Collection[SliceKey], today: date, offers: Offers
) -> list[AnySlice]:
    """Return the slices that would be `gaps`, and that FINRA no longer offers."""
    return [week for week in _lacking(dataset, loaded, today) if offers.no_longer_have(week)]


def _lacking(dataset: Dataset, loaded: Collection[SliceKey], today: date) -> list[AnySlice]:
    if not loaded and not dataset.is_expected:
        return []
    loaded = frozenset(loaded)  # asked for every due week
    first = min((week.period for week in loaded), default=None)
    found: list[AnySlice] = []
    for tier in dataset.publication_delay:
        start = first or newest_due_week(tier, today, dataset).period
        due = due_weeks(tier, start, today, dataset)
        found += (week for week in due if week not in loaded)
    return oldest_first(found)


def lag_days(
    dataset: Dataset, loaded: Collection[SliceKey], missing: Collection[Gap]
) -> dict[str, int]:
    """Return for each tier the days past the expected publication of its first trailing gap.

    0 where the newest due week is loaded. ``missing`` is what `gaps` returns; history is not late.
    """
    lags = {}
    for tier in dataset.publication_delay:
        newest = max((w.period for w in loaded if w.section == tier), default=date.min)
        late = [gap for gap in missing if gap.week.section == tier and not gap.is_history]
        trailing = [gap for gap in late if gap.week.period > newest]
        lags[str(tier)] = max((gap.days_late for gap in trailing), default=0)
    return lags
