"""Volumes by venue as series of a stacked chart: a few venues by name, the others together."""

from dataclasses import dataclass
from datetime import date

from otc_assets.research.plots import COLOURS, Series
from otc_assets.research.timeline import Rows
from otc_assets.research.venues_known import VenuesKnown


@dataclass(frozen=True)
class Stack:
    """Series by week; those of one venue have its mpid as their name."""

    weeks: list[date]
    series: list[Series]
    named: list[str]
    """The venues that are a series of their own."""
    archived: list[date]
    """Weeks of which only the total is known: the archive alone keeps what each venue traded."""


def stack_of(known: Rows, venues: VenuesKnown, now: VenuesKnown) -> Stack:
    """Return what each venue traded in a symbol, week by week, over all tiers.

    Args:
        known: the symbol's weeks, as they were known.
        venues: what each venue traded, as it was known.
        now: the same as known now, which chooses the venues that have a colour of their own: so a
            venue has the same one on each day.

    """
    weeks = sorted({week.week_ending for week in known})
    archived = set(venues.archived)
    volumes: dict[str, dict[date, float]] = {}
    for week, mpid, shares in venues.volumes:
        if week in known and week not in archived:
            mine = volumes.setdefault(mpid, {})
            mine[week.week_ending] = mine.get(week.week_ending, 0.0) + shares
    ranking = [venue for venue in _ranking(now) if venue in volumes]
    first = _ranking(now)[:COLOURS]
    colours = {venue: number for number, venue in enumerate(first, start=1)}
    named = [venue for venue in ranking if venue in colours]
    series = [Series(v, [volumes[v].get(week) for week in weeks], colours[v]) for v in named]
    others = [venue for venue in volumes if venue not in colours]
    if others:
        totals = _added([volumes[venue] for venue in others])
        series.append(Series(f"{len(others)} others", [totals.get(week) for week in weeks], 0))
    lost = _added(
        [{w.week_ending: row["total_volume"] or 0.0} for w, row in known.items() if w in archived]
    )
    if lost:
        series.append(Series("venues in the archive only", [lost.get(week) for week in weeks], 0))
    return Stack(weeks, series, named, sorted(lost))


def _ranking(venues: VenuesKnown) -> list[str]:
    """Return the venues, the largest first."""
    total: dict[str, float] = {}
    for _, mpid, shares in venues.volumes:
        total[mpid] = total.get(mpid, 0.0) + shares
    return sorted(total, key=lambda venue: (-total[venue], venue))


def _added(parts: list[dict[date, float]]) -> dict[date, float]:
    found: dict[date, float] = {}
    for part in parts:
        for week, shares in part.items():
            found[week] = found.get(week, 0.0) + shares
    return found
