"""The rules by which the weeks of one venue are cut: a new name, a long absence, a stranger.

All counts of weeks are of weeks that are known of the venue's usual tiers: a week that the store
lacks, or that is not public yet, is no week without the venue.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date

from otc_assets.domain.tiers import Tier
from otc_assets.research.registry.naming import is_related, is_same_name

LONG_GAP = 13
"""Weeks after which a venue that comes back begins anew: a quarter of a year is longer than a
holiday, a repair or a move takes."""
GONE = 75.0
"""Confidence, in percent, from which on a venue that is silent counts as gone: one silent week of a
venue that was there in each of two or more weeks, several of one that often was not."""
FOLD = "0"
"""The CRD number of "De Minimis Firms": many dealers in one row, which no rule can follow."""


@dataclass(frozen=True)
class Seen:
    """A week in which a venue was seen."""

    at: int
    """Its place among the weeks that are known of the venue's tiers."""
    week: date
    name: str | None
    tiers: AbstractSet[Tier]


@dataclass
class Interval:
    """Weeks of one venue under one name, and why it began."""

    weeks: list[Seen]
    began_as: str
    absent: int = 0
    """Known weeks without the venue before it."""
    sure: float | None = None
    """How sure it is that this absence is no accident, in percent."""
    name: str | None = None
    """The newest spelling."""
    before: tuple[str, ...] = ()
    """The names under which it went before, the oldest first."""

    @property
    def span(self) -> int:
        """Known weeks from the first to the last."""
        return self.weeks[-1].at - self.weeks[0].at + 1

    def silent(self, absent: int) -> float:
        """Return how sure it is, in percent, that some weeks without the venue are no accident."""
        return absence_confidence(len(self.weeks), self.span, absent)


def absence_confidence(seen: int, span: int, absent: int) -> float:
    """Return how sure it is, in percent, that ``absent`` weeks without a venue are no accident.

    A venue that was there in ``seen`` of ``span`` weeks is taken to be there in any week with the
    chance (seen + 1) / (span + 2), Laplace's rule of succession. Missing all of them by accident
    has the chance of missing one, to their power.
    """
    chance = (seen + 1) / (span + 2)
    return round(100 * (1 - (1 - chance) ** absent), 1)


def placed(
    tiers: Mapping[date, Mapping[Tier, str | None]], known: Mapping[Tier, AbstractSet[date]]
) -> tuple[list[Seen], int]:
    """Return the weeks in which a venue was seen, and how many are known of its usual tiers.

    Usual are the tiers of at least half of its weeks. A week's name is that of the first tier that
    has one, which is published nearest to the week.

    Args:
        tiers: the venue's name in each tier, by week.
        known: the weeks that are known of each tier.

    """
    counts = {tier: sum(tier in there for there in tiers.values()) for tier in Tier}
    usual = [tier for tier, count in counts.items() if 2 * count >= len(tiers)]
    every = set(tiers).union(*(known.get(tier, set()) for tier in usual))
    place = {week: at for at, week in enumerate(sorted(every))}
    seen = [
        Seen(place[week], week, next((names[t] for t in Tier if names.get(t)), None), names.keys())
        for week, names in sorted(tiers.items())
    ]
    return seen, len(every)


def cut(venue: str, weeks: Sequence[Seen]) -> list[Interval]:
    """Return the intervals of a venue, given its weeks in order.

    Each begins as ``unknown`` (the venue was there in the first known week), ``new``, ``renamed``
    (another name, and no other spelling, while it went on), ``returned`` (after `LONG_GAP` weeks,
    under no unrelated name) or ``reused`` (under an unrelated name, after it was gone).
    """
    first = weeks[0]
    found = [Interval([first], "new" if first.at else "unknown", first.at, name=first.name)]
    for week in weeks[1:]:
        current = found[-1]
        absent = week.at - current.weeks[-1].at - 1
        how = None if venue == FOLD else _change(current, week.name, absent)
        if how:
            found.append(_begin(current, week, how, absent))
        else:
            current.weeks.append(week)
            current.name = week.name or current.name
    if first.at:
        found[0].sure = found[0].silent(first.at)
    return found


def _change(before: Interval, name: str | None, absent: int) -> str | None:
    """Return as what an interval begins with a week, None if the one before goes on."""
    is_stranger = bool(before.name and name) and not is_related(str(before.name), str(name))
    if absent >= LONG_GAP:
        return "reused" if is_stranger else "returned"
    if not before.name or not name or is_same_name(before.name, name):
        return None
    return "reused" if is_stranger and before.silent(absent) >= GONE else "renamed"


def _begin(before: Interval, week: Seen, how: str, absent: int) -> Interval:
    names = () if how == "reused" or not before.name else (*before.before, before.name)
    return Interval([week], how, absent, before.silent(absent), week.name, names)
