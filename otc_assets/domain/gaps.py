"""Gaps: weeks that FINRA should have published and that the store lacks, and how grave that is."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

from otc_assets.domain.calendar import due_weeks, expected_publication_date, newest_due_week
from otc_assets.domain.datasets import Dataset
from otc_assets.domain.grains import AnySlice, SliceKey
from otc_assets.domain.quality import Severity

WARNING_AFTER_DAYS, CRITICAL_AFTER_DAYS = 3, 7
"""Design, section 7.2: days past the expected publication date."""


@dataclass(frozen=True)
class Gap:
    """A slice that is due and not in the store."""

    week: AnySlice
    expected_publication_date: date
    days_late: int

    @property
    def severity(self) -> Severity:
        """Info in the first days, in which FINRA or we may just be slow."""
        if self.days_late > CRITICAL_AFTER_DAYS:
            return Severity.CRITICAL
        return Severity.WARNING if self.days_late > WARNING_AFTER_DAYS else Severity.INFO


def gaps(dataset: Dataset, loaded: Collection[SliceKey], today: date) -> list[Gap]:
    """Return every slice that is due on ``today`` and not loaded, by week and tier.

    From the first week that is loaded in any tier on: the weeks between (interior), those after the
    last one (trailing), and all of a tier that has nothing. Of an empty store, the newest due week
    of each tier; of a dataset that nobody has to have, nothing.
    """
    if not loaded and not dataset.is_expected:
        return []
    loaded = frozenset(loaded)  # asked for every due week
    first = min((week.period for week in loaded), default=None)
    found = []
    for tier in dataset.publication_delay:
        start = first or newest_due_week(tier, today, dataset).period
        for week in due_weeks(tier, start, today, dataset):
            if week not in loaded:
                expected = expected_publication_date(week, dataset)
                found.append(Gap(week, expected, (today - expected).days))
    return sorted(found, key=lambda gap: (gap.week.period, gap.week.section))


def lag_days(
    dataset: Dataset, loaded: Collection[SliceKey], missing: Collection[Gap]
) -> dict[str, int]:
    """Return for each tier the days past the expected publication of its first trailing gap.

    0 where the newest due week is loaded. ``missing`` is what `gaps` returns.
    """
    lags = {}
    for tier in dataset.publication_delay:
        newest = max((w.period for w in loaded if w.section == tier), default=date.min)
        trailing = [g for g in missing if g.week.section == tier and g.week.period > newest]
        lags[str(tier)] = max((gap.days_late for gap in trailing), default=0)
    return lags
