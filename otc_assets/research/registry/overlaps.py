"""How many symbols two venues have in common, and how sure that makes one the other's successor.

Pure: no store is read.
"""

from collections.abc import Collection, Mapping
from typing import Any

from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey

SYMBOL_WEEKS = 2
"""Weeks whose symbols are compared: the last of one venue and the first of another are often
broken off in the middle."""
Traded = Mapping[WeekKey, Collection[str]]
"""The symbols of a venue by slice, of each slice whose symbols are known."""


def overlap(before: Traded, after: Traded) -> dict[str, Any]:
    """Return how many symbols one venue had, another has, and both; empty if that cannot be told.

    Args:
        before: what the one traded in its last weeks.
        after: what the other traded in its first weeks. Only tiers count that are known of both:
            Tier 1 is public two weeks before the others.

    """
    tiers = {week.tier for week in before} & {week.tier for week in after}
    old, new = (_symbols(each, tiers) for each in (before, after))
    if not old or not new:
        return {}
    shared = len(old & new)
    return {
        "symbols_before": len(old),
        "symbols_after": len(new),
        "symbols_shared": shared,
        "pct_kept": round(100 * shared / len(old), 1),
    }


def _symbols(traded: Traded, tiers: Collection[Tier]) -> set[tuple[Tier, str]]:
    return {(w.tier, symbol) for w, each in traded.items() if w.tier in tiers for symbol in each}


def confidence(shared: dict[str, Any]) -> float:
    """Return how sure it is, in percent, that a venue went on as another, by what they share.

    Ochiai's coefficient, shared / sqrt(before * after), is low for a small venue whose symbols are
    among those of a large one. It is taken times n / (n + 1) of the n symbols before: of few
    symbols a share says little.
    """
    before, after = shared["symbols_before"], shared["symbols_after"]
    alike = shared["symbols_shared"] / (before * after) ** 0.5
    return float(round(100 * alike * before / (before + 1), 1))
