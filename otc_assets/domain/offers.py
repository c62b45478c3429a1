"""What FINRA's sets offer: which weeks its listings had when they were last asked.

FINRA drops old weeks from its sets for ever. A week that is in neither listing and older than what
the newest weeks' set begins with is no longer offered: it can only come from files.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from otc_assets.domain.grains import AnySlice


@dataclass(frozen=True)
class Offers:
    """The slices that FINRA's two listings of a dataset have; None: never asked."""

    current: frozenset[AnySlice] | None = None
    """Of the set of the newest weeks, which FINRA may correct."""
    historic: frozenset[AnySlice] | None = None
    """Of the set of older weeks, which do not change any more; they may overlap."""

    @cached_property
    def _starts(self) -> dict[str, date]:
        """Where each tier's current set begins: after the last historic week, if it has none."""
        if self.current is None or self.historic is None:
            return {}
        after = {week.section: week.shifted(1).period for week in sorted(self.historic)}
        return {**after, **_first_of_each(self.current)}

    def is_history(self, week: AnySlice) -> bool:
        """Tell whether the historic set alone offers a week: it is static, and never late."""
        is_current = self.current is None or week in self.current
        return not is_current and week in (self.historic or ())

    def no_longer_have(self, week: AnySlice) -> bool:
        """Tell whether FINRA has dropped a week; False while a listing was never asked for."""
        start = self._starts.get(week.section)
        return start is not None and week.period < start and week not in self.every()

    def every(self) -> frozenset[AnySlice]:
        """Return all slices that can be fetched."""
        return (self.current or frozenset()) | (self.historic or frozenset())


def _first_of_each(weeks: Iterable[AnySlice]) -> dict[str, date]:
    return {week.section: week.period for week in sorted(weeks, reverse=True)}


UNKNOWN = Offers()
"""Of a store that never asked FINRA: nothing is known to be dropped."""
