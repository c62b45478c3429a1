"""The intervals of all venues, each claim beside its evidence and a confidence.

Pure: frames in, rows out. The rules are in `lives`.
"""

from collections.abc import Iterable
from datetime import date
from typing import Any

import pandas as pd

from otc_assets.domain.tiers import Tier
from otc_assets.research.registry.lives import FOLD, GONE, Interval, cut, placed
from otc_assets.research.registry.naming import is_same_name, without_mpid

BETWEEN = " | "
"""Between several texts in one column: no name has it, it separates the fields of FINRA's files."""
BEGAN = ("began_as", "began_confidence", "began_evidence")
ENDED = ("ended_as", "ended_confidence", "ended_evidence")
Row = dict[str, Any]
"""One interval: what `intervals` and those after it say of it, by column."""


def intervals(seen: pd.DataFrame, known: pd.DataFrame) -> list[Row]:
    """Return one row per venue and interval, by venue and first week.

    Args:
        seen: one row per venue, tier and week_ending (a date) with its name, None if unknown;
            an MPID before the name is no part of it.
        known: the tier and week_ending of every slice that is known.

    Returns:
        ``valid_until`` is None while the interval lasts, ``weeks`` are those in which the venue was
        seen. ``began_as`` is one of those of `lives.cut`; ``ended_as`` is None, ``gone`` or
        ``renamed``. Evidence is a dict, confidence is in percent.

    """
    weeks_of = {Tier(str(tier)): set(each) for tier, each in known.groupby("tier")["week_ending"]}
    rows: list[Row] = []
    for venue, names in _names(seen).items():
        weeks, count = placed(names, weeks_of)
        found = cut(venue, weeks)
        silent = 0 if venue == FOLD else count - 1 - weeks[-1].at
        for each, after in zip(found, [*found[1:], None], strict=True):
            rows.append(_row(venue, each, after, silent))
    return rows


def _names(seen: pd.DataFrame) -> dict[str, dict[date, dict[Tier, str | None]]]:
    """Return the names of each venue by week and tier."""
    found: dict[str, dict[date, dict[Tier, str | None]]] = {}
    ordered = seen.sort_values(["venue", "week_ending", "tier"])
    columns = (ordered[name] for name in ("venue", "week_ending", "tier", "name"))
    for venue, week, tier, name in zip(*columns, strict=True):
        known = without_mpid(name, venue) if isinstance(name, str) and name else None
        found.setdefault(venue, {}).setdefault(week, {})[Tier(tier)] = known
    return found


def _row(venue: str, each: Interval, after: Interval | None, silent: int) -> Row:
    weeks = tuple(week.week for week in each.weeks)
    ended = _ended(each, after, silent)
    names = (name for name in each.before if not each.name or not is_same_name(name, each.name))
    return {
        "venue": venue,
        "name": each.name,
        "names_before": joined(names),
        "valid_from": weeks[0],
        "valid_until": weeks[-1] if ended[0] else None,
        "last_week": weeks[-1],
        "weeks_seen": len(weeks),
        "weeks_known": each.span,
        "tiers": joined(t.value for t in Tier if any(t in week.tiers for week in each.weeks)),
        **dict(zip(BEGAN, _began(each), strict=True)),
        **dict(zip(ENDED, ended, strict=True)),
        "weeks": weeks,
    }


def joined(texts: Iterable[str]) -> str:
    """Return several texts as one, each once."""
    return BETWEEN.join(dict.fromkeys(texts))


def _began(each: Interval) -> tuple[str, float | None, dict[str, Any]]:
    """Return how an interval began; a name is believed by the n weeks that have it, n / (n + 1)."""
    named = sum(week.name is not None for week in each.weeks)
    facts = {"weeks_absent_before": each.absent, "weeks_named": named, **_there(each)}
    sure = 100.0 if each.began_as == "renamed" else each.sure
    if sure is not None and each.began_as in ("renamed", "reused"):
        sure = round(sure * named / (named + 1), 1)
    return each.began_as, sure, facts


def _ended(
    each: Interval, after: Interval | None, silent: int
) -> tuple[str | None, float | None, dict[str, Any]]:
    if after is None:
        sure = each.silent(silent)
        gone = "gone", sure, {"weeks_absent_after": silent, **_there(each)}
        return gone if sure >= GONE else (None, None, {})
    facts = {"weeks_absent_after": after.absent, **_there(each)}
    if after.began_as == "renamed":
        return "renamed", _began(after)[1], facts
    return "gone", after.sure, facts


def _there(each: Interval) -> dict[str, int]:
    return {"weeks_seen": len(each.weeks), "weeks_known": each.span}
